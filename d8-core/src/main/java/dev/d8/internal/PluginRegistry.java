package dev.d8.internal;

import dev.d8.ConfigurationException;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Task;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.spi.TaskType;
import dev.d8.spi.Transport;
import dev.d8.spi.TransportProvider;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Every plugin that can be found, looked up once; the only place that uses {@link ServiceLoader}. Immutable.
 *
 * <p>A provider that cannot be loaded does not stop the others: it is {@linkplain #broken kept with the reason}. Two
 * plugins under one name do stop everything, since nobody could say which of them would run.
 */
public final class PluginRegistry {

    private static final Pattern ID = Pattern.compile("[a-z][a-z0-9_]*");

    private final Map<String, TaskType<?>> taskTypes = new TreeMap<>();
    private final Map<String, ExecutorProvider> executors = new TreeMap<>();
    private final Map<String, TransportProvider> transports = new TreeMap<>();
    private final List<Broken> broken = new ArrayList<>();
    private final ClassLoader loader;

    /**
     * A plugin that was found and cannot be used.
     *
     * @param kind the plugin interface
     * @param reason what is wrong, with the provider's class
     */
    public record Broken(Class<?> kind, String reason) {}

    private PluginRegistry(ClassLoader loader) {
        this.loader = loader;
    }

    /**
     * Finds the plugins on the class path or module path, and those in the jars of a folder.
     *
     * @throws ConfigurationException if two share a name or the folder cannot be read
     */
    public static PluginRegistry discover(Optional<Path> folder) {
        ClassLoader context = Thread.currentThread().getContextClassLoader();
        ClassLoader base = context != null ? context : PluginRegistry.class.getClassLoader();
        // The loader lives as long as the plugins that it loads, so it is never closed.
        return discover(folder.isEmpty() ? base : new URLClassLoader(jars(folder.get()), base));
    }

    static PluginRegistry discover(ClassLoader loader) {
        PluginRegistry registry = new PluginRegistry(loader);
        for (TaskType<?> type : registry.load(TaskType.class, ServiceLoader.load(TaskType.class, loader))) {
            registry.add(registry.taskTypes, "task types", type.id(), type);
        }
        for (ExecutorProvider provider :
                registry.load(ExecutorProvider.class, ServiceLoader.load(ExecutorProvider.class, loader))) {
            registry.add(registry.executors, "executors", provider.method(), provider);
        }
        for (TransportProvider provider :
                registry.load(TransportProvider.class, ServiceLoader.load(TransportProvider.class, loader))) {
            provider.schemes().forEach(scheme -> registry.add(registry.transports, "transports", scheme, provider));
        }
        return registry;
    }

    /** Returns this registry with plugins that were made by hand. */
    public PluginRegistry with(
            Collection<? extends TaskType<?>> types, Collection<? extends ExecutorProvider> providers) {
        PluginRegistry all = new PluginRegistry(loader);
        all.taskTypes.putAll(taskTypes);
        all.executors.putAll(executors);
        all.transports.putAll(transports);
        all.broken.addAll(broken);
        types.forEach(type -> all.add(all.taskTypes, "task types", type.id(), type));
        providers.forEach(provider -> all.add(all.executors, "executors", provider.method(), provider));
        return all;
    }

    /**
     * Finds the plugins of a kind that is not every user's: looked up when they are asked for.
     *
     * @param kinds what they are called in messages, in the plural
     * @throws ConfigurationException if two share a name, or one cannot be loaded
     */
    public <P> Map<String, P> found(Class<P> kind, String kinds, Function<P, String> name) {
        Map<String, P> named = new TreeMap<>();
        try {
            ServiceLoader.load(kind, loader).forEach(plugin -> add(named, kinds, name.apply(plugin), plugin));
        } catch (ServiceConfigurationError | LinkageError e) {
            throw new ConfigurationException(kinds + ": " + reason(e), e);
        }
        return named;
    }

    private <P> List<P> load(Class<?> kind, ServiceLoader<P> loader) {
        List<P> found = new ArrayList<>();
        Iterator<ServiceLoader.Provider<P>> providers = loader.stream().iterator();
        while (true) {
            try {
                if (!providers.hasNext()) {
                    return found;
                }
                found.add(providers.next().get());
            } catch (ServiceConfigurationError | LinkageError e) {
                broken.add(new Broken(kind, reason(e)));
            }
        }
    }

    private static String reason(Throwable error) {
        Throwable cause = error.getCause();
        return cause == null ? String.valueOf(error.getMessage()) : error.getMessage() + ": " + cause;
    }

    private <P> void add(Map<String, P> known, String kind, String id, P plugin) {
        if (!ID.matcher(id).matches()) {
            throw new ConfigurationException(
                    "the name \"" + id + "\" of " + describe(plugin) + " (expected: " + ID + ")");
        }
        P other = known.putIfAbsent(id, plugin);
        if (other != null && other != plugin) {
            throw new ConfigurationException("two " + kind + " are called " + id + ": " + describe(other) + " and "
                    + describe(plugin) + "; remove one of them");
        }
    }

    private static String describe(Object plugin) {
        CodeSource source = plugin.getClass().getProtectionDomain().getCodeSource();
        return plugin.getClass().getName()
                + (source == null || source.getLocation() == null
                        ? ""
                        : " in " + source.getLocation().getPath());
    }

    private static URL[] jars(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            List<URL> urls = new ArrayList<>();
            for (Path jar : files.filter(file -> file.toString().endsWith(".jar"))
                    .sorted()
                    .toList()) {
                urls.add(jar.toUri().toURL());
            }
            return urls.toArray(URL[]::new);
        } catch (MalformedURLException e) {
            throw new IllegalStateException("every file has a URL", e);
        } catch (IOException e) {
            throw new ConfigurationException("plugins: the folder " + folder + " cannot be read: " + e, e);
        }
    }

    /** Returns the executors' providers, best first. */
    public List<ExecutorProvider> executors() {
        return executors.values().stream()
                .sorted((a, b) -> Integer.compare(b.preference(), a.preference()))
                .toList();
    }

    /** Returns the names of the task types. */
    public Collection<String> taskTypes() {
        return List.copyOf(taskTypes.keySet());
    }

    /** Returns the names under which plugins have options. */
    public Set<String> prefixes() {
        Set<String> prefixes = new TreeSet<>(executors.keySet());
        transports.values().forEach(provider -> prefixes.add(provider.prefix()));
        return prefixes;
    }

    /** Returns what was found and cannot be used. */
    public List<Broken> broken() {
        return List.copyOf(broken);
    }

    /**
     * Turns a task into what a slave is told to run.
     *
     * @throws dev.d8.InvalidTaskException if the type is unknown or the data does not fit it
     */
    public Invocation prepare(Task task) {
        TaskType<?> type = taskTypes.get(task.type());
        if (type == null) {
            throw new InvalidTaskException(
                    "type",
                    "unknown task type \"" + task.type() + "\" (known: " + String.join(", ", taskTypes()) + ")");
        }
        Invocation prepared = prepare(type, task);
        Invocation.Builder builder = prepared.toBuilder().taskId(task.id());
        task.timeout().ifPresent(builder::timeout);
        task.method().ifPresent(builder::method);
        if (task.minIsolation().atLeast(prepared.minIsolation())) { // The stronger of the two wishes.
            builder.minIsolation(task.minIsolation());
        }
        return builder.build();
    }

    private static <D> Invocation prepare(TaskType<D> type, Task task) {
        return type.prepare(Json.bind("data", task.data(), type.dataType()));
    }

    /**
     * Makes the transport for a scheme.
     *
     * @throws ConfigurationException if there is none
     */
    public Transport transport(String scheme, Options options) {
        TransportProvider provider = transports.get(scheme);
        if (provider == null) {
            throw new ConfigurationException("no transport for " + scheme + ":// (known: "
                    + String.join(", ", transports.keySet()) + "); add d8-transport-netty for http");
        }
        return provider.create(options.under(provider.prefix()));
    }
}
