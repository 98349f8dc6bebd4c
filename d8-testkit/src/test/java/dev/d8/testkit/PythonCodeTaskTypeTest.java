package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.PythonCode;
import dev.d8.Task;
import dev.d8.master.SlaveManager;
import dev.d8.spi.TaskType;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PythonCodeTaskTypeTest extends TaskTypeContract<PythonCode> {

    /** The type itself is not public, as users name it and never make it: this is what it does. */
    @Override
    protected TaskType<PythonCode> taskType() {
        return new TaskType<>() {
            @Override
            public String id() {
                return Task.PYTHON_CODE;
            }

            @Override
            public Class<PythonCode> dataType() {
                return PythonCode.class;
            }

            @Override
            public Invocation prepare(PythonCode data) {
                return Invocation.python(data.command())
                        .workingDir("/srv/app")
                        .args(data.args())
                        .env(data.env())
                        .stdin(data.stdin())
                        .requirements(data.requirements())
                        .image("python:3.12-slim")
                        .build();
            }
        };
    }

    @Override
    protected PythonCode data() {
        return new PythonCode(
                "print(55)",
                "/srv/app",
                List.of("a"),
                Map.of("K", "v"),
                "input",
                List.of("numpy==2.1"),
                "python:3.12-slim");
    }

    @Test
    void the_command_alone_is_enough_and_without_it_the_error_names_the_field() {
        try (SlaveManager manager = SlaveManager.builder().build()) {
            assertThat(manager.findAvailableSlave(Task.python("print(55)"))).isEmpty();
            Task nothing = Task.builder(Task.PYTHON_CODE)
                    .data(Map.of("working_dir", "/tmp"))
                    .build();
            assertThatThrownBy(() -> manager.findAvailableSlave(nothing))
                    .isInstanceOf(InvalidTaskException.class)
                    .hasMessage("command: missing (expected: a string, the source)");
            Task number =
                    Task.builder(Task.PYTHON_CODE).data(Map.of("command", 5)).build();
            assertThatThrownBy(() -> manager.findAvailableSlave(number))
                    .isInstanceOf(InvalidTaskException.class)
                    .hasMessageContaining("command");
        }
    }

    @Test
    void an_unknown_task_type_is_told_with_the_known_ones() {
        try (SlaveManager manager = SlaveManager.builder().build()) {
            assertThat(manager.execute(Task.builder("python_cod").build()))
                    .failsWithin(java.time.Duration.ofSeconds(10))
                    .withThrowableThat()
                    .withMessageContaining("unknown task type \"python_cod\" (known: python_code)");
        }
    }
}
