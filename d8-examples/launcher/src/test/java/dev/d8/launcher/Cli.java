package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** The launcher as a process of its own, as a person would start it. */
final class Cli {

    static final String TOKEN = "0123456789abcdef0123456789abcdef";
    static final String PYTHON = "/usr/bin/python3";

    private static final long PATIENCE_SECONDS = 60;

    private Cli() {}

    /** How a command ended. */
    record Ended(int exit, String out, String err) {}

    /** A command that runs on, with its output read as it comes. */
    static final class Running implements AutoCloseable {
        final Process process;
        private final BufferedReader out;
        private final CompletableFuture<String> err;

        Running(Process process) {
            this.process = process;
            this.out = process.inputReader(StandardCharsets.UTF_8);
            this.err = read(process.getErrorStream());
        }

        /** Returns what follows {@code prefix} on the next line that begins with it. */
        String await(String prefix) throws IOException {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                if (line.contains(prefix)) {
                    return line.substring(line.indexOf(prefix) + prefix.length());
                }
            }
            throw new AssertionError("ended without \"" + prefix + "\": " + err.join());
        }

        /** Returns all that it wrote to standard error, once it has ended. */
        String errors() {
            return err.join();
        }

        /** Asks it to stop, as an operator would. */
        Ended terminate() throws Exception {
            process.toHandle().destroy(); // Process.destroy would close the streams that are still read.
            assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
            return new Ended(process.exitValue(), "", err.join());
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }

    /** The launcher's class path, without the executor plugin, which is there for its jar only. */
    static String classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !entry.contains("shell-executor"))
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** Returns the command that runs a class of this class path in a small JVM. */
    static List<String> command(String mainClass, List<String> args) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED", // As the launcher's manifest has it.
                "-cp",
                classPath(),
                mainClass));
        command.addAll(args);
        return command;
    }

    static Process start(Map<String, String> environment, Path directory, String... args) throws IOException {
        ProcessBuilder builder =
                new ProcessBuilder(command("dev.d8.launcher.Main", List.of(args))).directory(directory.toFile());
        builder.environment().remove("SLAVE_TOKEN");
        builder.environment().putAll(environment);
        return builder.start();
    }

    static Ended run(Map<String, String> environment, Path directory, String stdin, String... args) throws Exception {
        return ended(start(environment, directory, args), stdin);
    }

    static Ended ended(Process process, String stdin) throws Exception {
        try (OutputStream in = process.getOutputStream()) {
            in.write(stdin.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // It did not want its input.
        }
        CompletableFuture<String> err = read(process.getErrorStream());
        CompletableFuture<String> out = read(process.getInputStream());
        try {
            assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
            return new Ended(process.exitValue(), out.join(), err.join());
        } finally {
            process.destroyForcibly();
        }
    }

    /** Returns the command that runs a Python script of this test's resources, once it is in a folder. */
    static List<String> scriptCommand(String name, Path directory, String... args) throws IOException {
        Path file = directory.resolve(name);
        try (InputStream in = Cli.class.getResourceAsStream(name)) {
            Files.write(file, java.util.Objects.requireNonNull(in, name).readAllBytes());
        }
        List<String> command = new ArrayList<>(List.of(PYTHON, file.toString()));
        command.addAll(List.of(args));
        return command;
    }

    /** A Python script of this test's resources as a process. */
    static Process script(String name, Path directory, String... args) throws IOException {
        return new ProcessBuilder(scriptCommand(name, directory, args))
                .directory(directory.toFile())
                .start();
    }

    /** Reads a stream to its end on a thread of its own: the common pool may have one only, which a slave would hold. */
    private static CompletableFuture<String> read(InputStream stream) {
        CompletableFuture<String> text = new CompletableFuture<>();
        Thread reader = new Thread(
                () -> {
                    try (InputStream in = stream) {
                        text.complete(new String(in.readAllBytes(), StandardCharsets.UTF_8));
                    } catch (IOException e) {
                        text.completeExceptionally(e);
                    }
                },
                "stream-reader");
        reader.setDaemon(true);
        reader.start();
        return text;
    }
}
