package dev.d8.executor.python.engine;

import dev.d8.ConfigurationException;
import dev.d8.Invocation;
import dev.d8.Limits;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * How {@code agent.py} gets into an interpreter: a few constant lines of {@code -c} read it from standard input, so that
 * it needs no file that a task could change, and the same way works inside a container with a read-only root.
 */
public final class AgentProgram {

    private static final String BOOT = """
            import marshal,os
            def r(n):
                b=b''
                while len(b)<n:
                    c=os.read(0,n-len(b))
                    if not c: os._exit(0)
                    b+=c
                return b
            p=r(int.from_bytes(r(4),'big'))
            exec(marshal.loads(p[1:]) if p[:1]==b'c' else compile(p[1:],'<d8-agent>','exec'),{'__name__':'d8_agent'})
            """;

    /** Turns the source into what {@link #BOOT} loads: no docstrings, and no parser's memory in every process to come. */
    private static final String COMPILER = """
            import marshal,sys
            code=compile(sys.stdin.buffer.read(),'<d8-agent>','exec',dont_inherit=True,optimize=2)
            sys.stdout.buffer.write(marshal.dumps(code))
            """;

    private static final char SOURCE = 's';
    private static final char COMPILED = 'c';

    private final char form;
    private final byte[] program;

    private AgentProgram(char form, byte[] program) {
        this.form = form;
        this.program = program;
    }

    /**
     * Returns a program that reads {@link #text} from its standard input and writes to its standard output what
     * {@link #compiled} takes.
     */
    public static String compiler() {
        return COMPILER;
    }

    /** Returns the source of the agent. */
    public static String text() {
        return new String(source().program, StandardCharsets.UTF_8);
    }

    /** Returns the agent as one interpreter has compiled it, for that interpreter only. */
    public static AgentProgram compiled(byte[] code) {
        return new AgentProgram(COMPILED, code.clone());
    }

    /** Loads {@code agent.py} from this jar: for any interpreter, which compiles it first. */
    public static AgentProgram source() {
        try (InputStream in = AgentProgram.class.getResourceAsStream("agent.py")) {
            if (in == null) {
                throw new IllegalStateException("agent.py is missing from the jar of d8-executor-python");
            }
            return new AgentProgram(SOURCE, in.readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Returns the same for one interpreter, compiled by it. Blocks for as long as that takes to start.
     *
     * @throws ConfigurationException if it does not
     */
    static AgentProgram compiledBy(PythonInterpreter python, Map<String, String> environment) {
        byte[] code = PythonInterpreter.run(python.executable(), environment, COMPILER, source().program);
        if (code.length == 0) {
            throw new ConfigurationException(python.executable() + " does not compile D8's agent");
        }
        return compiled(code);
    }

    /** Returns the command that starts an interpreter which waits for {@link #greeting}. */
    public static List<String> command(String python) {
        return List.of(python, "-c", BOOT);
    }

    /**
     * Returns the first bytes that a waiting interpreter needs: the agent, and what it shall be.
     *
     * @param config as {@code agent.py} explains
     */
    public byte[] greeting(Frame.Header config) {
        byte[] frame = new Frame('M', config.bytes()).encode();
        return ByteBuffer.allocate(5 + program.length + frame.length)
                .putInt(1 + program.length)
                .put((byte) form)
                .put(program)
                .put(frame)
                .array();
    }

    /** Returns the bytes that hand a task to a supervisor. */
    public static byte[] request(Invocation invocation) {
        return request(invocation, new Frame.Header());
    }

    /**
     * Returns the same with more to say than an invocation does.
     *
     * @param header pairs that {@code agent.py} knows; the invocation's are added
     */
    public static byte[] request(Invocation invocation, Frame.Header header) {
        Limits limits = invocation.limits();
        invocation.workingDir().ifPresent(dir -> header.put("working_dir", dir));
        limits.memoryBytes().ifPresent(value -> header.put("memory_bytes", value));
        limits.cpuTime()
                .ifPresent(value ->
                        header.put("cpu_seconds", value.plusNanos(999_999_999).toSeconds()));
        limits.processes().ifPresent(value -> header.put("processes", value));
        limits.fileBytes().ifPresent(value -> header.put("file_bytes", value));
        invocation.args().forEach(arg -> header.put("arg", arg));
        invocation.env().forEach((name, value) -> header.put("env", name + "=" + value));
        if (invocation.env().keySet().stream().anyMatch(PythonInterpreter::heedsAtStart)) {
            header.put("fresh", 1);
        }
        byte[] head = header.bytes();
        byte[] program = invocation.source().getBytes(StandardCharsets.UTF_8);
        byte[] stdin = invocation.stdin().getBytes(StandardCharsets.UTF_8);
        int length = 24 + head.length + program.length + stdin.length;
        return ByteBuffer.allocate(5 + length)
                .putInt(length)
                .put((byte) 'T')
                .putLong(invocation.timeout().toNanos() / 1000)
                .putLong(limits.outputBytes().orElse(Limits.DEFAULT_OUTPUT_BYTES))
                .putInt(head.length)
                .putInt(program.length)
                .put(head)
                .put(program)
                .put(stdin)
                .array();
    }

    /** Returns the bytes that cancel the task. */
    public static byte[] cancellation() {
        return new Frame('C', new byte[0]).encode();
    }

    /** Returns the last line that a process wrote to its standard error. */
    static String lastWords(Process process) {
        try {
            // It is gone, so its standard error has an end; a process that it left behind may hold it open.
            InputStream stderr = process.getErrorStream();
            String text = new String(stderr.readNBytes(Math.min(stderr.available(), 4000)), StandardCharsets.UTF_8);
            String last = text.strip().lines().reduce("", (before, line) -> line);
            return last.isEmpty() ? "it wrote nothing to its standard error" : last;
        } catch (IOException e) {
            return "its standard error cannot be read: " + e.getMessage();
        }
    }
}
