package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.spi.Options;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DockerSettingsTest {

    private static DockerSettings settings(Map<String, String> options) {
        return DockerSettings.of(Options.of(options).under("docker"));
    }

    @Test
    void the_defaults_are_those_of_the_documentation() {
        DockerSettings settings = settings(Map.of());

        assertThat(settings.host()).isEmpty();
        assertThat(settings.image()).isEqualTo("python:3-slim");
        assertThat(settings.nanoCpus()).isEqualTo(1_000_000_000);
        assertThat(settings.memoryBytes()).isEqualTo(536_870_912);
        assertThat(settings.processes()).isEqualTo(256);
        assertThat(settings.tmpBytes()).isEqualTo(67_108_864);
        assertThat(settings.network()).isEqualTo("none");
        assertThat(settings.mounts()).isEmpty();
        assertThat(settings.user()).isEqualTo("65534:65534");
        assertThat(settings.images()).isEmpty();
        assertThat(settings.writableMounts()).isEmpty();
        assertThat(settings.slaveId()).isEmpty();
        assertThat(settings.pool()).isEqualTo(new DockerSettings.Pool(2, 2, Duration.ofHours(1)));
    }

    @Test
    void values_are_read() {
        DockerSettings settings = settings(Map.of(
                "docker.cpus", "1.5",
                "docker.network", "bridge",
                "docker.mounts", "/srv/a/, /srv/b/../c",
                "docker.user", "1000",
                "docker.slave_id", "attic"));

        assertThat(settings.nanoCpus()).isEqualTo(1_500_000_000);
        assertThat(settings.network()).isEqualTo("bridge");
        assertThat(settings.mounts()).containsExactly(Path.of("/srv/a"), Path.of("/srv/c"));
        assertThat(settings.user()).isEqualTo("1000");
        assertThat(settings.slaveId()).contains("attic");
    }

    @ParameterizedTest
    @CsvSource({
        "cpus, 0",
        "cpus, -1",
        "cpus, many",
        "cpus, 1e30",
        "memory_bytes, 1000",
        "processes, 0",
        "tmp_bytes, -1",
        "network, host",
        "network, container:abc",
        "mounts, relative",
        "mounts, /",
        "mounts, /srv/..",
        "user, root",
        "user, 0:0:0",
        "image, ''",
        "privileged, true",
        "images, a b",
        "pool, -1",
        "pool_idle, 0",
        "writable_mounts, /",
        "imgae, x"
    })
    void a_malformed_value_or_unknown_name_is_named(String name, String value) {
        assertThatThrownBy(() -> settings(Map.of("docker." + name, value)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("docker." + name);
    }
}
