package dev.d8.executor.venv;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Makes real virtual environments. */
final class TestVenv {

    private TestVenv() {}

    /** Without pip, which Debian has in a package of its own. */
    static void make(Path venv) throws IOException, InterruptedException {
        Process process = new ProcessBuilder("/usr/bin/python3", "-m", "venv", "--without-pip", venv.toString())
                .inheritIO()
                .start();
        assertThat(process.waitFor(50, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
    }
}
