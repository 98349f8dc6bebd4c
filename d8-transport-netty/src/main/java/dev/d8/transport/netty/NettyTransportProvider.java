package dev.d8.transport.netty;

import dev.d8.spi.Options;
import dev.d8.spi.Transport;
import dev.d8.spi.TransportProvider;
import java.util.Set;

/**
 * Makes the transport for {@code http://host:port} and {@code https://host:port}, HTTP/1.1 on Netty. Thread-safe.
 *
 * <table>
 * <caption>Settings; a duration is seconds ({@code 2.5}) or ISO 8601 ({@code PT2.5S})</caption>
 * <tr><th>name</th><th>unit</th><th>default</th><th>meaning</th></tr>
 * <tr><td>{@code io}</td><td></td><td>auto</td>
 *     <td>{@code nio}, {@code epoll} (Linux), or {@code auto}: epoll where it loads</td></tr>
 * <tr><td>{@code threads}</td><td>threads</td><td>one a core, at most 4</td><td>event loops, shared by all</td></tr>
 * <tr><td>{@code max_request_line}</td><td>bytes</td><td>8192</td><td>longer: 414</td></tr>
 * <tr><td>{@code max_header_bytes}</td><td>bytes</td><td>16384</td><td>more: 431; a client refuses such answers</td></tr>
 * <tr><td>{@code max_headers}</td><td>headers</td><td>100</td><td>more: 431</td></tr>
 * <tr><td>{@code max_body}</td><td>bytes</td><td>8 MiB</td><td>a request's body; more: 413</td></tr>
 * <tr><td>{@code max_packed_body}</td><td>bytes</td><td>1 MiB</td>
 *     <td>a request's body as it comes where it is gzip; {@code max_body} counts when it is inflated</td></tr>
 * <tr><td>{@code max_connections}</td><td>connections</td><td>1000</td><td>of one binding; more: 503 and closed</td></tr>
 * <tr><td>{@code max_connections_per_peer}</td><td>connections</td><td>100</td><td>from one address; likewise</td></tr>
 * <tr><td>{@code hosts}</td><td></td><td>any</td>
 *     <td>comma-separated names, without ports: a request whose {@code Host} is another is 403, so that no web page gets
 *     here under a name of its own</td></tr>
 * <tr><td>{@code origins}</td><td></td><td>none</td>
 *     <td>comma-separated, such as {@code https://console.example}: requests of other web pages are 403</td></tr>
 * <tr><td>{@code header_timeout}</td><td>duration</td><td>10 s</td>
 *     <td>from accepting, later from a request's first byte, to the end of its head</td></tr>
 * <tr><td>{@code body_timeout}</td><td>duration</td><td>30 s</td><td>from a request's head to its last byte</td></tr>
 * <tr><td>{@code idle_timeout}</td><td>duration</td><td>60 s</td>
 *     <td>a server's connection without a request; a client drops its idle ones at half of it</td></tr>
 * <tr><td>{@code connect_timeout}</td><td>duration</td><td>5 s</td><td>of a client, looking up the name included</td></tr>
 * <tr><td>{@code client_connections}</td><td>connections</td><td>64</td>
 *     <td>tasks under way from one client; health and version checks never wait for them</td></tr>
 * <tr><td>{@code client_waiting}</td><td>calls</td><td>1024</td>
 *     <td>calls of one client that wait for a connection; more are refused at once</td></tr>
 * <tr><td>{@code max_answer}</td><td>bytes</td><td>64 MiB</td><td>an answer's body, at a client, inflated</td></tr>
 * <tr><td>{@code client_gzip}</td><td></td><td>answers</td>
 *     <td>what a client lets travel as gzip from 1 KiB on: {@code none}, {@code answers}, or {@code both}, which slaves of
 *     the original protocol do not understand</td></tr>
 * <tr><td>{@code tls_cert}, {@code tls_key}</td><td>PEM files</td><td></td>
 *     <td>what a server shows for https: its certificate with those between it and the CA, and its key (PKCS#8, not
 *     encrypted, closed to others)</td></tr>
 * <tr><td>{@code tls_client_ca}</td><td>PEM file</td><td></td>
 *     <td>the CAs whose clients alone a server lets in</td></tr>
 * <tr><td>{@code tls_ca}</td><td>PEM file</td><td>the JDK's CAs</td><td>the CAs whose slaves a client trusts</td></tr>
 * <tr><td>{@code tls_client_cert}, {@code tls_client_key}</td><td>PEM files</td><td></td>
 *     <td>what a client shows to a server that asks, like {@code tls_cert} and {@code tls_key}</td></tr>
 * <tr><td>{@code tls_handshake_timeout}</td><td>duration</td><td>5 s</td><td>from connecting to the first request</td></tr>
 * </table>
 *
 * <p>TLS is 1.3 or 1.2. A client always checks that the certificate is for the host that it asked for. The files are read
 * again when they change; those that cannot be used then leave the ones before in use.
 */
public final class NettyTransportProvider implements TransportProvider {

    /** Creates the provider; for {@link java.util.ServiceLoader}. */
    public NettyTransportProvider() {}

    @Override
    public Set<String> schemes() {
        return Set.of(HttpAddress.HTTP, HttpAddress.HTTPS);
    }

    @Override
    public String prefix() {
        return HttpAddress.HTTP;
    }

    @Override
    public Transport create(Options options) {
        return new NettyTransport(HttpSettings.read(options));
    }
}
