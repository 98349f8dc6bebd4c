package dev.d8.launcher;

import dev.d8.D8Exception;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveSelector;
import dev.d8.master.SlaveStatus;
import dev.d8.master.VersionPolicy;
import dev.d8.spi.Options;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A master as a process of its own, since a JVM cannot enter a namespace. It is told what to do by lines of words, and answers
 * with a line of JSON for each end of a task and each question.
 *
 * <pre>
 * run NAME SLAVE|label:LABEL|* once|idempotent TIMEOUT_MS PROGRAM_IN_BASE64
 * cancel NAME
 * status QUESTION SLAVE
 * find QUESTION SLAVE TASK_ID
 * close
 * </pre>
 *
 * <p>Arguments are {@code NAME=MILLISECONDS} of {@link ConnectionPolicy}, and {@code slave:ID=ADDRESS[,LABEL]}.
 */
final class FaultyNetworkMaster {

    private static final JsonMapper JSON = JsonMapper.shared();

    private final Map<String, CompletableFuture<TaskResult>> running = new ConcurrentHashMap<>();
    private final SlaveManager manager;

    private FaultyNetworkMaster(Map<String, String> settings) {
        SlaveSelector any = SlaveSelector.leastLoaded(new Random());
        // Who names a label wants the first of those who have it, so that a test knows whom to break.
        SlaveSelector first =
                (candidates, task) -> task.labels().isEmpty() ? any.select(candidates, task) : candidates.get(0);
        manager = SlaveManager.builder()
                .token(Token.of(Cli.TOKEN))
                .versionPolicy(VersionPolicy.IGNORE)
                .healthInterval(millis(settings, "health_interval"))
                .selector(first)
                .connectionPolicy(new ConnectionPolicy(
                        2,
                        millis(settings, "backoff"),
                        millis(settings, "health_timeout"),
                        millis(settings, "health_timeout"),
                        millis(settings, "health_timeout"),
                        5,
                        millis(settings, "open_for"),
                        millis(settings, "reconcile_for"),
                        millis(settings, "look_every")))
                .options(Options.of(Map.of(
                        "http.connect_timeout",
                        millis(settings, "connect_timeout").toString())))
                .build();
        settings.forEach((name, value) -> {
            if (name.startsWith("slave:")) {
                List<String> words = List.of(value.split(","));
                manager.register(
                                name.substring("slave:".length()),
                                URI.create(words.get(0)),
                                words.subList(1, words.size()).toArray(String[]::new))
                        .join();
            }
        });
    }

    private static Duration millis(Map<String, String> settings, String name) {
        return Duration.ofMillis(Long.parseLong(Objects.requireNonNull(settings.get(name), name)));
    }

    public static void main(String[] args) throws IOException {
        Map<String, String> settings = new LinkedHashMap<>();
        Arrays.stream(args).map(arg -> arg.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
        FaultyNetworkMaster master = new FaultyNetworkMaster(settings);
        say(Map.of("question", "ready"));
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                master.obey(line.split(" "));
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private void obey(String[] words) {
        switch (words[0]) {
            case "run" -> run(words[1], words[2], words[3].equals("idempotent"), words[4], words[5]);
            case "cancel" -> Objects.requireNonNull(running.get(words[1])).cancel(true);
            case "status" ->
                manager.checkHealth(words[2]).whenComplete((status, error) -> {
                    Slave slave = manager.slave(words[2]).orElseThrow();
                    long taken = slave.health()
                            .flatMap(health -> health.slots())
                            .map(slots -> (long) slots.total() - slots.free())
                            .orElse(-1L);
                    boolean open = slave.status() == SlaveStatus.ALIVE && !slave.available();
                    String told = open ? "CIRCUIT_OPEN" : slave.status().name();
                    say(Map.of("question", words[1], "status", told, "taken", taken));
                });
            case "find" ->
                manager.connection(words[2])
                        .find(TaskId.parse(words[3]), Duration.ofSeconds(5))
                        .whenComplete((state, error) -> say(Map.of(
                                "question",
                                words[1],
                                "phase",
                                error != null
                                        ? String.valueOf(error)
                                        : state.map(known -> known.phase().name())
                                                .orElse("NEVER_CAME"))));
            case "close" -> {
                manager.close();
                say(Map.of("question", "closed"));
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private void run(String name, String where, boolean idempotent, String timeout, String program) {
        Task.Builder builder = Task.builder(Task.PYTHON_CODE)
                .with("command", new String(Base64.getDecoder().decode(program), StandardCharsets.UTF_8))
                .timeout(Duration.ofMillis(Long.parseLong(timeout)))
                .idempotent(idempotent);
        if (where.startsWith("label:")) {
            builder.labels(where.substring("label:".length()));
        }
        Task task = builder.build();
        CompletableFuture<TaskResult> result =
                where.equals("*") || where.startsWith("label:") ? manager.execute(task) : manager.execute(where, task);
        running.put(name, result);
        say(Map.of("sent", name, "id", task.id().toString()));
        result.whenComplete((value, error) -> say(Map.of(
                "task",
                name,
                "end",
                end(error).name(),
                "message",
                error == null ? value.termination().status().name() + " " + value.error() : String.valueOf(error),
                "output",
                error == null ? value.output() : "")));
    }

    /** How a task ended at its master. */
    enum End {
        RESULT,
        NOT_STARTED,
        UNKNOWN,
        CANCELLED,
        /** In a way that is not promised. */
        OTHER
    }

    private static End end(@Nullable Throwable error) {
        if (error == null) {
            return End.RESULT;
        } else if (error instanceof UnknownOutcomeException) {
            return End.UNKNOWN;
        } else if (error instanceof CancellationException) {
            return End.CANCELLED;
        }
        return error instanceof D8Exception known && known.retrySafe() ? End.NOT_STARTED : End.OTHER;
    }

    @SuppressWarnings("SystemOut") // It is what others read.
    private static synchronized void say(Map<String, ?> what) {
        System.out.println(JSON.writeValueAsString(what));
        System.out.flush();
    }
}
