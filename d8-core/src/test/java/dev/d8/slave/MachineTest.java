package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Capabilities;
import dev.d8.Isolation;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

class MachineTest {

    @Test
    void what_the_machine_is_becomes_labels_beside_those_of_its_operator() {
        Capabilities found = new Machine(Set.of("gpu"))
                .look(List.of(
                        new Available("", Isolation.PROCESS, Optional.of("3.11.2 (main, Apr 28 2025)\n[GCC 12.2.0]")),
                        new Available("", Isolation.NONE, Optional.of("3.9.18+ (custom)")),
                        new Available("", Isolation.NONE, Optional.empty()),
                        new Unavailable("no Docker")));
        assertThat(found.labels()).contains("gpu", "python=3.11", "python=3.9", "os=linux");
        assertThat(found.labels())
                .filteredOn(label -> label.startsWith("arch="))
                .hasSize(1);
        assertThat(found.isolation()).isEqualTo(Isolation.PROCESS);
        assertThat(found.cpus()).isPositive();
        assertThat(found.memoryBytes()).isGreaterThan(1 << 20);
        assertThat(found.diskFreeBytes()).isPositive();
    }

    @Test
    void processors_are_called_as_everybody_calls_them() {
        assertThat(Machine.architecture("aarch64")).isEqualTo("arm64");
        assertThat(Machine.architecture("x86_64")).isEqualTo("amd64");
        assertThat(Machine.architecture("riscv64")).isEqualTo("riscv64");
    }
}
