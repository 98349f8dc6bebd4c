package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.FaultyNetwork.Host;
import dev.d8.launcher.FaultyNetwork.Link;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/** Slaves, each on a machine of its own and on some lines, and masters in the middle. */
final class FaultyFleet {

    private static final int PORT = 7600;
    private static final Path LIBRARIES = Path.of("/usr/lib");

    /** How long a slave may be out of reach before a task's outcome counts as unknown. */
    static final int RECONCILE_MILLIS = 10_000;

    final FaultyNetwork network;
    private final Path folder;
    private final Path starts;
    private final Map<String, Link> lines = new ConcurrentHashMap<>();
    private final Map<String, String> addresses = new ConcurrentHashMap<>();
    private final Map<String, Machine> machines = new ConcurrentHashMap<>();
    private final List<MasterProcess> masters = new ArrayList<>();

    FaultyFleet(Path folder) throws Exception {
        this.folder = folder;
        starts = Files.createDirectory(folder.resolve("starts"));
        network = new FaultyNetwork(folder);
    }

    /** A slave and what it takes to start it again. */
    static final class Machine {
        final Host host;
        private final Map<String, String> environment;
        Cli.Running slave;

        private Machine(Host host, Map<String, String> environment) throws IOException {
            this.host = host;
            this.environment = environment;
            slave = start();
        }

        private Cli.Running start() throws IOException {
            return new Cli.Running(host.start(
                    environment,
                    Cli.command(
                            "dev.d8.launcher.Main",
                            List.of(
                                    "slave",
                                    "--host",
                                    "0.0.0.0",
                                    "--insecure-http",
                                    "--port",
                                    String.valueOf(PORT),
                                    "--executors",
                                    "python",
                                    "--max-concurrent",
                                    "8",
                                    "-o",
                                    "python.path=" + Cli.PYTHON,
                                    "-o",
                                    "python.parked=1",
                                    "-o",
                                    "python.agents=1"))));
        }

        void awaitListening() throws IOException {
            slave.await("listening on ");
        }

        void kill() throws Exception {
            FaultyNetwork.signal(slave.process, "KILL");
            slave.process.waitFor();
        }

        void startAgain() throws IOException {
            slave = start();
            awaitListening();
        }
    }

    /** Starts a slave; {@code ids} are the names of the lines that lead to it, {@code ID} or {@code ID,LABEL}. */
    Machine slave(Map<String, String> environment, String... ids) throws Exception {
        Host host = network.host(name(ids[0]));
        for (String id : ids) {
            Link link = host.link();
            lines.put(name(id), link);
            addresses.put(name(id), "http://" + link.address + ":" + PORT + id.substring(name(id).length()));
        }
        Map<String, String> all = new HashMap<>(environment);
        all.put("SLAVE_TOKEN", TOKEN);
        Machine machine = new Machine(host, all);
        machines.put(name(ids[0]), machine);
        return machine;
    }

    private static String name(String id) {
        return id.replaceFirst(",.*", "");
    }

    /** Puts a proxy beside a slave that breaks what it carries: one port of a line, named as its fault, for each. */
    void proxy(String slave, String line, String... faults) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(String.valueOf(PORT)));
        for (String fault : faults) {
            int port = PORT + arguments.size();
            arguments.add(port + "=" + fault);
            addresses.put(fault, "http://" + line(line).address + ":" + port);
        }
        Cli.Running proxy = new Cli.Running(machine(slave)
                .host
                .start(Map.of(), Cli.scriptCommand("faulty_proxy.py", folder, arguments.toArray(String[]::new))));
        proxy.await("ready");
    }

    Link line(String id) {
        return Objects.requireNonNull(lines.get(id), id);
    }

    Machine machine(String id) {
        return Objects.requireNonNull(machines.get(id), id);
    }

    void awaitSlaves() throws IOException {
        for (Machine machine : machines.values()) {
            machine.awaitListening();
        }
    }

    /** Starts a master that knows these slaves, and waits for nothing. */
    MasterProcess master(String name, int reconcileMillis, Map<String, String> environment, String... slaves)
            throws Exception {
        List<String> arguments = new ArrayList<>(List.of(
                "backoff=200",
                "health_timeout=3000",
                "open_for=1000",
                "look_every=1000",
                "health_interval=1000",
                "connect_timeout=1000",
                "reconcile_for=" + reconcileMillis));
        for (String slave : slaves) {
            arguments.add("slave:" + slave + "=" + addresses.get(slave));
        }
        MasterProcess master = new MasterProcess(
                name,
                network.middle.start(environment, Cli.command("dev.d8.launcher.FaultyNetworkMaster", arguments)),
                starts);
        synchronized (masters) {
            masters.add(master);
        }
        return master;
    }

    /** Returns the environment of a process whose wall clock is what a file says, such as {@code +10d}. */
    static Map<String, String> clock(Path file) throws IOException {
        try (Stream<Path> libraries =
                Files.find(LIBRARIES, 4, (path, attributes) -> path.endsWith("faketime/libfaketime.so.1"))) {
            String library = libraries.map(Path::toString).findFirst().orElse("");
            if (library.isEmpty()) {
                FaultyNetwork.lack("libfaketime is missing: apt-get install faketime");
            }
            return Map.of(
                    "LD_PRELOAD",
                    library,
                    "FAKETIME_TIMESTAMP_FILE",
                    file.toString(),
                    "FAKETIME_CACHE_DURATION",
                    "1",
                    // Timers are not the wall clock's, and what the library does to waiting would have the JVM spin.
                    "FAKETIME_DONT_FAKE_MONOTONIC",
                    "1",
                    "FAKETIME_FORCE_MONOTONIC_FIX",
                    "0");
        }
    }

    /** Expects what holds however it went: promises kept, nothing left running, no connection left. */
    void expectAllIsWell() throws Exception {
        for (Link line : lines.values()) {
            line.heal();
        }
        for (MasterProcess master : masters) {
            if (master.process.isAlive()) {
                master.expectPromisesKept();
                master.close();
            }
        }
    }

    /** Ends every process, whatever it does. */
    void close() throws Exception {
        network.close();
        assertThat(machines.values()).noneMatch(machine -> machine.slave.process.isAlive());
    }
}
