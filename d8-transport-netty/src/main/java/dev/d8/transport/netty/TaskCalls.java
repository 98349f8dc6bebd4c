package dev.d8.transport.netty;

import dev.d8.InvalidTaskException;
import dev.d8.TaskForgottenException;
import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.TaskState.Phase;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.WireFormat;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.util.AsciiString;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What a slave does for requests about tasks, and about itself, once they have come whole. Knows nothing of connections. Thread-safe. */
final class TaskCalls {

    /** Tells a task that never came from a path that a slave does not know. */
    static final String NEVER_CAME = "D8-Task-Unknown";

    private static final Answer UNKNOWN =
            Answer.error(HttpResponseStatus.NOT_FOUND, NEVER_CAME + ": true\r\n", "no task of this id has come");
    private static final HttpResponseStatus OK = HttpResponseStatus.OK;
    private static final String PACKED = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
    static final String EVENT_STREAM = "text/event-stream";
    private static final String NDJSON = "application/x-ndjson";

    /** The most tasks that one batch may have. */
    private static final int MOST_BATCHED = 10_000;

    private static final AsciiString IDEMPOTENCY_KEY = AsciiString.cached("idempotency-key");
    private static final String REPLAYED = "Idempotency-Replayed: true\r\n";

    /** The longest that a call may wait for a task's end. */
    private static final Duration LONGEST_WAIT = Duration.ofSeconds(60);

    private static final Pattern PREFERRED_WAIT = Pattern.compile("(?:^|[,;\\s])wait=([0-9]{1,5})(?:$|[,;\\s])");

    private final SlaveService service;
    private final WireFormat wire = WireFormat.json();

    TaskCalls(SlaveService service) {
        this.service = service;
    }

    /** A request that has come whole. Used once. */
    abstract static non-sealed class Call implements Decision {
        /** The task whose result is in the answer. */
        volatile @Nullable TaskHandle inAnswer;

        private final boolean packs;

        Call(HttpHeaders headers) {
            packs = acceptsGzip(headers);
        }

        /** Returns an answer that travels as gzip where its caller takes that and it is worth it. */
        final Answer answer(HttpResponseStatus status, String headers, byte[] json) {
            return packs && json.length >= Gzip.WORTH_IT
                    ? Answer.of(status, headers + PACKED, Gzip.pack(json))
                    : Answer.of(status, headers, json);
        }

        /**
         * Does what it asks for.
         *
         * @return the answer, made on the thread that it waits for: a large result must not hold up an event loop.
         *     Cancelling it tells that the caller is gone
         * @throws RuntimeException as the future fails
         */
        abstract CompletableFuture<Answer> run(byte[] body);

        /** Tells that the caller is there to take the answer. */
        final void answered() {
            TaskHandle task = inAnswer;
            if (task != null) {
                task.delivered();
            }
        }
    }

    /** One whose answer is the result. A task without an id ends with its caller; one with an id is that task from now on. */
    Call execute(Caller caller, HttpHeaders headers) {
        return new Call(headers) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                WireFormat.Call asked = wire.decodeCall(body, key(headers));
                Optional<SlaveTasks> tasks = service.tasks();
                if (accepts(headers, EVENT_STREAM) && tasks.isPresent()) {
                    TaskHandle task = tasks.get().submit(caller, asked.invocation());
                    return CompletableFuture.completedFuture(
                            task.state().phase() == Phase.FORGOTTEN
                                    ? gone(task.state())
                                    : told(caller, task, asked.keyed()));
                }
                if (!asked.keyed() || tasks.isEmpty()) {
                    return answering(
                            service.execute(caller, asked.invocation(), ExecutionListener.NONE),
                            result -> answer(OK, "", wire.encode(result)));
                }
                TaskHandle task = tasks.get().submit(caller, asked.invocation());
                CompletableFuture<byte[]> result = task.answer();
                if (!task.replayed()) {
                    inAnswer = task;
                    return result.thenApply(json -> answer(OK, "", json));
                }
                if (result.isDone() && !result.isCompletedExceptionally()) {
                    inAnswer = task;
                    return result.thenApply(json -> answer(OK, REPLAYED, json));
                }
                return answering(task.await(preferredWait(headers)), state -> {
                    if (state.result().isEmpty()) {
                        return state.phase() == Phase.FORGOTTEN ? gone(state) : underWay(state);
                    }
                    inAnswer = task;
                    return answer(OK, REPLAYED, wire.encode(state.result().get()));
                });
            }
        };
    }

    /** One whose answer is what happens to the task from now on, and its result at the end. */
    private Answer told(Caller caller, TaskHandle task, boolean keyed) {
        SlaveTasks tasks = service.tasks().orElseThrow();
        TaskId id = task.state().taskId();
        return Answer.inPieces(
                EVENT_STREAM,
                task.replayed() ? REPLAYED : "",
                more -> new FollowedTask(
                        task,
                        0,
                        false,
                        task::delivered,
                        () -> {
                            if (!keyed) { // Nobody could ever ask for it.
                                tasks.cancel(caller, id);
                            }
                        },
                        more));
    }

    /** One whose answer is what happens to a task, from the offset that it asks for. */
    Call follow(HttpRequest request, TaskId id) {
        HttpHeaders headers = request.headers();
        return new Call(headers) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                TaskHandle task = service.tasks().orElseThrow().find(id).orElse(null);
                if (task == null) {
                    return CompletableFuture.completedFuture(UNKNOWN);
                }
                if (task.state().phase() == Phase.FORGOTTEN) {
                    return CompletableFuture.completedFuture(gone(task.state()));
                }
                long from = askedOffset(request);
                boolean upgrade = Upgrade.isWanted(headers);
                Source.Opening events =
                        more -> new FollowedTask(task, from, upgrade, TaskCalls::nothing, TaskCalls::nothing, more);
                if (!upgrade) {
                    return CompletableFuture.completedFuture(Answer.inPieces(EVENT_STREAM, "", events));
                }
                Answer objection = Upgrade.objection(request);
                return CompletableFuture.completedFuture(
                        objection != null ? objection : Answer.webSocket(Upgrade.accept(headers), events));
            }
        };
    }

    /** One whose answer has the results of several tasks. */
    Call batch(Caller caller, HttpHeaders headers) {
        return new Call(headers) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                List<WireFormat.BatchedCall> calls = wire.decodeBatch(body);
                if (calls.size() > MOST_BATCHED) {
                    throw new InvalidTaskException(
                            "tasks", calls.size() + " of them (expected: at most " + MOST_BATCHED + ")");
                }
                boolean lines = accepts(headers, NDJSON);
                return CompletableFuture.completedFuture(Answer.inPieces(
                        lines ? NDJSON : "application/json",
                        "",
                        more -> new Batch(service, caller, calls, !lines, more)));
            }
        };
    }

    /** One whose answer is that the task has been taken. */
    Call submit(Caller caller, HttpHeaders headers) {
        return new Call(headers) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                TaskHandle task = service.tasks()
                        .orElseThrow()
                        .submit(caller, wire.decodeCall(body, key(headers)).invocation());
                TaskState state = task.state();
                if (state.phase() == Phase.FORGOTTEN) {
                    return CompletableFuture.completedFuture(gone(state));
                }
                boolean over = state.result().isPresent();
                if (over) {
                    inAnswer = task;
                }
                return CompletableFuture.completedFuture(answer(
                        over ? HttpResponseStatus.OK : HttpResponseStatus.ACCEPTED,
                        "Location: " + Routes.TASK + state.taskId() + "\r\n" + (task.replayed() ? REPLAYED : ""),
                        wire.encode(state)));
            }
        };
    }

    /** One whose answer is how a task is, at once or when it is over. */
    Call watch(HttpRequest request, TaskId id) {
        return new Call(request.headers()) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                Optional<TaskHandle> found = service.tasks().orElseThrow().find(id);
                if (found.isEmpty()) {
                    return CompletableFuture.completedFuture(UNKNOWN);
                }
                return answering(found.get().await(askedWait(request)), state -> {
                    if (state.result().isPresent()) {
                        inAnswer = found.get();
                    }
                    return state.phase() == Phase.FORGOTTEN ? gone(state) : answer(OK, "", wire.encode(state));
                });
            }
        };
    }

    /** One whose answer is that the slave updates itself. */
    Call update(Caller caller, HttpHeaders headers) {
        return new Call(headers) {
            @Override
            CompletableFuture<Answer> run(byte[] body) {
                return answering(
                        service.update(caller, wire.decodeUpdate(body)),
                        update ->
                                answer(update.restarts() ? HttpResponseStatus.ACCEPTED : OK, "", wire.encode(update)));
            }
        };
    }

    /** Giving the answer up gives up what it waits for. */
    private static <T> CompletableFuture<Answer> answering(CompletableFuture<T> coming, Function<T, Answer> answer) {
        CompletableFuture<Answer> future = coming.thenApply(answer);
        var unused = future.whenComplete((made, failure) -> {
            if (future.isCancelled()) {
                coming.cancel(true);
            }
        });
        return future;
    }

    private static Answer gone(TaskState state) {
        return Answer.error(
                HttpResponseStatus.GONE, String.valueOf(new TaskForgottenException(state.taskId()).getMessage()));
    }

    private static Answer underWay(TaskState state) {
        return Answer.error(
                HttpResponseStatus.CONFLICT,
                "Location: " + Routes.TASK + state.taskId() + "\r\nRetry-After: 1\r\n",
                "this task is under way: " + state.phase().wireName());
    }

    private static void nothing() {}

    private static boolean accepts(HttpHeaders headers, String type) {
        return headers.contains(HttpHeaderNames.ACCEPT) // Most say nothing, and looking is cheaper.
                && headers.getAll(HttpHeaderNames.ACCEPT).stream()
                        .flatMap(value -> Stream.of(value.split(",", -1)))
                        .anyMatch(one -> one.strip().split("[;\\s]", 2)[0].equalsIgnoreCase(type));
    }

    private static boolean acceptsGzip(HttpHeaders headers) {
        return headers.contains(HttpHeaderNames.ACCEPT_ENCODING)
                && headers.getAll(HttpHeaderNames.ACCEPT_ENCODING).stream()
                        .flatMap(value -> Stream.of(value.split(",", -1)))
                        .map(coding -> coding.strip().toLowerCase(Locale.ROOT))
                        .anyMatch(coding ->
                                coding.equals("gzip") || coding.matches("gzip\\s*;\\s*q=(1|1\\..*|0?\\.0*[1-9].*)"));
    }

    /** A key is a task's id, in quotation marks or without. */
    private static Optional<TaskId> key(HttpHeaders headers) {
        if (!headers.contains(IDEMPOTENCY_KEY)) {
            return Optional.empty();
        }
        List<String> values = headers.getAll(IDEMPOTENCY_KEY);
        if (values.size() > 1) {
            throw new InvalidTaskException("Idempotency-Key", "more than one (expected: one)");
        }
        String text = values.get(0).strip();
        boolean quoted = text.length() >= 2 && text.startsWith("\"") && text.endsWith("\"");
        return Optional.of(TaskId.parse(quoted ? text.substring(1, text.length() - 1) : text));
    }

    /** How long a caller would rather wait than hear that its task is under way. */
    private static Duration preferredWait(HttpHeaders headers) {
        Matcher wait = PREFERRED_WAIT.matcher(headers.get("Prefer", ""));
        return wait.find() ? Duration.ofSeconds(Long.parseLong(wait.group(1))) : Duration.ZERO;
    }

    /** A browser that was cut off says where it was in a header of its own. */
    private static long askedOffset(HttpRequest request) {
        String from = parameter(request, "from", request.headers().get("Last-Event-ID", "0"));
        if (!from.matches("[0-9]{1,18}")) {
            throw new InvalidTaskException("from", "\"" + from + "\" (expected: an offset, a whole number from 0 on)");
        }
        return Long.parseLong(from);
    }

    private static String parameter(HttpRequest request, String name, String otherwise) {
        try {
            return new QueryStringDecoder(request.uri())
                    .parameters()
                    .getOrDefault(name, List.of(otherwise))
                    .get(0);
        } catch (IllegalArgumentException e) {
            throw new InvalidTaskException("the query", "malformed (expected: percent signs before two hex digits)");
        }
    }

    private static Duration askedWait(HttpRequest request) {
        String wait = parameter(request, "wait", "0");
        try {
            double seconds = Double.parseDouble(wait);
            if (seconds >= 0 && seconds <= LONGEST_WAIT.toSeconds()) {
                return Duration.ofMillis((long) (seconds * 1000));
            }
        } catch (NumberFormatException e) {
            // Told below.
        }
        throw new InvalidTaskException(
                "wait", "\"" + wait + "\" (expected: seconds, 0 to " + LONGEST_WAIT.toSeconds() + ")");
    }
}
