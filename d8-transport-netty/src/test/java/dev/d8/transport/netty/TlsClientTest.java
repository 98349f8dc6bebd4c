package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.ProtocolException;
import dev.d8.SlaveUnreachableException;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.X509Bundle;
import java.net.InetAddress;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLServerSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where TLS does not come about, nothing was sent, and the message says why and what to do. */
@ExtendWith(NoLeaks.class)
class TlsClientTest {

    private final List<Transport> transports = new ArrayList<>();

    @TempDir
    private Path folder;

    private Map<String, String> trusting = Map.of();

    @BeforeEach
    void prepare() {
        trusting = Map.of("tls_ca", TestCertificates.file(folder, "ca.pem", TestCertificates.CA.getCertificatePEM()));
    }

    @AfterEach
    void close() {
        transports.forEach(Transport::close);
    }

    private SlaveClient client(URI slave, Map<String, String> options) {
        Transport transport = new NettyTransportProvider().create(Options.of(options));
        transports.add(transport);
        return transport.connect(slave, new Credentials(Slave.TOKEN));
    }

    private static Throwable failure(CompletableFuture<?> call) throws Exception {
        return call.handle((value, failure) -> failure == null ? new AssertionError("got " + value) : failure)
                .get(30, TimeUnit.SECONDS);
    }

    /** Both kinds of calls fail as something that certainly was not done, and say so in these words. */
    private static void assertUnreachable(SlaveClient client, String... words) throws Exception {
        for (int i = 0; i < 20; i++) { // In TLS 1.3 the request and the slave's refusal pass each other.
            assertThat(failure(client.execute(Invocation.python("x").build(), ExecutionListener.NONE)))
                    .isInstanceOf(SlaveUnreachableException.class)
                    .hasMessageContaining("cannot reach https://")
                    .hasMessageContainingAll(words);
        }
        assertThat(failure(client.health()))
                .isInstanceOf(SlaveUnreachableException.class)
                .hasMessageContainingAll(words);
    }

    private static Map<String, String> with(Map<String, String> options, String name, String value) {
        Map<String, String> all = new HashMap<>(options);
        all.put(name, value);
        return all;
    }

    private Slave slave(Map<String, String> options) {
        return new Slave(options.entrySet().stream()
                .flatMap(option -> List.of(option.getKey(), option.getValue()).stream())
                .toArray(String[]::new));
    }

    private Slave slave(X509Bundle certificate) {
        return slave(TestCertificates.server(folder, certificate));
    }

    /** A server that shows a certificate which D8's would refuse. */
    private static OddSlave odd(X509Bundle certificate, boolean wantsCertificate, String... protocols)
            throws Exception {
        SSLServerSocket socket = (SSLServerSocket) TestCertificates.jdk(certificate)
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        socket.setNeedClientAuth(wantsCertificate);
        if (protocols.length > 0) {
            socket.setEnabledProtocols(protocols);
        }
        return new OddSlave(socket, OddSlave.Peer::readRequest);
    }

    private static URI https(URI slave) {
        return URI.create("https://" + slave.getAuthority());
    }

    private static X509Bundle good() {
        return TestCertificates.issued(TestCertificates.loopback(), TestCertificates.CA);
    }

    @Test
    void a_ca_that_is_not_trusted() throws Exception {
        try (Slave slave = slave(TestCertificates.issued(TestCertificates.loopback(), TestCertificates.OTHER_CA))) {
            assertUnreachable(client(slave.binding.uri(), trusting), "no CA that is trusted here", "--tls-ca");
            assertUnreachable(client(slave.binding.uri(), Map.of()), "no CA that is trusted here", "--tls-ca");
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void a_certificate_for_another_host() throws Exception {
        try (Slave slave = slave(TestCertificates.issued(
                new CertificateBuilder().subject("CN=127.0.0.1").addSanDnsName("other.example"),
                TestCertificates.CA))) {
            assertUnreachable(client(slave.binding.uri(), trusting), "for another host", "127.0.0.1", "keygen --host");
            URI byName = URI.create("https://localhost:" + slave.binding.uri().getPort());
            assertUnreachable(client(byName, trusting), "for another host", "localhost");
        }
    }

    @Test
    void a_name_and_an_address_that_the_certificate_has() throws Exception {
        CertificateBuilder names = TestCertificates.loopback().addSanDnsName("localhost");
        try (Slave slave = slave(TestCertificates.issued(names, TestCertificates.CA))) {
            int port = slave.binding.uri().getPort();
            for (String host : List.of("localhost", "127.0.0.1")) {
                assertThat(client(URI.create("https://" + host + ":" + port), trusting)
                                .health()
                                .get(30, TimeUnit.SECONDS)
                                .status())
                        .isEqualTo(Health.HEALTHY);
            }
        }
    }

    @Test
    void a_certificate_that_nobody_else_signed_can_be_trusted_itself() throws Exception {
        X509Bundle own = TestCertificates.selfSigned(TestCertificates.loopback());
        Map<String, String> options =
                Map.of("tls_ca", TestCertificates.file(folder, "own.pem", own.getCertificatePEM()));
        try (Slave slave = slave(own)) {
            assertThat(client(slave.binding.uri(), options)
                            .health()
                            .get(30, TimeUnit.SECONDS)
                            .status())
                    .isEqualTo(Health.HEALTHY);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void a_certificate_that_has_expired(boolean selfSigned) throws Exception {
        CertificateBuilder past = TestCertificates.loopback()
                .notBefore(Instant.now().minus(Duration.ofDays(20)))
                .notAfter(Instant.now().minus(Duration.ofDays(10)));
        X509Bundle expired =
                selfSigned ? TestCertificates.selfSigned(past) : TestCertificates.issued(past, TestCertificates.CA);
        Map<String, String> options = selfSigned
                ? Map.of("tls_ca", TestCertificates.file(folder, "own.pem", expired.getCertificatePEM()))
                : trusting;
        try (OddSlave slave = odd(expired, false)) {
            assertUnreachable(client(https(slave.uri()), options), "has expired", "Renew it");
        }
    }

    @Test
    void a_certificate_of_tomorrow() throws Exception {
        CertificateBuilder future = TestCertificates.loopback()
                .notBefore(Instant.now().plus(Duration.ofDays(1)))
                .notAfter(Instant.now().plus(Duration.ofDays(10)));
        try (OddSlave slave = odd(TestCertificates.issued(future, TestCertificates.CA), false)) {
            assertUnreachable(client(https(slave.uri()), trusting), "not valid yet", "clocks");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.3", "TLSv1.2"})
    void no_certificate_for_a_slave_that_wants_one(String version) throws Exception {
        try (OddSlave slave = odd(good(), true, version)) {
            assertUnreachable(
                    client(https(slave.uri()), trusting),
                    "wants a certificate",
                    "--tls-client-cert",
                    "--tls-client-key");
        }
    }

    @Test
    void no_certificate_or_a_strange_one_for_d8s_own_slave() throws Exception {
        Map<String, String> options = TestCertificates.mutual(folder);
        X509Bundle stranger =
                TestCertificates.issued(new CertificateBuilder().subject("CN=a stranger"), TestCertificates.OTHER_CA);
        try (Slave slave = slave(options)) {
            assertUnreachable(client(slave.binding.uri(), trusting), "wants a certificate", "--tls-client-cert");

            options.put("tls_client_cert", TestCertificates.file(folder, "s.pem", stranger.getCertificatePathPEM()));
            options.put("tls_client_key", TestCertificates.file(folder, "s-key.pem", stranger.getPrivateKeyPEM()));
            assertUnreachable(
                    client(slave.binding.uri(), options), "does not accept this side's certificate", "--tls-client-ca");
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void a_slave_without_tls() throws Exception {
        try (Slave slave = new Slave()) {
            assertUnreachable(
                    client(https(slave.binding.uri()), trusting), "does not speak TLS", "http://", "--tls-cert");
        }
        try (OddSlave slave = new OddSlave(peer -> {})) {
            assertUnreachable(client(https(slave.uri()), trusting), "instead of a TLS handshake");
        }
    }

    @Test
    void a_slave_with_tls_that_is_asked_without() throws Exception {
        try (Slave slave = slave(good())) {
            SlaveClient client =
                    client(URI.create("http://" + slave.binding.uri().getAuthority()), Map.of());
            assertThat(failure(client.health()))
                    .isInstanceOf(ProtocolException.class)
                    .hasMessageContaining("speaks TLS");
            assertThat(failure(client.execute(Invocation.python("x").build(), ExecutionListener.NONE)))
                    .isInstanceOf(InvalidTaskException.class)
                    .hasMessageContaining("https://");
        }
    }

    @Test
    void a_slave_that_does_not_go_on() throws Exception {
        try (OddSlave slave = new OddSlave(OddSlave.Peer::awaitEnd)) {
            SlaveClient client = client(https(slave.uri()), with(trusting, "tls_handshake_timeout", "0.05"));
            assertUnreachable(client, "no TLS handshake within 0.05 s");
        }
    }

    @Test
    void a_client_that_is_closed_meanwhile_sends_nothing() throws Exception {
        try (OddSlave slave = new OddSlave(OddSlave.Peer::awaitEnd)) {
            SlaveClient client = client(https(slave.uri()), trusting);
            var call = client.execute(Invocation.python("x").build(), ExecutionListener.NONE);
            client.close();
            assertThat(failure(call)).isInstanceOf(SlaveUnreachableException.class);
        }
    }

    @Test
    void a_slave_that_speaks_something_older_only() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.send("\u0015\u0003\u0001\u0000\u0002\u0002F");
            peer.awaitEnd();
        })) {
            assertUnreachable(client(https(slave.uri()), trusting), "neither TLS 1.3 nor TLS 1.2");
        }
    }

    @Test
    void connections_are_used_again_and_a_changed_ca_counts_for_new_ones() throws Exception {
        try (Slave slave = slave(good())) {
            SlaveClient client = client(slave.binding.uri(), with(trusting, "client_connections", "1"));
            for (int i = 0; i < 5; i++) {
                client.health().get(30, TimeUnit.SECONDS);
            }
            TestCertificates.file(folder, "ca.pem", TestCertificates.OTHER_CA.getCertificatePEM());
            assertThat(client.health().get(30, TimeUnit.SECONDS).status()).isEqualTo(Health.HEALTHY);

            SlaveClient other = transports.get(0).connect(slave.binding.uri(), new Credentials(Slave.TOKEN));
            assertUnreachable(other, "no CA that is trusted here");
        }
    }
}
