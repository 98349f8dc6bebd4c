package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.d8.launcher.Cli.Ended;
import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Network namespaces of a test's own: one in the middle for masters, and one for each slave, with links between them that can
 * lose, cut off and reset. Nothing outside is touched, and {@link #close} leaves nothing behind; what a test that was killed
 * left is removed by the next one. Thread-safe.
 */
final class FaultyNetwork {

    private static final Path NAMESPACES = Path.of("/run/netns");
    private static final String PREFIX = "d8test-";
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final String name = PREFIX + ProcessHandle.current().pid() + "-";
    private final Deque<Process> processes = new ArrayDeque<>();
    private final List<String> namespaces = new ArrayList<>();
    private final Path folder;
    private int links;

    /** Where masters are. */
    final Host middle;

    /** Skips the test where there can be no namespaces, or fails it where {@code -Dd8.netns=required}. */
    static void require() {
        String reason = missing();
        if (!reason.isEmpty()) {
            lack(reason);
        }
    }

    /** Skips the test for lack of something, or fails it where {@code -Dd8.netns=required}. */
    static void lack(String reason) {
        if ("required".equals(System.getProperty("d8.netns"))) {
            throw new AssertionError("-Dd8.netns=required, and " + reason);
        }
        assumeTrue(false, "NOT TESTED on real networks: " + reason);
    }

    private static String missing() {
        String probe = PREFIX + ProcessHandle.current().pid() + "-probe";
        try {
            Ended made = run(List.of("ip", "netns", "add", probe));
            if (made.exit() != 0) {
                return "no network namespace can be made: " + made.err().strip();
            }
            try {
                Ended rule = run(inside(
                        probe,
                        List.of("iptables", "-A", "INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")));
                return rule.exit() == 0
                        ? ""
                        : "iptables does not work in it: " + rule.err().strip();
            } finally {
                run(List.of("ip", "netns", "del", probe));
            }
        } catch (Exception e) {
            return "ip, nsenter or iptables cannot be run: " + e.getMessage();
        }
    }

    FaultyNetwork(Path folder) throws Exception {
        this.folder = folder;
        removeLeftOvers();
        middle = host("middle");
    }

    private static void removeLeftOvers() throws Exception {
        if (!Files.isDirectory(NAMESPACES)) {
            return;
        }
        try (DirectoryStream<Path> all = Files.newDirectoryStream(NAMESPACES, PREFIX + "[0-9]*")) {
            for (Path one : all) {
                String left = one.getFileName().toString();
                long owner = Long.parseLong(left.substring(PREFIX.length()).replaceFirst("-.*", ""));
                if (ProcessHandle.of(owner).isEmpty()) {
                    run(List.of("ip", "netns", "del", left));
                }
            }
        }
    }

    /** A machine. */
    final class Host {
        final String namespace;

        private Host(String namespace) {
            this.namespace = namespace;
        }

        /** Starts a process there. */
        Process start(Map<String, String> environment, List<String> command) throws IOException {
            ProcessBuilder builder = new ProcessBuilder(inside(namespace, command));
            builder.directory(folder.toFile()).environment().remove("SLAVE_TOKEN");
            builder.environment().putAll(environment);
            Process process = builder.start();
            synchronized (FaultyNetwork.this) {
                processes.push(process);
            }
            return process;
        }

        /** Lays a line to the middle. */
        Link link() throws Exception {
            int number;
            synchronized (FaultyNetwork.this) {
                number = links++;
            }
            String here = "s" + number;
            String there = "m" + number;
            String address = "10.213." + number + ".";
            String device = "device " + there;
            expect(
                    device,
                    "ip",
                    "-n",
                    middle.namespace,
                    "link",
                    "add",
                    there,
                    "type",
                    "veth",
                    "peer",
                    here,
                    "netns",
                    namespace);
            expect(device, "ip", "-n", middle.namespace, "addr", "add", address + "1/30", "dev", there);
            expect(device, "ip", "-n", namespace, "addr", "add", address + "2/30", "dev", here);
            expect(device, "ip", "-n", middle.namespace, "link", "set", there, "up");
            expect(device, "ip", "-n", namespace, "link", "set", here, "up");
            return new Link(namespace, here, address + "2");
        }
    }

    /** Makes a machine without any line. */
    Host host(String called) throws Exception {
        String namespace = name + called;
        expect("a namespace", "ip", "netns", "add", namespace);
        synchronized (this) {
            namespaces.add(namespace);
        }
        expect("loopback", "ip", "-n", namespace, "link", "set", "lo", "up");
        return new Host(namespace);
    }

    /** A line to a slave's machine. What is lost is lost on the slave's side, in silence. */
    static final class Link {
        private static final List<String> REQUESTS = List.of("INPUT", "-i");
        private static final List<String> ANSWERS = List.of("OUTPUT", "-o");

        final String address;
        private final String namespace;
        private final String device;
        private final List<List<String>> rules = new ArrayList<>();

        private Link(String namespace, String device, String address) {
            this.namespace = namespace;
            this.device = device;
            this.address = address;
        }

        void loseRequests() throws Exception {
            add(REQUESTS, "-j", "DROP");
        }

        void loseAnswers() throws Exception {
            add(ANSWERS, "-j", "DROP");
        }

        void loseEverything() throws Exception {
            loseRequests();
            loseAnswers();
        }

        /** Loses such a part of all packets, both ways. */
        void lose(double part) throws Exception {
            for (List<String> direction : List.of(REQUESTS, ANSWERS)) {
                add(
                        direction,
                        "-m",
                        "statistic",
                        "--mode",
                        "random",
                        "--probability",
                        String.valueOf(part),
                        "-j",
                        "DROP");
            }
        }

        /** Answers every packet to the slave with a reset. */
        void reset() throws Exception {
            add(REQUESTS, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset");
        }

        synchronized void heal() throws Exception {
            for (List<String> rule : rules) {
                change("-D", rule);
            }
            rules.clear();
        }

        private synchronized void add(List<String> direction, String... what) throws Exception {
            List<String> rule = new ArrayList<>(direction);
            rule.add(device);
            rule.addAll(List.of(what));
            change("-A", rule);
            rules.add(rule);
        }

        private void change(String how, List<String> rule) throws Exception {
            List<String> command = new ArrayList<>(List.of("iptables", "-w", how));
            command.addAll(rule);
            expect("a rule", inside(namespace, command));
        }
    }

    /** Sends a signal to a process. */
    static void signal(Process process, String signal) throws Exception {
        expect("a signal", "/bin/sh", "-c", "kill -" + signal + " " + process.pid());
    }

    /** Returns how many TCP connections a process has, of whatever state but listening ones. */
    static long connections(Process process) throws IOException {
        Path proc = Path.of("/proc", String.valueOf(process.pid()));
        List<String> sockets = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(proc.resolve("fd"))) {
            for (Path one : all) {
                try {
                    sockets.add(Files.readSymbolicLink(one).toString());
                } catch (IOException e) {
                    // It was closed meanwhile.
                }
            }
        }
        long count = 0;
        for (String table : List.of("tcp", "tcp6")) {
            for (String line : Files.readAllLines(proc.resolve("net").resolve(table))) {
                String[] columns = line.strip().split("\\s+");
                boolean connected = columns.length > 9 && !columns[3].equals("0A") && !columns[0].equals("sl");
                count += connected && sockets.contains("socket:[" + columns[9] + "]") ? 1 : 0;
            }
        }
        return count;
    }

    /** A question whose answer may change. */
    interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits until something is so, for a minute at the most. */
    static void await(String what, Condition condition) throws Exception {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.holds()) {
            assertThat(System.nanoTime()).as(what + ", in time").isLessThan(until);
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
        }
    }

    private static List<String> inside(String namespace, List<String> command) {
        List<String> all = new ArrayList<>(List.of("nsenter", "--net=" + NAMESPACES.resolve(namespace), "--"));
        all.addAll(command);
        return all;
    }

    private static Ended run(List<String> command) throws Exception {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().merge("PATH", "/usr/sbin:/sbin", (path, more) -> path + File.pathSeparator + more);
        return Cli.ended(builder.start(), "");
    }

    private static void expect(String what, String... command) throws Exception {
        expect(what, List.of(command));
    }

    private static void expect(String what, List<String> command) throws Exception {
        Ended ended = run(command);
        assertThat(ended.exit())
                .as("%s: %s: %s", what, String.join(" ", command), ended.err())
                .isZero();
    }

    /** Ends every process and removes the namespaces. */
    synchronized void close() throws Exception {
        for (Process process : processes) {
            process.destroyForcibly();
        }
        for (Process process : processes) {
            assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        }
        for (String namespace : namespaces) {
            expect("no namespace", "ip", "netns", "del", namespace);
        }
        namespaces.clear();
    }
}
