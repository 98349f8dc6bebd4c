package dev.d8.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PluginRegistryTest {

    @TempDir
    private Path folder;

    @Test
    void the_built_in_task_type_is_found() {
        assertThat(PluginRegistry.discover(Optional.empty()).taskTypes()).contains("python_code");
    }

    @Test
    void executors_of_a_folder_are_found_best_first() throws IOException {
        jar("first.jar", Modest.class);
        jar("second.jar", Proud.class);
        Files.writeString(folder.resolve("README.txt"), "not a jar");
        assertThat(PluginRegistry.discover(Optional.of(folder)).executors())
                .extracting(ExecutorProvider::method)
                .containsSubsequence("proud", "modest");
    }

    @Test
    void a_broken_provider_is_kept_with_its_reason_and_harms_no_other() throws IOException {
        jar("broken.jar", Broken.class);
        jar("good.jar", Modest.class);
        jar("missing.jar", "dev.d8.NoSuchProvider");
        PluginRegistry plugins = PluginRegistry.discover(Optional.of(folder));
        assertThat(plugins.executors()).extracting(ExecutorProvider::method).contains("modest");
        assertThat(plugins.broken())
                .extracting(PluginRegistry.Broken::reason)
                .anyMatch(reason -> reason.contains(Broken.class.getName()) && reason.contains("not today"))
                .anyMatch(reason -> reason.contains("dev.d8.NoSuchProvider"));
    }

    @Test
    void two_plugins_of_one_name_fail_and_both_jars_are_named() throws IOException {
        jar("one.jar", Modest.class);
        jar("other.jar", AlsoModest.class);
        URL[] jars = {
            folder.resolve("one.jar").toUri().toURL(),
            folder.resolve("other.jar").toUri().toURL()
        };
        try (URLClassLoader loader = new URLClassLoader(jars, new WithoutTheJars())) {
            assertThatThrownBy(() -> PluginRegistry.discover(loader))
                    .isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining("two executors are called modest")
                    .hasMessageContaining("one.jar")
                    .hasMessageContaining("other.jar");
        }
    }

    /** Hides the providers of this test, which are on the class path too, so that they come from the jars. */
    private static final class WithoutTheJars extends ClassLoader {
        WithoutTheJars() {
            super(PluginRegistryTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.endsWith("Modest")) {
                throw new ClassNotFoundException(name);
            }
            return super.loadClass(name, resolve);
        }
    }

    @Test
    void a_name_that_the_wire_cannot_carry_fails() throws IOException {
        jar("shouting.jar", Shouting.class);
        assertThatThrownBy(() -> PluginRegistry.discover(Optional.of(folder)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("SHOUTING");
    }

    @Test
    void a_folder_that_is_not_there_is_told() {
        assertThatThrownBy(() -> PluginRegistry.discover(Optional.of(folder.resolve("none"))))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("plugins: the folder");
    }

    @Test
    void an_unknown_scheme_is_told_with_the_cure() {
        assertThatThrownBy(() -> PluginRegistry.discover(Optional.empty()).transport("gopher", Options.NONE))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no transport for gopher://");
    }

    private void jar(String name, Class<?> provider) throws IOException {
        jar(name, provider.getName());
    }

    /** A jar that holds a provider's class, so that it is loaded from there, and its registration. */
    private void jar(String name, String provider) throws IOException {
        String file = provider.replace('.', '/') + ".class";
        try (OutputStream out = Files.newOutputStream(folder.resolve(name));
                JarOutputStream jar = new JarOutputStream(out)) {
            jar.putNextEntry(new JarEntry("META-INF/services/" + ExecutorProvider.class.getName()));
            jar.write(provider.getBytes(java.nio.charset.StandardCharsets.UTF_8));
            jar.closeEntry();
            try (InputStream in = PluginRegistryTest.class.getClassLoader().getResourceAsStream(file)) {
                if (in != null) {
                    jar.putNextEntry(new JarEntry(file));
                    in.transferTo(jar);
                    jar.closeEntry();
                }
            }
        }
    }

    /** An executor that runs nothing. */
    private record Named(String method, int preference) implements ExecutorProvider {
        @Override
        public Executor create(Options options) {
            return new Executor() {
                @Override
                public Availability probe() {
                    return new Availability.Unavailable("a test");
                }

                @Override
                public Optional<String> objection(dev.d8.Invocation invocation) {
                    return Optional.empty();
                }

                @Override
                public ExecutionOutcome execute(dev.d8.Invocation invocation, ExecutionListener listener) {
                    throw new UnsupportedOperationException();
                }
            };
        }
    }

    /** A provider by the name of its class. */
    public abstract static class Provider implements ExecutorProvider {
        private final Named named;

        protected Provider(String method, int preference) {
            named = new Named(method, preference);
        }

        @Override
        public String method() {
            return named.method();
        }

        @Override
        public int preference() {
            return named.preference();
        }

        @Override
        public Executor create(Options options) {
            return named.create(options);
        }
    }

    /** Found by the service loader. */
    public static final class Modest extends Provider {
        public Modest() {
            super("modest", 1);
        }
    }

    /** Found by the service loader. */
    public static final class AlsoModest extends Provider {
        public AlsoModest() {
            super("modest", 2);
        }
    }

    /** Found by the service loader. */
    public static final class Proud extends Provider {
        public Proud() {
            super("proud", 900);
        }
    }

    /** Found by the service loader. */
    public static final class Shouting extends Provider {
        public Shouting() {
            super("SHOUTING", 1);
        }
    }

    /** Found by the service loader, and fails. */
    public static final class Broken extends Provider {
        public Broken() {
            super("broken", 1);
            throw new IllegalStateException("not today");
        }
    }
}
