package dev.d8.transport.netty;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;

/** The contract that a slave shows to whoever asks: {@code docs/openapi.yaml}, as JSON. */
final class OpenApi {

    /** What it is made into. */
    static final String RESOURCE = "openapi.json";

    static final Answer ANSWER = Answer.ok(read());

    private OpenApi() {}

    private static byte[] read() {
        try (InputStream in = OpenApi.class.getResourceAsStream(RESOURCE)) {
            return Objects.requireNonNull(in, RESOURCE).readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
