package dev.d8.executor.python.engine;

import dev.d8.spi.Options;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * How an engine runs tasks: the options that the executors {@code python} and {@code venv} share.
 *
 * <table>
 * <caption>python.* and venv.*</caption>
 * <tr><th>option</th><th>default</th><th>meaning</th></tr>
 * <tr><td>{@code mode}</td><td>{@code auto}</td><td>{@code auto|agent|spawn}: an agent, which is a loaded interpreter, forks
 * a process for each task; or each task starts an interpreter of its own; {@code auto} does the first where it can be had
 * and else the second</td></tr>
 * <tr><td>{@code isolation}</td><td>{@code contained}</td><td>{@code contained}: namespaces, cgroups and dropped
 * privileges as far as the machine lets the slave have them; {@code none}: for tasks that are trusted; a task's processes
 * are ended with it all the same</td></tr>
 * <tr><td>{@code namespaces}</td><td>{@code auto}</td><td>{@code off}: none although they could be had, so that a task of a
 * slave that is not root sees the owners of files as they are</td></tr>
 * <tr><td>{@code agents}</td><td>processors</td><td>agents, 1 to 256</td></tr>
 * <tr><td>{@code parked}</td><td>twice the processors, at least 4</td><td>supervisors with a process that waits for a
 * task, kept when idle, 0 to 1000; more are made when more tasks run</td></tr>
 * <tr><td>{@code preload}</td><td>none</td><td>comma-separated modules that every task finds imported; none that starts a
 * thread. They show in its {@code sys.modules}</td></tr>
 * <tr><td>{@code environment}</td><td>{@link #ENVIRONMENT}</td><td>comma-separated names of the variables that a task
 * inherits</td></tr>
 * <tr><td>{@code hide}</td><td>none</td><td>comma-separated paths that tasks must not see; needs a mount namespace</td></tr>
 * <tr><td>{@code user}</td><td>the slave's own</td><td>{@code UID} or {@code UID:GID}, in digits, that tasks run as;
 * for a slave that runs as root</td></tr>
 * <tr><td>{@code processes}</td><td>1024</td><td>processes and threads of a task that asks for no limit, where they can be
 * counted: with a cgroup or a user namespace; 0: any number</td></tr>
 * <tr><td>{@code recycle_tasks}</td><td>1000</td><td>tasks that a supervisor serves before a new one takes its place</td></tr>
 * <tr><td>{@code recycle_age}</td><td>3600 s</td><td>how old an agent gets</td></tr>
 * <tr><td>{@code recycle_memory_bytes}</td><td>64 MiB</td><td>resident memory at which a supervisor is replaced</td></tr>
 * </table>
 *
 * @param mode how a task gets its process
 * @param contained whether walls are put up
 * @param namespaces whether namespaces are among them
 * @param agents how many agents
 * @param parked how many supervisors are kept when idle
 * @param preload the modules to import ahead
 * @param environment what a task inherits
 * @param hide what tasks must not see
 * @param user whom tasks run as, {@code UID} or {@code UID:GID}
 * @param processes the most processes by default; 0: any number
 * @param recycleTasks after how many tasks a supervisor is replaced
 * @param recycleAge at which age an agent is replaced
 * @param recycleMemory at which resident memory a supervisor is replaced, in bytes
 */
public record EngineSettings(
        Mode mode,
        boolean contained,
        boolean namespaces,
        int agents,
        int parked,
        List<String> preload,
        Map<String, String> environment,
        List<Path> hide,
        Optional<String> user,
        int processes,
        int recycleTasks,
        Duration recycleAge,
        long recycleMemory) {

    /** What a task sees of the slave's environment where no setting says otherwise; all else is the slave's own. */
    public static final List<String> ENVIRONMENT = List.of(
            "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TMP", "TEMP");

    /** How a task gets its process. */
    public enum Mode {
        /** Forked by a loaded interpreter, or not at all. */
        AGENT,
        /** An interpreter of its own. */
        SPAWN,
        /** Forked where that can be had. */
        AUTO
    }

    /**
     * Reads the options.
     *
     * @throws dev.d8.ConfigurationException if one is malformed; unknown ones are the caller's to reject
     */
    public static EngineSettings of(Options options) {
        int processors = Runtime.getRuntime().availableProcessors();
        return new EngineSettings(
                Mode.valueOf(options.matching("mode", "auto", "auto|agent|spawn", "auto, agent or spawn")
                        .toUpperCase(Locale.ROOT)),
                options.matching("isolation", "contained", "contained|none", "contained or none")
                        .equals("contained"),
                options.matching("namespaces", "auto", "auto|off", "auto or off")
                        .equals("auto"),
                (int) options.number("agents", processors, 1, 256),
                (int) options.number("parked", Math.max(4, 2 * processors), 0, 1000),
                options.list("preload", List.of()),
                inherited(options.list("environment", ENVIRONMENT)),
                options.list("hide", List.of()).stream()
                        .map(Path::of)
                        .map(Path::toAbsolutePath)
                        .toList(),
                Optional.of(options.matching("user", "", "|[0-9]{1,10}(:[0-9]{1,10})?", "UID or UID:GID, in digits"))
                        .filter(user -> !user.isEmpty()),
                (int) options.number("processes", 1024, 0, Integer.MAX_VALUE),
                (int) options.number("recycle_tasks", 1000, 1, Integer.MAX_VALUE),
                options.duration("recycle_age", Duration.ofHours(1)),
                options.number("recycle_memory_bytes", 64L << 20, 1 << 20, Long.MAX_VALUE));
    }

    /** Returns these settings for an engine that seldom runs more than one task at a time: one agent, one supervisor. */
    public EngineSettings forOneAtATime() {
        return new EngineSettings(
                mode,
                contained,
                namespaces,
                1,
                1,
                preload,
                environment,
                hide,
                user,
                processes,
                recycleTasks,
                recycleAge,
                recycleMemory);
    }

    /** Returns those of the named variables that this process has. */
    public static Map<String, String> inherited(List<String> names) {
        Map<String, String> values = new TreeMap<>(System.getenv());
        values.keySet().retainAll(names);
        return Map.copyOf(values);
    }
}
