package dev.d8.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class OptionsTest {

    private final Options options = Options.of(Map.of(
                    "docker.image", "python:3-slim",
                    "docker.pool", "2",
                    "docker.wait", "2.5",
                    "docker.iso", "PT1M",
                    "docker.on", "true",
                    "docker.list", "a, b ,c",
                    "venv.path", "/srv/venv"))
            .under("docker");

    @Test
    void each_type_is_read_and_a_missing_name_is_the_default() {
        assertThat(options.text("image", "x")).isEqualTo("python:3-slim");
        assertThat(options.number("pool", 1, 0, 10)).isEqualTo(2);
        assertThat(options.duration("wait", Duration.ZERO)).isEqualTo(Duration.ofMillis(2500));
        assertThat(options.duration("iso", Duration.ZERO)).isEqualTo(Duration.ofMinutes(1));
        assertThat(options.flag("on", false)).isTrue();
        assertThat(options.list("list", List.of())).containsExactly("a", "b", "c");
        assertThat(options.text("none", "x")).isEqualTo("x");
        assertThat(options.number("none", 7, 0, 10)).isEqualTo(7);
        assertThat(options.path("none")).isEmpty();
        options.rejectUnknown();
    }

    @Test
    void a_malformed_value_is_named_in_full_with_what_was_expected() {
        assertThatThrownBy(() -> options.number("image", 1, 0, 10))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("option docker.image: \"python:3-slim\" (expected: a whole number from 0 to 10)");
        assertThatThrownBy(() -> options.number("pool", 1, 3, 10)).hasMessageContaining("from 3 to 10");
        assertThatThrownBy(() -> options.flag("pool", true)).hasMessageContaining("true or false");
        assertThatThrownBy(() -> options.duration("image", Duration.ZERO)).hasMessageContaining("seconds above 0");
        assertThatThrownBy(() -> Options.of(Map.of("t", "-1")).duration("t", Duration.ZERO))
                .hasMessageContaining("seconds above 0");
    }

    @Test
    void a_name_that_nobody_asked_for_is_refused() {
        options.text("image", "");
        assertThatThrownBy(options::rejectUnknown)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("option docker.")
                .hasMessageContaining("unknown (known: docker.image)");
    }

    @Test
    void a_plugin_that_is_not_there_is_refused() {
        assertThatThrownBy(() -> Options.of(Map.of("podman.image", "x")).rejectUnknownUnder(Set.of("docker")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("option podman.image: no such plugin (known: docker)");
    }
}
