package dev.d8.examples.shell;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A process and everything that it started. Thread-safe.
 *
 * <p>Its members are the process's descendants and, on Linux, whatever is in the session that it leads, orphans
 * included. Its limits: a process that makes a session of its own <em>and</em> loses its parent is no longer found (a
 * control group or a process namespace would find it), and without Linux's {@code /proc} neither is any orphan.
 */
final class ProcessTree {

    /** How often, 5 ms apart, a killed process is looked for before its end is taken on trust. */
    private static final int LOOKS = 40;

    private static final int STATE = 0;
    private static final int SESSION = 3;

    private final Process leader;
    private final Set<Long> killed = ConcurrentHashMap.newKeySet();

    ProcessTree(Process leader) {
        this.leader = leader;
    }

    /** Asks every member to end: SIGTERM. */
    void terminate() {
        members().forEach(ProcessHandle::destroy);
    }

    /** Ends every member, also one that is born meanwhile: SIGKILL. An interruption waits until that is done. */
    void kill() {
        boolean interrupted = Thread.interrupted();
        List<ProcessHandle> members = members();
        for (int look = 0; look < LOOKS && !members.isEmpty(); look++) {
            for (ProcessHandle member : members) {
                killed.add(member.pid());
                member.destroyForcibly();
            }
            try {
                TimeUnit.MILLISECONDS.sleep(5);
            } catch (InterruptedException e) {
                interrupted = true;
            }
            members = members();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** SIGTERM, and SIGKILL for what is left after {@code grace}, or at once if interrupted. */
    void end(Duration grace) {
        terminate();
        try {
            leader.waitFor(grace.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        kill();
    }

    /** Returns how many processes besides the first one had to be killed. */
    int leftoversKilled() {
        return (int) killed.stream().filter(pid -> pid != leader.pid()).count();
    }

    private List<ProcessHandle> members() {
        Stream<ProcessHandle> own =
                leader.isAlive() ? Stream.concat(Stream.of(leader.toHandle()), leader.descendants()) : Stream.empty();
        Stream<ProcessHandle> session = ProcessHandle.allProcesses()
                .filter(process -> stat(process, SESSION).equals(Long.toString(leader.pid())));
        // A zombie is dead already; it only waits for its parent, or for init, to take note.
        return Stream.concat(own, session)
                .distinct()
                .filter(process -> !stat(process, STATE).equals("Z"))
                .toList();
    }

    /** Reads a field of Linux's {@code pid (name) state parent group session …}, where the name may hold anything. */
    private static String stat(ProcessHandle process, int field) {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
            return stat.substring(stat.lastIndexOf(')') + 2).split(" ", SESSION + 2)[field];
        } catch (IOException e) {
            return ""; // It is over, or this is not Linux.
        }
    }
}
