package dev.d8.version;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The real {@code git} command in one directory, with nobody's configuration. */
record TestGit(Path dir) {

    static TestGit init(Path dir) throws Exception {
        TestGit git = new TestGit(Files.createDirectories(dir));
        git.run("init", "-q", "-b", "main");
        return git;
    }

    /** A repository with two commits, a nested directory, a program and a symbolic link. */
    static TestGit sample(Path dir) throws Exception {
        TestGit git = init(dir);
        git.write("a.txt", "one\n").write("src/deep/b.txt", "two\n").write("run.sh", "#!/bin/sh\n");
        assertThat(dir.resolve("run.sh").toFile().setExecutable(true)).isTrue();
        Files.createSymbolicLink(dir.resolve("link"), Path.of("a.txt"));
        git.commit("first");
        git.write("a.txt", "one and more\n").commit("second");
        return git;
    }

    TestGit write(String file, String text) throws IOException {
        Path path = dir.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, text);
        return this;
    }

    TestGit commit(String message) throws Exception {
        run("add", "-A");
        run("commit", "-q", "-m", message);
        return this;
    }

    String head() throws Exception {
        return run("rev-parse", "HEAD");
    }

    /** What git itself thinks; it may write the index on the way. */
    boolean saysDirty() throws Exception {
        return !run("status", "--porcelain", "-uno").isEmpty();
    }

    String run(String... args) throws Exception {
        List<String> command = new ArrayList<>(List.of("git", "-c", "protocol.file.allow=always"));
        command.addAll(List.of(args));
        ProcessBuilder builder =
                new ProcessBuilder(command).directory(dir.toFile()).redirectErrorStream(true);
        builder.environment().keySet().removeIf(name -> name.startsWith("GIT_"));
        builder.environment()
                .putAll(Map.of(
                        "GIT_CONFIG_GLOBAL", "/dev/null",
                        "GIT_CONFIG_NOSYSTEM", "1",
                        "GIT_AUTHOR_NAME", "A",
                        "GIT_AUTHOR_EMAIL", "a@example.org",
                        "GIT_COMMITTER_NAME", "A",
                        "GIT_COMMITTER_EMAIL", "a@example.org"));
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertThat(process.waitFor()).as("%s: %s", command, output).isZero();
        return output;
    }
}
