package dev.d8.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server that was started as a process and has said where it listens. */
final class ChildProcess implements AutoCloseable {

    private final Process process;
    private final URI uri;
    private final Duration startup;

    /**
     * Starts a process and waits until it prints a line that ends in its address.
     *
     * @param before what stands before the address on that line
     */
    ChildProcess(List<String> command, String before) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("SLAVE_TOKEN", NoopSlave.TOKEN.reveal());
        long began = System.nanoTime();
        process = builder.start();
        BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
        String line = out.readLine();
        while (line != null && !line.startsWith(before)) {
            line = out.readLine();
        }
        startup = Duration.ofNanos(System.nanoTime() - began);
        if (line == null) {
            process.destroyForcibly();
            throw new IOException(command + " ended without saying where it listens");
        }
        uri = URI.create(line.substring(before.length()));
    }

    /** Starts a {@link ServerProcess} on this JVM's class path. */
    static ChildProcess server(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                java(),
                "-Xms128m",
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                ServerProcess.class.getName()));
        command.addAll(List.of(arguments));
        return new ChildProcess(command, "");
    }

    static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    URI uri() {
        return uri;
    }

    /** Returns the time from starting the process to its line. */
    Duration startup() {
        return startup;
    }

    /** Returns the processor time that it has used. */
    Duration cpu() {
        return process.toHandle().info().totalCpuDuration().orElse(Duration.ZERO);
    }

    /** Returns the processor time that it and everything below it has used. */
    Duration treeCpu() {
        return ProcessTree.cpu(process.toHandle());
    }

    ProcessHandle handle() {
        return process.toHandle();
    }

    boolean running() {
        return process.isAlive();
    }

    /** Returns its resident memory in bytes. */
    long residentBytes() throws IOException {
        return residentBytes(process.pid());
    }

    static long residentBytes(long pid) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc", Long.toString(pid), "status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
            }
        }
        throw new IOException("no VmRSS in the status of process " + pid);
    }

    @Override
    public void close() throws IOException {
        process.getOutputStream().close();
        process.destroy();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
