package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.testkit.RecordingSlaveService;
import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.X509Bundle;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** A server with TLS, as peers see it that are not D8's. */
@ExtendWith(NoLeaks.class)
class TlsServerTest {

    private static final String GET = "GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n";
    private static final Logger LOG = (Logger) LoggerFactory.getLogger("dev.d8.transport.netty");
    private final ListAppender<ILoggingEvent> logged = new ListAppender<>();

    @TempDir
    private Path folder;

    @BeforeEach
    void listen() {
        logged.list = new java.util.concurrent.CopyOnWriteArrayList<>();
        logged.start();
        LOG.setLevel(Level.DEBUG);
        LOG.addAppender(logged);
    }

    @AfterEach
    void stopListening() {
        LOG.detachAppender(logged);
        LOG.setLevel(null);
    }

    private Slave slave(String... settings) {
        return slave(TestCertificates.issued(TestCertificates.loopback(), TestCertificates.CA), settings);
    }

    private Slave slave(X509Bundle certificate, String... settings) {
        return slave(TestCertificates.server(folder, certificate), settings);
    }

    private static Slave slave(Map<String, String> options, String... settings) {
        for (int i = 0; i < settings.length; i += 2) {
            options.put(settings[i], settings[i + 1]);
        }
        return new Slave(options.entrySet().stream()
                .flatMap(option -> List.of(option.getKey(), option.getValue()).stream())
                .toArray(String[]::new));
    }

    /** Connects with the JDK's TLS. */
    private static SSLSocket open(Slave slave, String... protocols) throws Exception {
        SSLContext jdk = TestCertificates.jdk(
                TestCertificates.issued(new CertificateBuilder().subject("CN=a peer"), TestCertificates.CA));
        SSLSocket socket = (SSLSocket) jdk.getSocketFactory()
                .createSocket(
                        InetAddress.getLoopbackAddress(), slave.binding.uri().getPort());
        if (protocols.length > 0) {
            socket.setEnabledProtocols(protocols);
        }
        return socket;
    }

    private static String health(SSLSocket socket) throws IOException {
        return new RawConnection(socket).send(GET).read().body();
    }

    private List<String> messages(Level level) {
        return logged.list.stream()
                .filter(event -> event.getLevel() == level)
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"TLSv1.3", "TLSv1.2"})
    void both_versions_of_today_are_spoken(String version) throws Exception {
        try (Slave slave = slave();
                SSLSocket socket = open(slave, version)) {
            assertThat(health(socket)).contains("healthy");
            assertThat(socket.getSession().getProtocol()).isEqualTo(version);
            assertThat(socket.getSession().getCipherSuite()).contains("GCM");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0x0300, 0x0301, 0x0302})
    void older_versions_are_refused(int version) throws Exception {
        // Written by hand: today's JDKs do not even offer them.
        byte[] hello = ByteBuffer.allocate(52)
                .put(new byte[] {0x16, 3, 1, 0, 47, 1, 0, 0, 43})
                .putShort((short) version)
                .put(new byte[33])
                .put(new byte[] {0, 4, (byte) 0xC0, 0x13, 0, 0x2F, 1, 0})
                .array();
        try (Slave slave = slave();
                RawConnection connection = slave.open()) {
            byte[] answer = connection.send(hello).readToEnd().getBytes(StandardCharsets.ISO_8859_1);

            byte[] protocolVersion = {2, 70};
            assertThat(answer[0]).as("an alert").isEqualTo((byte) 0x15);
            assertThat(Arrays.copyOfRange(answer, 5, 7)).isEqualTo(protocolVersion);
        }
    }

    @Test
    void plain_http_is_told_so_and_never_served() throws Exception {
        try (Slave slave = slave();
                RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection
                    .send(Slave.execute("{\"command\":\"print(55)\"}"))
                    .read();

            assertThat(reply.status()).isEqualTo(400);
            assertThat(reply.body()).contains("https://");
            assertThat(connection.readToEnd()).isIn("", "reset: Connection reset");
            assertThat(slave.service.callsLeft()).isZero();
        }
        assertThat(logged.list).singleElement().satisfies(event -> {
            assertThat(event.getLevel()).isEqualTo(Level.DEBUG);
            assertThat(event.getThrowableProxy()).isNull();
            assertThat(event.getFormattedMessage())
                    .contains("not TLS")
                    .doesNotContain(
                            HexFormat.of().formatHex(Slave.TOKEN.reveal().getBytes(StandardCharsets.UTF_8)));
        });
    }

    @Test
    void a_handshake_that_never_ends_is_ended() throws Exception {
        try (Slave slave = slave("tls_handshake_timeout", "0.2");
                RawConnection silent = slave.open();
                RawConnection halfway = slave.open()) {
            halfway.send(new byte[] {0x16, 3, 1, 0, 47, 1, 0});
            assertThat(silent.readToEnd()).isEmpty();
            assertThat(halfway.readToEnd()).isEmpty();
        }
        assertThat(logged.list).noneMatch(event -> event.getLevel() != Level.DEBUG);
    }

    @Test
    void who_has_not_finished_the_handshake_counts_as_a_connection() throws Exception {
        try (Slave slave = slave("max_connections", "1", "tls_handshake_timeout", "60")) {
            int status = 200;
            // Event loops take connections each in its own time: the first may come second, and be the one too many.
            for (int i = 0; i < 100 && status == 200; i++) {
                try (RawConnection silent = slave.open();
                        SSLSocket second = open(slave)) {
                    assertThat(silent).isNotNull();
                    RawConnection.Reply reply =
                            new RawConnection(second).send(GET).read();
                    status = reply.status();
                    assertThat(reply.headers().containsKey("d8-not-started")).isEqualTo(status == 503);
                }
            }
            assertThat(status).isEqualTo(503);
        }
    }

    @Test
    void closing_the_binding_does_not_wait_for_handshakes() throws Exception {
        try (Slave slave = slave("tls_handshake_timeout", "3600");
                RawConnection silent = slave.open();
                SSLSocket served = open(slave)) {
            assertThat(health(served)).contains("healthy"); // So the server has the other one, too.
            slave.binding.closeAsync().get(30, TimeUnit.SECONDS);
            silent.readToEnd();
        }
    }

    @Test
    void nothing_is_negotiated_anew() throws Exception {
        try (Slave slave = slave();
                SSLSocket socket = open(slave, "TLSv1.2")) {
            assertThat(health(socket)).contains("healthy");
            assertThatThrownBy(() -> {
                        socket.startHandshake();
                        health(socket);
                    })
                    .isInstanceOf(IOException.class);
        }
        assertThat(messages(Level.DEBUG)).anyMatch(message -> message.contains("negotiate anew"));
        assertThat(logged.list).noneMatch(event -> event.getLevel() != Level.DEBUG);
    }

    @Test
    void damaged_records_end_the_connection_without_noise() throws Exception {
        try (Slave slave = slave();
                SSLSocket socket = open(slave)) {
            health(socket);
        }
        try (Slave slave = slave();
                java.net.Socket below = new java.net.Socket(
                        InetAddress.getLoopbackAddress(), slave.binding.uri().getPort());
                SSLSocket above = (SSLSocket) TestCertificates.jdk(TestCertificates.CA)
                        .getSocketFactory()
                        .createSocket(below, "127.0.0.1", 0, false)) {
            health(above);
            below.getOutputStream()
                    .write(new byte[] {0x17, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
                    });
            assertThat(catchThrowable(() -> new RawConnection(above).read())).isInstanceOf(SSLException.class);
        }
        assertThat(messages(Level.DEBUG)).anyMatch(message -> message.contains("TLS failed"));
        assertThat(logged.list).noneMatch(event -> event.getLevel() != Level.DEBUG);
    }

    @Test
    void a_body_that_nobody_wants_does_not_destroy_the_answer() throws Exception {
        for (String version : List.of("TLSv1.3", "TLSv1.2")) {
            try (Slave slave = slave();
                    SSLSocket socket = open(slave, version);
                    RawConnection connection = new RawConnection(socket)) {
                connection.send("POST /api/execute HTTP/1.1\r\nHost: d8\r\nContent-Length: 20000000\r\n\r\n");
                byte[] megabyte = new byte[1 << 20];
                for (int i = 0; i < 19; i++) {
                    connection.send(megabyte);
                }
                assertThat(connection.read().status()).isEqualTo(401);
                assertThat(connection.readToEnd()).isEmpty();
            }
        }
    }

    @Test
    void a_peer_that_says_goodbye_is_gone_and_its_task_is_ended() throws Exception {
        try (Slave slave = slave();
                SSLSocket socket = open(slave)) {
            slave.service.hanging();
            new RawConnection(socket).send(Slave.execute("{\"command\":\"print(55)\"}"));
            RecordingSlaveService.Call call = slave.service.takeCall();

            socket.shutdownOutput(); // TLS's own end of the stream; the connection below stays.

            assertThat(catchThrowable(() -> call.answer().get(30, TimeUnit.SECONDS)))
                    .isInstanceOf(CancellationException.class);
        }
    }

    @Test
    void a_caller_with_a_certificate_of_the_right_ca_is_let_in_and_known() throws Exception {
        for (String version : List.of("TLSv1.3", "TLSv1.2")) {
            try (Slave slave = slave(TestCertificates.mutual(folder));
                    SSLSocket socket = open(slave, version)) {
                assertThat(health(socket)).contains("healthy");
            }
            assertThat(messages(Level.DEBUG)).anyMatch(message -> message.endsWith("it is CN=a peer"));
            logged.list.clear();
        }
    }

    @Test
    void a_changed_certificate_is_shown_to_new_connections_and_old_ones_go_on() throws Exception {
        X509Bundle second =
                TestCertificates.issued(TestCertificates.loopback().subject("CN=second"), TestCertificates.CA);
        try (Slave slave = slave();
                SSLSocket before = open(slave)) {
            assertThat(health(before)).contains("healthy");

            TestCertificates.file(folder, "cert.pem", second.getCertificatePathPEM());
            assertThat(subject(slave)).as("half of a pair is no use").isEqualTo("CN=loopback");
            assertThat(subject(slave)).isEqualTo("CN=loopback");
            assertThat(messages(Level.WARN))
                    .singleElement()
                    .satisfies(told -> assertThat(told).contains("keeps what it has", "not the key", "cert.pem"));

            Path key = Path.of(TestCertificates.file(folder, "key.pem", second.getPrivateKeyPEM()));
            Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
            assertThat(subject(slave)).isEqualTo("CN=loopback");
            Files.delete(folder.resolve("cert.pem"));
            assertThat(subject(slave)).isEqualTo("CN=loopback");
            TestCertificates.file(folder, "cert.pem", "not a certificate");
            assertThat(subject(slave)).isEqualTo("CN=loopback");
            TestCertificates.file(folder, "cert.pem", second.getCertificatePathPEM());
            assertThat(subject(slave)).isEqualTo("CN=loopback");
            Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-------"));

            assertThat(subject(slave)).isEqualTo("CN=second");
            assertThat(health(before)).contains("healthy");
            assertThat(messages(Level.INFO))
                    .singleElement()
                    .satisfies(told -> assertThat(told).contains("took the changed"));
        }
    }

    private static String subject(Slave slave) throws Exception {
        try (SSLSocket socket = open(slave)) {
            health(socket);
            return socket.getSession().getPeerPrincipal().getName();
        }
    }

    @Test
    void callers_without_a_certificate_get_nothing() throws Exception {
        try (Slave slave = slave(TestCertificates.mutual(folder))) {
            SSLContext nobody = SSLContext.getInstance("TLS");
            nobody.init(null, TestCertificates.CA.toTrustManagerFactory().getTrustManagers(), null);
            for (String version : List.of("TLSv1.3", "TLSv1.2")) {
                try (SSLSocket socket = (SSLSocket) nobody.getSocketFactory()
                        .createSocket(
                                InetAddress.getLoopbackAddress(),
                                slave.binding.uri().getPort())) {
                    socket.setEnabledProtocols(new String[] {version});
                    assertThat(catchThrowable(() -> health(socket))).isInstanceOf(IOException.class);
                }
            }
            assertThat(logged.list).noneMatch(event -> event.getLevel() != Level.DEBUG);
        }
    }
}
