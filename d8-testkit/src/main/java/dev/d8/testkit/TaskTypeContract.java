package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.Token;
import dev.d8.master.SlaveManager;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.TaskType;
import java.net.URI;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What every {@link TaskType} must do. Subclass it and give the type and some data that it accepts.
 *
 * @param <D> the type's data
 */
@Timeout(60)
public abstract class TaskTypeContract<D extends Record> {

    /** For subclasses. */
    protected TaskTypeContract() {}

    /** Returns the type under test. */
    protected abstract TaskType<D> taskType();

    /** Returns data that the type accepts. */
    protected abstract D data();

    @Test
    void its_id_is_a_wire_name() {
        assertThat(taskType().id()).matches("[a-z][a-z0-9_]*");
    }

    @Test
    void its_data_is_of_its_data_type() {
        assertThat(taskType().dataType()).isEqualTo(data().getClass());
    }

    @Test
    void the_same_data_gives_the_same_invocation() {
        assertThat(unnamed(taskType().prepare(data())))
                .isEqualTo(unnamed(taskType().prepare(data())));
    }

    @Test
    void a_manager_finds_it_and_sends_its_invocation_to_a_slave() {
        RecordingSlaveService slave = new RecordingSlaveService();
        slave.healthy(RecordingSlaveService.health("unknown"));
        InMemoryTransport transport = new InMemoryTransport();
        URI address = transport
                .serve(slave, URI.create("memory://slave:0"), new ServerSecurity(Token.DEVELOPMENT))
                .uri();
        try (SlaveManager manager = SlaveManager.builder().transport(transport).build()) {
            manager.register("slave", address).join();
            Task task = Task.builder(taskType().id()).data(data()).build();
            assertThat(manager.execute(task).join().taskId()).isEqualTo(task.id());
            Invocation received = slave.takeCall().invocation();
            assertThat(received.taskId()).isEqualTo(task.id());
            assertThat(unnamed(received)).isEqualTo(unnamed(taskType().prepare(data())));
        }
    }

    private static Invocation unnamed(Invocation invocation) {
        return invocation.toBuilder()
                .taskId(TaskId.parse("00000000-0000-0000-0000-000000000000"))
                .build();
    }
}
