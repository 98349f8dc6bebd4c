package dev.d8.executor.python.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;

/** Whatever a process writes to the agents' socket, it is frames or it is none; and whatever they say, a task has an end. */
@Tag("other-runtime")
class FrameFuzzTest {

    private static final int OUTPUT_LIMIT = 100;

    @FuzzTest(maxDuration = "5m")
    void frames_are_the_same_wherever_the_bytes_are_cut(byte[] bytes) throws Exception {
        int seed = Arrays.hashCode(bytes); // The same cuts for the same bytes, so that what was found is found again.
        List<Frame> whole = new ArrayList<>();
        boolean wholeIsFrames = assemble(bytes, bytes.length, 0, whole);
        List<Frame> cut = new ArrayList<>();
        boolean cutIsFrames = assemble(bytes, 7, seed, cut);
        assertThat(cutIsFrames).isEqualTo(wholeIsFrames);
        same(cut, whole);
        List<Frame> read = new ArrayList<>();
        boolean readIsFrames = true;
        try {
            ByteArrayInputStream in = new ByteArrayInputStream(bytes);
            for (Frame frame = Frame.read(in); frame != null; frame = Frame.read(in)) {
                read.add(frame);
            }
        } catch (IOException e) {
            readIsFrames = false;
        }
        assertThat(readIsFrames).isEqualTo(wholeIsFrames);
        same(read, whole);
    }

    private static void same(List<Frame> some, List<Frame> others) {
        assertThat(some).hasSameSizeAs(others);
        for (int i = 0; i < some.size(); i++) {
            assertThat(some.get(i).encode()).isEqualTo(others.get(i).encode());
        }
    }

    /** Returns whether the bytes were frames, as far as they go. */
    private static boolean assemble(byte[] bytes, int most, int seed, List<Frame> frames) throws InterruptedException {
        FrameAssembler assembler = new FrameAssembler();
        int state = seed;
        try {
            for (int at = 0; at < bytes.length; ) {
                state = state * 1103515245 + 12345;
                int count = Math.min(bytes.length - at, seed == 0 ? most : 1 + Math.floorMod(state >> 16, most));
                assembler.add(ByteBuffer.wrap(bytes, at, count), frames::add);
                at += count;
            }
            return true;
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("not a frame");
            return false;
        }
    }

    @FuzzTest(maxDuration = "5m")
    void a_conversation_has_an_outcome_whatever_the_agent_says(byte[] bytes) throws Exception {
        Queue<Frame> frames = new ArrayDeque<>();
        List<Frame> said = new ArrayList<>();
        assemble(bytes, Math.max(1, bytes.length), 0, said);
        frames.addAll(said);
        Invocation task = Invocation.python("x")
                .limits(Limits.DEFAULT.withOutputBytes(OUTPUT_LIMIT).withCpuTime(Duration.ofSeconds(1)))
                .build();
        // With a wall, so that a pid that it names is nobody's here.
        AgentConversation conversation = new AgentConversation(
                new Said(frames),
                new byte[0],
                task,
                ExecutionListener.NONE,
                TimeSource.system(),
                true,
                List.of("fuzz"));

        ExecutionOutcome outcome = conversation.run(0);

        assertThat(outcome.stdout().bytes()).hasSizeLessThanOrEqualTo(OUTPUT_LIMIT);
        assertThat(outcome.stderr().bytes()).hasSizeLessThanOrEqualTo(OUTPUT_LIMIT);
    }

    /** An agent that has said all it has to say. */
    private record Said(Queue<Frame> frames) implements AgentLink {
        @Override
        public void send(byte[] bytes) {}

        @Override
        public @Nullable Frame receive(Duration timeout) {
            return frames.poll();
        }

        @Override
        public String diagnosis() {
            return "it has ended";
        }

        @Override
        public void close() {}
    }
}
