package dev.d8.slave;

import dev.d8.InvalidTaskException;
import dev.d8.Output;
import dev.d8.internal.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Takes the lines out of a task's standard output by which it tells its progress: {@code ::d8::{"progress": 50, "message":
 * "half"}}, each on a line of its own. What only looks like one is output and passes as it is. Not thread-safe.
 */
final class ProgressFilter {

    private static final byte[] MARK = "::d8::{".getBytes(StandardCharsets.US_ASCII);

    /** A longer line tells no progress. */
    private static final int LONGEST = 8192;

    /** What comes out. */
    interface Sink {
        void output(byte[] bytes);

        void progress(double percent, String message);
    }

    private final Sink sink;
    /** The line so far, while it may still be one of ours. */
    private final ByteArrayOutputStream held = new ByteArrayOutputStream();

    private boolean holding = true;

    ProgressFilter(Sink sink) {
        this.sink = sink;
    }

    /** Takes the next bytes, cut anywhere. */
    void accept(byte[] chunk) {
        int plain = 0; // From here on nothing has been passed on yet, if nothing is held.
        for (int i = 0; i < chunk.length; i++) {
            if (!holding) {
                int end = indexOfNewline(chunk, i);
                if (end < 0) {
                    break;
                }
                i = end;
                holding = true;
                continue;
            }
            if (held.size() == 0 && chunk[i] != MARK[0]) {
                holding = chunk[i] == '\n';
                continue;
            }
            if (held.size() == 0) {
                pass(chunk, plain, i);
            }
            held.write(chunk[i]);
            plain = i + 1;
            int size = held.size();
            if (chunk[i] == '\n') {
                finishLine();
            } else if (size > LONGEST || (size <= MARK.length && chunk[i] != MARK[size - 1])) {
                release();
                holding = false;
            }
        }
        pass(chunk, plain, chunk.length);
    }

    private static int indexOfNewline(byte[] chunk, int from) {
        for (int i = from; i < chunk.length; i++) {
            if (chunk[i] == '\n') {
                return i;
            }
        }
        return -1;
    }

    /** Says that no more comes. */
    void end() {
        if (held.size() > 0) {
            finishLine();
        }
    }

    private void finishLine() {
        byte[] line = held.toByteArray();
        Optional<Progress> progress = read(line);
        if (progress.isPresent()) {
            held.reset();
            sink.progress(progress.get().percent(), progress.get().message());
        } else {
            release();
        }
    }

    private void release() {
        byte[] line = held.toByteArray();
        held.reset();
        sink.output(line);
    }

    private void pass(byte[] chunk, int from, int to) {
        if (from < to) {
            sink.output(from == 0 && to == chunk.length ? chunk : Arrays.copyOfRange(chunk, from, to));
        }
    }

    private record Progress(double percent, String message) {}

    private static Optional<Progress> read(byte[] line) {
        if (line.length <= MARK.length) {
            return Optional.empty();
        }
        String json = new String(line, MARK.length - 1, line.length - MARK.length + 1, StandardCharsets.UTF_8);
        try {
            Map<String, @Nullable Object> fields = Json.parseMap("progress", json);
            boolean fits = fields.get("progress") instanceof Number percent
                    && percent.doubleValue() >= 0
                    && percent.doubleValue() <= 100
                    && (fields.get("message") == null || fields.get("message") instanceof String);
            return fits
                    ? Optional.of(new Progress(
                            ((Number) java.util.Objects.requireNonNull(fields.get("progress"))).doubleValue(),
                            fields.get("message") instanceof String message ? message : ""))
                    : Optional.empty();
        } catch (InvalidTaskException e) {
            return Optional.empty(); // It only looked like one.
        }
    }

    /** Returns what a task wrote without these lines; what was cut off at the limit stays as it is. */
    static Output without(Output output) {
        byte[] bytes = output.bytes();
        if (!new String(bytes, StandardCharsets.ISO_8859_1).contains("::d8::{")) {
            return output;
        }
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        ProgressFilter filter = new ProgressFilter(new Sink() {
            @Override
            public void output(byte[] piece) {
                kept.writeBytes(piece);
            }

            @Override
            public void progress(double percent, String message) {}
        });
        filter.accept(bytes);
        filter.end();
        int dropped = bytes.length - kept.size();
        return Output.of(kept.toByteArray(), output.totalBytes() - dropped);
    }
}
