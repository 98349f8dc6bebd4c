package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.UnknownOutcomeException;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import dev.d8.testkit.RecordingSlaveService;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Bodies that travel as gzip, both ways, and those that mean harm. */
@ExtendWith(NoLeaks.class)
class GzipTest {

    private static final byte[] TASK = "{\"command\":\"print(55)\"}".getBytes(StandardCharsets.US_ASCII);

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(bytes);
        }
        return packed.toByteArray();
    }

    private static byte[] zeros(int length) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            for (int i = 0; i < length / 1000; i++) {
                out.write(new byte[1000]);
            }
        }
        return packed.toByteArray();
    }

    private static RawConnection.Reply send(Slave slave, byte[] packed) throws IOException {
        try (RawConnection connection = slave.open()) {
            return connection
                    .send("POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION
                            + "Content-Encoding: gzip\r\nContent-Length: " + packed.length + "\r\n\r\n")
                    .send(packed)
                    .read();
        }
    }

    @Test
    void a_packed_request_is_understood() throws Exception {
        try (Slave slave = new Slave()) {
            assertThat(send(slave, gzip(TASK)).status()).isEqualTo(200);
            assertThat(slave.service.takeCall().invocation().source()).isEqualTo("print(55)");
        }
    }

    @Test
    void what_inflates_beyond_the_limit_is_refused_long_before_it_is_inflated() throws Exception {
        byte[] bomb = zeros(100_000_000);
        assertThat(bomb).hasSizeLessThan(110_000);
        try (Slave slave = new Slave()) {
            RawConnection.Reply reply = send(slave, bomb);
            assertThat(reply.status()).isEqualTo(413);
            assertThat(reply.body()).contains("more than 8388608 bytes");
        }
    }

    @Test
    void the_limit_counts_inflated_bytes_to_the_byte_and_packed_ones_too() throws Exception {
        String body = new String(TASK, StandardCharsets.US_ASCII) + " ".repeat(5000);
        byte[] packed = gzip(body.getBytes(StandardCharsets.US_ASCII));
        try (Slave slave = new Slave("max_body", String.valueOf(body.length()))) {
            assertThat(send(slave, packed).status()).isEqualTo(200);
        }
        try (Slave slave = new Slave("max_body", String.valueOf(body.length() - 1))) {
            assertThat(send(slave, packed).status()).isEqualTo(413);
        }
        try (Slave slave = new Slave("max_packed_body", String.valueOf(packed.length))) {
            assertThat(send(slave, packed).status()).isEqualTo(200);
        }
        try (Slave slave = new Slave("max_packed_body", String.valueOf(packed.length - 1))) {
            RawConnection.Reply reply = send(slave, packed);
            assertThat(reply.status()).isEqualTo(413);
            assertThat(reply.body()).contains("packed");
        }
    }

    @Test
    void what_is_cut_short_or_goes_on_or_is_broken_is_malformed() throws Exception {
        byte[] good = gzip(TASK);
        byte[] longer = Arrays.copyOf(good, good.length + 1);
        byte[] twice = Arrays.copyOf(good, good.length * 2);
        System.arraycopy(good, 0, twice, good.length, good.length);
        byte[] wrongSum = good.clone();
        wrongSum[good.length - 5] ^= 1;
        byte[] broken = good.clone();
        broken[12] ^= 0x7f;
        try (Slave slave = new Slave()) {
            for (byte[] bad : new byte[][] {
                Arrays.copyOf(good, good.length - 1), Arrays.copyOf(good, 15), longer, twice, wrongSum, broken, TASK, {}
            }) {
                RawConnection.Reply reply = send(slave, bad);
                assertThat(reply.status()).as(Arrays.toString(bad)).isEqualTo(400);
            }
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void every_head_that_the_format_allows_is_skipped() throws Exception {
        byte[] plain = gzip(TASK);
        ByteArrayOutputStream rich = new ByteArrayOutputStream();
        rich.write(plain, 0, 3);
        rich.write(2 + 4 + 8 + 16);
        rich.write(plain, 4, 6);
        rich.writeBytes(new byte[] {3, 0, 1, 2, 3, 'n', 0, 'c', 'c', 0, 9, 9});
        rich.write(plain, 10, plain.length - 10);
        assertThat(Gzip.unpack(rich.toByteArray(), 1000)).isEqualTo(TASK);
        for (int length = 0; length < rich.size(); length++) {
            byte[] cut = Arrays.copyOf(rich.toByteArray(), length);
            assertThatThrownBy(() -> Gzip.unpack(cut, 1000)).isInstanceOf(IOException.class);
        }
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "none",
            value = {
                "gzip, true",
                "'deflate, GZIP;q=0.5', true",
                "gzip;q=0, false",
                "'gzip;q=0.000', false",
                "identity, false",
                "none, false"
            })
    void an_answer_is_packed_where_that_is_understood(@Nullable String accepted, boolean packed) throws Exception {
        try (Slave slave = new Slave()) {
            slave.service.answering(invocation -> CompletableFuture.completedFuture(
                    RecordingSlaveService.result(invocation, Output.of("x".repeat(5000)))));
            HttpURLConnection call = (HttpURLConnection)
                    slave.binding.uri().resolve("/api/execute").toURL().openConnection();
            call.setRequestProperty("Authorization", "Bearer " + Slave.TOKEN.reveal());
            call.setRequestProperty("Content-Type", "application/json");
            if (accepted != null) {
                call.setRequestProperty("Accept-Encoding", accepted);
            }
            call.setDoOutput(true);
            call.getOutputStream().write(TASK);
            byte[] body = call.getInputStream().readAllBytes();
            assertThat(call.getHeaderField("Content-Encoding")).isEqualTo(packed ? "gzip" : null);
            assertThat(call.getHeaderField("Vary")).isEqualTo(packed ? "Accept-Encoding" : null);
            if (packed) {
                body = new GZIPInputStream(new ByteArrayInputStream(body)).readAllBytes();
            }
            assertThat(new String(body, StandardCharsets.UTF_8)).contains("x".repeat(5000));
        }
    }

    @ParameterizedTest
    @CsvSource({"none", "answers", "both"})
    void a_client_and_a_slave_understand_each_other(String packed) throws Exception {
        String source = "# a comment\n".repeat(1000) + "print(55)";
        try (Slave slave = new Slave("client_gzip", packed, "max_packed_body", "2000");
                SlaveClient client = slave.client()) {
            assertThat(client.execute(Invocation.python(source).build(), ExecutionListener.NONE)
                            .get(30, TimeUnit.SECONDS)
                            .output())
                    .isEqualTo(source);
        }
    }

    @Test
    void an_answer_that_inflates_beyond_the_limit_is_no_answer() throws Exception {
        try (Slave slave = new Slave("max_answer", "4000");
                SlaveClient client = slave.client()) {
            slave.service.answering(invocation -> CompletableFuture.completedFuture(
                    RecordingSlaveService.result(invocation, Output.of("x".repeat(5000)))));
            assertThatThrownBy(() -> client.execute(Invocation.python("").build(), ExecutionListener.NONE)
                            .get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(UnknownOutcomeException.class)
                    .hasMessageContaining("more than 4000 bytes");
        }
    }
}
