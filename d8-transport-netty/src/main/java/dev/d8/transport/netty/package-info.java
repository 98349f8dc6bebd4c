/**
 * D8's REST protocol over HTTP/1.1 ({@code http://host:7600}), both ends, on Netty.
 *
 * <p>Start with {@link dev.d8.transport.netty.NettyTransportProvider}, which lists the settings. A call's way through
 * here: {@code HttpSlaveClient} → {@code ConnectionPool} → {@code ClientConnection} → wire → {@code StrictRequestDecoder}
 * → {@code ServerConnection} → the slave's service, and back the same way.
 */
@NullMarked
package dev.d8.transport.netty;

import org.jspecify.annotations.NullMarked;
