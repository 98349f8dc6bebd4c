package dev.d8.executor.python.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FrameAssemblerTest {

    @Test
    void frames_come_out_whole_wherever_the_bytes_are_cut() throws Exception {
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (int round = 0; round < 200; round++) {
            List<Frame> sent = new ArrayList<>();
            ByteArrayOutputStream wire = new ByteArrayOutputStream();
            for (int i = random.nextInt(10); i >= 0; i--) {
                byte[] payload = new byte[random.nextInt(4) == 0 ? 0 : random.nextInt(70_000)];
                random.nextBytes(payload);
                Frame frame = new Frame((char) ('A' + random.nextInt(26)), payload);
                sent.add(frame);
                wire.writeBytes(frame.encode());
            }
            List<Frame> received = new ArrayList<>();
            FrameAssembler assembler = new FrameAssembler();
            byte[] bytes = wire.toByteArray();
            for (int at = 0; at < bytes.length; ) {
                int count = Math.min(bytes.length - at, random.nextBoolean() ? 1 + random.nextInt(8) : 32_768);
                assembler.add(ByteBuffer.wrap(bytes, at, count), received::add);
                at += count;
            }

            assertThat(received).hasSameSizeAs(sent);
            for (int i = 0; i < sent.size(); i++) {
                assertThat(received.get(i).kind()).isEqualTo(sent.get(i).kind());
                assertThat(received.get(i).payload()).isEqualTo(sent.get(i).payload());
            }
        }
    }

    @Test
    void half_a_frame_is_held_back() throws Exception {
        List<Frame> received = new ArrayList<>();

        new FrameAssembler().add(ByteBuffer.wrap(new byte[] {0, 0, 0, 2, 'O', 'x'}), received::add);

        assertThat(received).isEmpty();
    }

    @Test
    void what_is_no_frame_is_refused_before_memory_is_taken_for_it() {
        byte[] text = "Traceback (most recent call last)".getBytes(java.nio.charset.StandardCharsets.US_ASCII);

        assertThatThrownBy(() -> new FrameAssembler().add(ByteBuffer.wrap(text), frame -> {}))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("not a frame");
        assertThatThrownBy(() ->
                        new FrameAssembler().add(ByteBuffer.wrap(new byte[] {-1, -1, -1, -1, 'O'}), frame -> {}))
                .isInstanceOf(IOException.class);
    }
}
