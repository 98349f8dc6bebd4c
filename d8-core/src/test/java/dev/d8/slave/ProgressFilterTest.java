package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Output;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProgressFilterTest {

    /** What comes out, as one text: output as it is, progress in brackets. */
    private static String filtered(byte[]... chunks) {
        ByteArrayOutputStream seen = new ByteArrayOutputStream();
        ProgressFilter filter = new ProgressFilter(new ProgressFilter.Sink() {
            @Override
            public void output(byte[] bytes) {
                seen.writeBytes(bytes);
            }

            @Override
            public void progress(double percent, String message) {
                seen.writeBytes(("<" + percent + " " + message + ">").getBytes(StandardCharsets.UTF_8));
            }
        });
        for (byte[] chunk : chunks) {
            filter.accept(chunk);
        }
        filter.end();
        return seen.toString(StandardCharsets.UTF_8);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void progress_is_taken_out_where_it_stands() {
        assertThat(filtered(bytes(
                        "a\n::d8::{\"progress\": 50, \"message\": \"h\u00e4lf\"}\nb\n::d8::{\"progress\":100}\n")))
                .isEqualTo("a\n<50.0 h\u00e4lf>b\n<100.0 >");
    }

    @Test
    void the_last_line_needs_no_newline() {
        assertThat(filtered(bytes("::d8::{\"progress\":1}"))).isEqualTo("<1.0 >");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x ::d8::{\"progress\":1}\n",
                " ::d8::{\"progress\":1}\n",
                "::d8::\n",
                "::d8::{\n",
                "::d8::{}\n",
                "::d8::{\"progress\":\"1\"}\n",
                "::d8::{\"progress\":-1}\n",
                "::d8::{\"progress\":101}\n",
                "::d8::{\"progress\":1,\"message\":2}\n",
                "::d8::{\"progress\":1} and more\n",
                "::d8::{\"progress\":NaN}\n",
                "::d9::{\"progress\":1}\n",
                ":\n::\n",
                "::d8::{not json"
            })
    void what_only_looks_like_progress_is_output(String text) {
        assertThat(filtered(bytes(text))).isEqualTo(text);
    }

    @Test
    void a_line_that_is_too_long_is_output() {
        String line = "::d8::{\"progress\":1,\"message\":\"" + "x".repeat(10_000) + "\"}\nafter\n";
        assertThat(filtered(bytes(line))).isEqualTo(line);
    }

    @Test
    void it_is_the_same_however_the_bytes_are_cut() {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        List<String> parts =
                List.of("::d8::{\"progress\":7}\n", ":", "::d8", "::d8::{", "\n", "text", "\u00fc\n", "{\"a\":1}");
        for (int round = 0; round < 2000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(12); i >= 0; i--) {
                text.append(parts.get(random.nextInt(parts.size())));
            }
            byte[] all = bytes(text.toString());
            List<byte[]> chunks = new ArrayList<>();
            for (int at = 0; at < all.length; ) {
                int end = Math.min(all.length, at + 1 + random.nextInt(9));
                chunks.add(Arrays.copyOfRange(all, at, end));
                at = end;
            }
            String expected = text.toString().replaceAll("(?m)^::d8::\\{\"progress\":7}(\n|\\z)", "<7.0 >");
            assertThat(filtered(chunks.toArray(byte[][]::new)))
                    .as(text.toString())
                    .isEqualTo(expected);
        }
    }

    @Test
    void a_result_has_no_progress_in_it_and_counts_what_is_left() {
        Output output = Output.of(bytes("a\n::d8::{\"progress\":50}\nb\n"), 1000);
        assertThat(ProgressFilter.without(output)).isEqualTo(Output.of(bytes("a\nb\n"), 1000 - 22));
        Output plain = Output.of("nothing here\n");
        assertThat(ProgressFilter.without(plain)).isSameAs(plain);
    }
}
