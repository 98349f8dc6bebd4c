/** D8's REST protocol over HTTP/1.1. Start with {@link dev.d8.transport.netty}. */
module dev.d8.transport.netty {
    requires transitive dev.d8.core;
    requires static transitive org.jspecify;
    requires org.slf4j;
    requires io.netty.buffer;
    requires io.netty.codec;
    requires io.netty.codec.http;
    requires io.netty.common;
    requires io.netty.handler;
    requires io.netty.transport;
    requires io.netty.transport.classes.epoll;

    exports dev.d8.transport.netty;

    provides dev.d8.spi.TransportProvider with
            dev.d8.transport.netty.NettyTransportProvider;
}
