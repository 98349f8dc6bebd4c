package dev.d8.executor.python.engine;

import dev.d8.Invocation;
import dev.d8.Limits;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * How {@code agent.py} gets into an interpreter: a few constant lines of {@code -c} read it from standard input, so that
 * it needs no file that a task could change, and the same way works inside a container with a read-only root.
 */
public final class AgentProgram {

    private static final String BOOT = """
            import os
            def r(n):
                b=b''
                while len(b)<n:
                    c=os.read(0,n-len(b))
                    if not c: os._exit(0)
                    b+=c
                return b
            exec(compile(r(int.from_bytes(r(4),'big')),'<d8-agent>','exec'),{'__name__':'d8_agent'})
            """;

    private final byte[] source;

    /** Loads {@code agent.py} from this jar. */
    public AgentProgram() {
        try (InputStream in = AgentProgram.class.getResourceAsStream("agent.py")) {
            if (in == null) {
                throw new IllegalStateException("agent.py is missing from the jar of d8-executor-python");
            }
            source = in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the command that starts an interpreter which waits for {@link #greeting}. */
    public static List<String> command(String python) {
        return List.of(python, "-c", BOOT);
    }

    /** Returns the first bytes that a waiting interpreter needs. */
    public byte[] greeting() {
        return ByteBuffer.allocate(4 + source.length)
                .putInt(source.length)
                .put(source)
                .array();
    }

    /** Returns the bytes that hand a task to the agent. */
    public static byte[] request(Invocation invocation) {
        Limits limits = invocation.limits();
        Frame.Header header = new Frame.Header()
                .put("timeout", invocation.timeout().toNanos() / 1e9)
                .put("output_bytes", limits.outputBytes().orElse(Limits.DEFAULT_OUTPUT_BYTES));
        invocation.workingDir().ifPresent(dir -> header.put("working_dir", dir));
        limits.memoryBytes().ifPresent(value -> header.put("memory_bytes", value));
        limits.cpuTime()
                .ifPresent(value ->
                        header.put("cpu_seconds", value.plusNanos(999_999_999).toSeconds()));
        limits.processes().ifPresent(value -> header.put("processes", value));
        limits.fileBytes().ifPresent(value -> header.put("file_bytes", value));
        invocation.args().forEach(arg -> header.put("arg", arg));
        byte[] head = new Frame('H', header.bytes()).encode();
        byte[] program = new Frame('S', invocation.source().getBytes(StandardCharsets.UTF_8)).encode();
        byte[] stdin = new Frame('I', invocation.stdin().getBytes(StandardCharsets.UTF_8)).encode();
        return ByteBuffer.allocate(head.length + program.length + stdin.length)
                .put(head)
                .put(program)
                .put(stdin)
                .array();
    }

    /** Returns the bytes that cancel the task. */
    public static byte[] cancellation() {
        return new Frame('C', new byte[0]).encode();
    }
}
