package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.Invocation;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.Timing;
import dev.d8.Usage;
import dev.d8.VersionInfo;
import dev.d8.internal.Json;
import dev.d8.internal.Sha256;
import dev.d8.spi.Caller;
import dev.d8.spi.TimeSource;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells who asked for what and what became of it, each in one line of JSON. Never a task's source, variables or input, and
 * never a token. What a peer chose is cut to {@link #LONGEST} characters, so that nobody fills the log. Thread-safe.
 */
final class AuditLog {

    private static final Logger LOG = LoggerFactory.getLogger(AuditLog.class);

    /** How many characters of a text that somebody else chose are told. */
    static final int LONGEST = 200;

    /** The time between two lines about one address that is turned away. */
    static final Duration BETWEEN = Duration.ofSeconds(1);

    private static final DateTimeFormatter MILLIS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSX").withZone(ZoneOffset.UTC);

    private final @Nullable Consumer<String> lines;
    private final InstantSource clock;
    private final TimeSource time;
    private final AtomicBoolean broken = new AtomicBoolean();

    /** What has not been told yet of those who were turned away within the last second, by address. */
    private final Map<String, Untold> turnedAway = new HashMap<>();

    private static final class Untold {
        int count;
        Caller last = new Caller("", "");
        String reason = "";
    }

    /** Creates one that tells nothing where there are no {@code lines}. */
    AuditLog(@Nullable Consumer<String> lines, InstantSource clock, TimeSource time) {
        this.lines = lines;
        this.clock = clock;
        this.time = time;
    }

    void started(String bootId, VersionInfo version) {
        if (lines != null) {
            Map<String, Object> event = event("started");
            event.put("boot_id", bootId);
            event.put("version", version.version());
            event.put("commit", version.commit());
            tell(event);
        }
    }

    void stopped(String bootId) {
        if (lines != null) {
            List<Untold> rest;
            synchronized (turnedAway) {
                rest = turnedAway.values().stream()
                        .filter(untold -> untold.count > 0)
                        .toList();
                turnedAway.clear();
            }
            rest.forEach(this::tell);
            Map<String, Object> event = event("stopped");
            event.put("boot_id", bootId);
            tell(event);
        }
    }

    /** Tells of a task that will run, before it does. */
    void accepted(Caller caller, Invocation invocation) {
        if (lines != null) {
            Map<String, Object> event = event("accepted", caller);
            event.put("task_id", invocation.taskId().toString());
            event.put("source_sha256", sha256(invocation.source()));
            event.put("runtime", cut(invocation.runtime()));
            invocation.method().ifPresent(method -> event.put("method", cut(method)));
            event.put("timeout", invocation.timeout().toMillis() / 1000.0);
            tell(event);
        }
    }

    void finished(TaskResult result) {
        if (lines != null) {
            Map<String, Object> event = event("finished");
            event.put("task_id", result.taskId().toString());
            event.put("method", result.method());
            Termination end = result.termination();
            event.put("status", end.status().wireName());
            if (end.exitCode() != null) {
                event.put("exit_code", end.exitCode());
            }
            if (end.signal() != null) {
                event.put("signal", end.signal());
            }
            result.usage()
                    .map(Usage::wall)
                    .or(() -> result.timing().map(Timing::run))
                    .ifPresent(wall -> event.put("wall_ms", Math.round(wall.toNanos() / 1e5) / 10.0));
            event.put(
                    "output_bytes",
                    result.stdout().totalBytes() + result.stderr().totalBytes());
            tell(event);
        }
    }

    /** Tells of a task that has no result: its caller left, or the slave failed. */
    void finished(TaskId id, Throwable failure) {
        if (lines != null) {
            Map<String, Object> event = event("finished");
            event.put("task_id", id.toString());
            Status status = failure instanceof CancellationException ? Status.CANCELLED : Status.INTERNAL_ERROR;
            event.put("status", status.wireName());
            tell(event);
        }
    }

    void refused(Caller caller, TaskId id, D8Exception why) {
        if (lines != null) {
            Map<String, Object> event = event("refused", caller);
            event.put("task_id", id.toString());
            event.put("reason", SlaveMetrics.reason(why));
            event.put("why", cut(String.valueOf(why.getMessage())));
            tell(event);
        }
    }

    void cancel(Caller caller, TaskId id, boolean ended) {
        if (lines != null) {
            Map<String, Object> event = event("cancel", caller);
            event.put("task_id", id.toString());
            event.put("ended", ended);
            tell(event);
        }
    }

    /** Tells of a caller who has the slave update itself, or would have. */
    void update(Caller caller, String to, @Nullable D8Exception refused) {
        if (lines != null) {
            Map<String, Object> event = event(refused == null ? "update" : "update_refused", caller);
            event.put("commit", cut(to));
            if (refused != null) {
                event.put("why", cut(String.valueOf(refused.getMessage())));
            }
            tell(event);
        }
    }

    /** Tells of the first of an address at once and of those that follow within a second together, after it. */
    void turnedAway(Caller caller, String reason) {
        if (lines == null) {
            return;
        }
        synchronized (turnedAway) {
            Untold untold = turnedAway.get(caller.address());
            if (untold != null) {
                untold.count++;
                untold.last = caller;
                untold.reason = reason;
                return;
            }
            turnedAway.put(caller.address(), new Untold());
        }
        tellTurnedAway(caller, reason, 0);
        tellLater(caller.address());
    }

    private void tellLater(String address) {
        time.schedule(BETWEEN, () -> {
            Untold untold;
            synchronized (turnedAway) {
                untold = turnedAway.remove(address);
                if (untold == null || untold.count == 0) {
                    return; // A second has passed without another.
                }
                turnedAway.put(address, new Untold());
            }
            tell(untold);
            tellLater(address);
        });
    }

    private void tell(Untold untold) {
        tellTurnedAway(untold.last, untold.reason, untold.count - 1);
    }

    private void tellTurnedAway(Caller caller, String reason, int others) {
        Map<String, Object> event = event("turned_away", caller);
        event.put("reason", reason);
        event.put("others", others);
        tell(event);
    }

    private Map<String, Object> event(String name, Caller caller) {
        Map<String, Object> event = event(name);
        event.put("caller", cut(caller.name()));
        event.put("address", cut(caller.address()));
        return event;
    }

    private Map<String, Object> event(String name) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("time", MILLIS.format(clock.instant()));
        event.put("event", name);
        return event;
    }

    private static String cut(String text) {
        return text.length() <= LONGEST ? text : text.substring(0, LONGEST) + "…";
    }

    private static String sha256(String text) {
        return HexFormat.of().formatHex(Sha256.of(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** Whoever listens must not be able to end a task, let alone the slave. */
    private void tell(Map<String, Object> event) {
        try {
            Optional.ofNullable(lines).ifPresent(to -> to.accept(Json.line(event)));
        } catch (RuntimeException e) {
            if (broken.compareAndSet(false, true)) {
                LOG.error("audit log: whoever writes it failed; tasks go on, and this is told once", e);
            }
        }
    }
}
