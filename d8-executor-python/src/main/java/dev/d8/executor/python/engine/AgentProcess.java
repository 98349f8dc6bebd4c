package dev.d8.executor.python.engine;

import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A loaded interpreter that forks a supervisor whenever it is asked for one; each connects to the {@link AgentSocket} and
 * shows the secret that only this agent was given. Thread-safe.
 */
final class AgentProcess implements AutoCloseable {

    static final int SECRET_BYTES = 32;

    private static final SecureRandom RANDOM = new SecureRandom();

    /** More than what the agent gives its supervisors to end, and then itself. */
    private static final long GRACE_SECONDS = 8;

    private final Process process;
    private final OutputStream control;
    private final byte[] secret = new byte[SECRET_BYTES];
    private int links;
    private boolean retired;

    /**
     * Starts an agent.
     *
     * @param config what the agent's first frame says
     * @throws IOException if the interpreter cannot be started
     */
    AgentProcess(String python, Map<String, String> environment, AgentProgram program, Frame.Header config)
            throws IOException {
        RANDOM.nextBytes(secret);
        ProcessBuilder builder = new ProcessBuilder(AgentProgram.command(python));
        builder.environment().clear();
        builder.environment().putAll(environment);
        process = builder.start();
        control = process.getOutputStream();
        try {
            control.write(program.greeting(config));
            control.write(secret);
            control.flush();
        } catch (IOException e) {
            // It ended at once; who waits for its end learns why.
        }
    }

    /** Returns whether somebody who shows this has it from us, in a time that does not tell how much of it is right. */
    boolean knows(byte[] shown) {
        return MessageDigest.isEqual(secret, shown);
    }

    /** Asks for one more supervisor, which connects by itself. */
    void fork() {
        try {
            control.write('N');
            control.flush();
        } catch (IOException e) {
            // It has ended, which is heard of elsewhere.
        }
    }

    /** Says that no task shall come to it any more. This and what follows is kept by the pool, under its lock. */
    void retire() {
        retired = true;
    }

    boolean retired() {
        return retired;
    }

    int links() {
        return links;
    }

    void linkAdded() {
        links++;
    }

    int linkRemoved() {
        return --links;
    }

    /** Is done when the process has ended. */
    CompletableFuture<Process> ended() {
        return process.onExit();
    }

    /** Returns why it has ended, on one line. */
    String diagnosis() {
        return AgentProgram.lastWords(process);
    }

    /** Ends it and its supervisors, by and by; idempotent. */
    @Override
    public void close() {
        try {
            control.close();
        } catch (IOException e) {
            // It has ended already.
        }
        var unused = process.onExit()
                .orTimeout(GRACE_SECONDS, TimeUnit.SECONDS)
                .whenComplete((ended, late) -> process.destroyForcibly());
    }
}
