package dev.d8.executor.python.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An agent on its own, such as one in a container, whose slave is out of reach without having hung up. */
@Timeout(60)
@Tag("other-runtime")
class AgentPatienceTest {

    private static final String PYTHON = PythonInterpreter.onPath("python3")
            .orElse(Path.of("/usr/bin/python3"))
            .toString();

    private static Process agent() throws Exception {
        Process process = new ProcessBuilder(AgentProgram.command(PYTHON))
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        OutputStream stdin = process.getOutputStream();
        stdin.write(AgentProgram.source()
                .greeting(new Frame.Header()
                        .put("mode", "task")
                        .put("isolation", "none")
                        .put("patience", 1)));
        stdin.flush();
        return process;
    }

    @Test
    void it_ends_when_no_task_comes() throws Exception {
        Process process = agent();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
    }

    @Test
    void it_ends_when_nobody_takes_what_its_task_has_printed() throws Exception {
        Process process = agent();
        Invocation task = Invocation.python("print('x' * 10_000_000)")
                .timeout(Duration.ofSeconds(1))
                .build();
        process.getOutputStream().write(AgentProgram.request(task));
        process.getOutputStream().flush();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
    }
}
