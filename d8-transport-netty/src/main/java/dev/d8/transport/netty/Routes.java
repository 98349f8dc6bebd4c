package dev.d8.transport.netty;

import dev.d8.Grant;
import dev.d8.Health;
import dev.d8.Scope;
import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.WireFormat;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What a slave answers to which request. Knows nothing of connections. Thread-safe. */
final class Routes {

    static final String HEALTH = "/api/health";
    static final String VERSION = "/api/version";
    static final String OPENAPI = "/api/openapi.json";
    static final String EXECUTE = "/api/execute";
    static final String BATCH = EXECUTE + "/batch";
    static final String TASKS = "/api/tasks";
    static final String TASK = TASKS + "/";
    static final String EVENTS = "/events";
    static final String SLOTS = "/api/slots";
    static final String UPDATE = "/api/update";
    static final String METRICS = "/metrics";

    static final ByteBuf CONTINUE = Unpooled.unreleasableBuffer(
            Unpooled.copiedBuffer("HTTP/1.1 100 Continue\r\n\r\n", StandardCharsets.US_ASCII)
                    .asReadOnly());
    static final Answer HEAD_TIMED_OUT =
            Answer.error(HttpResponseStatus.REQUEST_TIMEOUT, "the request's head took too long");
    static final Answer BODY_TIMED_OUT =
            Answer.error(HttpResponseStatus.REQUEST_TIMEOUT, "the request's body took too long");
    static final Answer TOO_MANY_CONNECTIONS = Answer.error(
            HttpResponseStatus.SERVICE_UNAVAILABLE,
            "Retry-After: 1\r\nD8-Not-Started: true\r\n",
            "too many connections");

    private static final Answer UNAUTHORIZED =
            Answer.error(HttpResponseStatus.UNAUTHORIZED, "WWW-Authenticate: Bearer\r\n", "Unauthorized");
    private static final Answer FORBIDDEN =
            Answer.error(HttpResponseStatus.FORBIDDEN, "this token may only read (its scope is not execute)");
    private static final Answer NO_ADMIN = Answer.error(
            HttpResponseStatus.FORBIDDEN, "this token may not have the slave update itself (its scope is not admin)");
    private static final Answer NOT_FOUND = Answer.error(HttpResponseStatus.NOT_FOUND, "no such path");
    private static final Answer EXPECTATION_FAILED =
            Answer.error(HttpResponseStatus.EXPECTATION_FAILED, "Expect: only 100-continue is understood");
    private static final Answer NOT_JSON = Answer.error(
            HttpResponseStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: not JSON (expected: application/json)");
    private static final Answer CODED = Answer.error(
            HttpResponseStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: not understood (expected: gzip or identity)");
    private static final Answer FOREIGN_ORIGIN = Answer.error(
            HttpResponseStatus.FORBIDDEN, "Origin: requests of this web page are not served (http.origins)");
    private static final Answer FOREIGN_HOST =
            Answer.error(HttpResponseStatus.FORBIDDEN, "Host: not a name of this slave (http.hosts)");
    private static final Answer GET_ONLY = notAllowed("GET, HEAD");
    private static final Answer POST_ONLY = notAllowed("POST");
    private static final Answer GET_OR_DELETE_ONLY = notAllowed("GET, HEAD, DELETE");
    private static final Answer METHOD_UNKNOWN = notAllowed("GET, HEAD, POST, DELETE");

    private static final String BEARER = "Bearer ";

    private final SlaveService service;
    private final TaskCalls calls;
    private final ServerSecurity security;
    private final WireFormat wire = WireFormat.json();
    private final HttpSettings settings;
    private final Guesses guesses;
    private final Answer tooLarge;
    private final Answer tooLargePacked;
    private volatile @Nullable Encoded<Health> health;
    private volatile @Nullable Encoded<VersionInfo> version;

    /** The answer made last, which is good for as long as nothing has changed. */
    private record Encoded<T>(T value, Answer answer) {}

    Routes(SlaveService service, ServerSecurity security, HttpSettings settings, Guesses guesses) {
        this.service = service;
        this.calls = new TaskCalls(service);
        this.security = security;
        this.guesses = guesses;
        this.tooLarge = Answer.error(
                HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, "the body has more than " + settings.maxBody() + " bytes");
        this.tooLargePacked = Answer.error(
                HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE,
                "the packed body has more than " + settings.maxPackedBody() + " bytes");
        this.settings = settings;
    }

    /**
     * Decides from a request's head.
     *
     * @param length of the body, in bytes; negative where it is not known yet
     */
    Decision decide(HttpRequest request, long length, Peer peer) {
        Answer foreign = foreign(request.headers());
        if (foreign != null) {
            return foreign;
        }
        HttpMethod method = request.method();
        HttpHeaders headers = request.headers();
        switch (path(request.uri())) {
            case HEALTH -> {
                return isGet(method) ? health() : GET_ONLY;
            }
            case VERSION -> {
                return isGet(method) ? version() : GET_ONLY;
            }
            case OPENAPI -> {
                return isGet(method) ? OpenApi.ANSWER : GET_ONLY;
            }
            case EXECUTE -> {
                return isPost(method) ? task(headers, length, peer, calls::execute) : POST_ONLY;
            }
            case BATCH -> {
                return isPost(method) ? task(headers, length, peer, calls::batch) : POST_ONLY;
            }
            case TASKS -> {
                return service.tasks().isEmpty()
                        ? NOT_FOUND
                        : isPost(method) ? task(headers, length, peer, calls::submit) : POST_ONLY;
            }
            case UPDATE -> {
                return isPost(method) ? posted(headers, length, peer, Scope.ADMIN, calls::update) : POST_ONLY;
            }
            case METRICS -> {
                return isGet(method) ? guarded(headers, peer, Scope.READ, caller -> metrics()) : GET_ONLY;
            }
            case SLOTS -> {
                return isGet(method) ? guarded(headers, peer, Scope.READ, caller -> slots()) : GET_ONLY;
            }
            default -> {
                if (request.uri().startsWith(TASK) && service.tasks().isPresent()) {
                    return ofTask(request, peer, service.tasks().get());
                }
                return method.equals(HttpMethod.TRACE) || method.equals(HttpMethod.CONNECT)
                        ? METHOD_UNKNOWN
                        : NOT_FOUND;
            }
        }
    }

    private Decision ofTask(HttpRequest request, Peer peer, SlaveTasks tasks) {
        HttpMethod method = request.method();
        boolean cancels = method.equals(HttpMethod.DELETE);
        String named = path(request.uri()).substring(TASK.length());
        if (named.endsWith(EVENTS)) {
            return isGet(method)
                    ? guarded(
                            request.headers(),
                            peer,
                            Scope.READ,
                            caller -> calls.follow(
                                    request, TaskId.parse(named.substring(0, named.length() - EVENTS.length()))))
                    : GET_ONLY;
        }
        if (!isGet(method) && !cancels) {
            return GET_OR_DELETE_ONLY;
        }
        return guarded(request.headers(), peer, cancels ? Scope.EXECUTE : Scope.READ, caller -> {
            TaskId id = TaskId.parse(named);
            return cancels ? cancel(caller, tasks, id) : calls.watch(request, id);
        });
    }

    private Answer cancel(Caller caller, SlaveTasks tasks, TaskId id) {
        boolean ended = tasks.cancel(caller, id);
        return Answer.of(
                ended ? HttpResponseStatus.ACCEPTED : HttpResponseStatus.OK,
                "",
                wire.encode(tasks.find(id).map(TaskHandle::state).orElse(TaskState.of(id, TaskState.Phase.FORGOTTEN))));
    }

    /** Goes on with whoever has shown a token that is good for this. */
    private Decision guarded(HttpHeaders headers, Peer peer, Scope needed, Function<Caller, Decision> then) {
        try {
            Optional<Grant> grant = bearer(headers).flatMap(security::find);
            if (grant.isEmpty()) {
                service.turnedAway(peer.unknown(), "unauthorized");
                Duration wait = guesses.wrong(peer.address());
                return wait.isZero() ? UNAUTHORIZED : new Late(UNAUTHORIZED, wait);
            }
            Caller caller = peer.with(grant.get());
            if (!grant.get().scope().covers(needed)) {
                service.turnedAway(caller, "forbidden");
                return needed == Scope.ADMIN ? NO_ADMIN : FORBIDDEN;
            }
            return then.apply(caller);
        } catch (RuntimeException e) {
            return failure(e);
        }
    }

    private Decision task(
            HttpHeaders headers, long length, Peer peer, BiFunction<Caller, HttpHeaders, TaskCalls.Call> call) {
        return posted(headers, length, peer, Scope.EXECUTE, call);
    }

    private Decision posted(
            HttpHeaders headers,
            long length,
            Peer peer,
            Scope needed,
            BiFunction<Caller, HttpHeaders, TaskCalls.Call> call) {
        return guarded(headers, peer, needed, caller -> {
            Answer no = turnAway(headers, length);
            return no != null ? no : call.apply(caller, headers);
        });
    }

    private Answer metrics() {
        try {
            return service.metrics().map(Answer::metrics).orElse(NOT_FOUND);
        } catch (RuntimeException e) {
            return failure(e);
        }
    }

    private Answer slots() {
        return service.health()
                .slots()
                .map(slots -> Answer.ok(wire.encode(
                        slots, service.tasks().map(SlaveTasks::waiting).orElse(0))))
                .orElse(NOT_FOUND);
    }

    Answer failure(Throwable failure) {
        return Trouble.of(failure).answer();
    }

    Answer tooLarge() {
        return tooLarge;
    }

    static Answer notPacked(IOException trouble) {
        return Answer.error(
                HttpResponseStatus.BAD_REQUEST,
                "the body is no gzip, though Content-Encoding says so: " + trouble.getMessage());
    }

    private @Nullable Answer turnAway(HttpHeaders headers, long length) {
        if (headers.contains(HttpHeaderNames.EXPECT)
                && !headers.containsValue(HttpHeaderNames.EXPECT, HttpHeaderValues.CONTINUE, true)) {
            return EXPECTATION_FAILED;
        }
        if (!isJson(headers.get(HttpHeaderNames.CONTENT_TYPE))) {
            return NOT_JSON;
        }
        if (headers.contains(HttpHeaderNames.CONTENT_ENCODING)
                && !isPacked(headers)
                && !headers.getAll(HttpHeaderNames.CONTENT_ENCODING).stream()
                        .allMatch(HttpHeaderValues.IDENTITY::contentEqualsIgnoreCase)) {
            return CODED;
        }
        return length > limit(headers) ? tooLarge(headers) : null;
    }

    /** Returns whether a body comes as gzip. */
    static boolean isPacked(HttpHeaders headers) {
        if (!headers.contains(HttpHeaderNames.CONTENT_ENCODING)) {
            return false;
        }
        List<String> codings = headers.getAll(HttpHeaderNames.CONTENT_ENCODING);
        return codings.size() == 1
                && HttpHeaderValues.GZIP.contentEqualsIgnoreCase(codings.get(0).strip());
    }

    /** Returns how long a body may be as it comes. */
    int limit(HttpHeaders headers) {
        return isPacked(headers) ? settings.maxPackedBody() : settings.maxBody();
    }

    Answer tooLarge(HttpHeaders headers) {
        return isPacked(headers) ? tooLargePacked : tooLarge;
    }

    /** Browsers say which page asks, and whom it thinks it asks; everybody else has no reason to be turned away here. */
    private @Nullable Answer foreign(HttpHeaders headers) {
        String origin = headers.get(HttpHeaderNames.ORIGIN);
        if (origin != null && !settings.origins().contains(origin)) {
            return FOREIGN_ORIGIN;
        }
        if (settings.hosts().isEmpty()) {
            return null;
        }
        String host = headers.get(HttpHeaderNames.HOST, "");
        String name = host.replaceFirst(":[0-9]*$", "");
        return settings.hosts().stream().anyMatch(name::equalsIgnoreCase) ? null : FOREIGN_HOST;
    }

    private static Optional<String> bearer(HttpHeaders headers) {
        List<String> values = headers.getAll(HttpHeaderNames.AUTHORIZATION);
        if (values.size() != 1) {
            return Optional.empty();
        }
        String value = values.get(0);
        return value.regionMatches(true, 0, BEARER, 0, BEARER.length())
                ? Optional.of(value.substring(BEARER.length()).strip())
                : Optional.empty();
    }

    /** A missing type passes: clients of the original protocol leave it out. */
    private static boolean isJson(@Nullable String contentType) {
        if (contentType == null) {
            return true;
        }
        int parameters = contentType.indexOf(';');
        String type = parameters < 0 ? contentType : contentType.substring(0, parameters);
        return HttpHeaderValues.APPLICATION_JSON.contentEqualsIgnoreCase(type.strip());
    }

    private Answer health() {
        try {
            Health now = service.health();
            Encoded<Health> last = health;
            if (last == null || !last.value.equals(now)) {
                last = new Encoded<>(now, Answer.ok(wire.encode(now)));
                health = last;
            }
            return last.answer;
        } catch (RuntimeException e) {
            return failure(e);
        }
    }

    private Answer version() {
        try {
            VersionInfo now = service.version();
            Encoded<VersionInfo> last = version;
            if (last == null || !last.value.equals(now)) {
                last = new Encoded<>(now, Answer.ok(wire.encode(now)));
                version = last;
            }
            return last.answer;
        } catch (RuntimeException e) {
            return failure(e);
        }
    }

    private static boolean isPost(HttpMethod method) {
        return method.equals(HttpMethod.POST);
    }

    private static boolean isGet(HttpMethod method) {
        return method.equals(HttpMethod.GET) || method.equals(HttpMethod.HEAD);
    }

    private static String path(String target) {
        int query = target.indexOf('?');
        return query < 0 ? target : target.substring(0, query);
    }

    private static Answer notAllowed(String allowed) {
        return Answer.error(
                HttpResponseStatus.METHOD_NOT_ALLOWED,
                "Allow: " + allowed + "\r\n",
                "method not allowed (expected: " + allowed + ")");
    }
}
