package dev.d8.executor.venv;

import dev.d8.Invocation;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The environments that this slave has built or found built, each with an engine of its own while it is used and a while
 * after. Tasks that need the same one wait for the same build; a build that nobody waits for any more is ended.
 * Thread-safe.
 */
final class BuiltVenvs implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(BuiltVenvs.class);

    private final PythonEngine base;
    private final VenvBuilder builder;
    private final VenvCache cache;
    private final EngineSettings settings;
    private final Duration idle;
    private final TimeSource time;
    private final ExecutorService builders = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "d8-venv-builder");
        thread.setDaemon(true);
        return thread;
    });

    private final Map<String, Place> places = new HashMap<>();
    private volatile Availability availability = new Unavailable("not looked at yet");
    private boolean closed;

    /** An environment that is used, is being built, or was used not long ago. */
    private static final class Place {
        final String key;
        final CompletableFuture<PythonEngine> engine = new CompletableFuture<>();
        int users;
        long idleSince;

        @Nullable
        Future<?> build;

        VenvCache.@Nullable Lease lease;

        Place(String key) {
            this.key = key;
        }
    }

    BuiltVenvs(
            PythonEngine base,
            VenvBuilder builder,
            VenvCache cache,
            EngineSettings settings,
            Duration idle,
            TimeSource time) {
        this.base = base;
        this.builder = builder;
        this.cache = cache;
        this.settings = settings;
        this.idle = idle;
        this.time = time;
    }

    Availability probe() {
        Availability found = base.probe();
        availability = found instanceof Available able
                ? new Available(
                        "built by " + builder.tool() + " for " + able.detail(), able.isolation(), able.pythonVersion())
                : found;
        return availability;
    }

    Optional<String> objection() {
        Availability known = availability instanceof Available ? availability : probe();
        return known instanceof Unavailable missing
                ? Optional.of("cannot build an environment: " + missing.reason())
                : Optional.empty();
    }

    ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        long began = time.nanoTime();
        Optional<PythonInterpreter> python = base.interpreter();
        if (python.isEmpty()) {
            return VenvExecutor.notStarted(objection().orElse("the interpreter went away"));
        }
        Requirements requirements = new Requirements(invocation.requirements());
        Place place = enter(requirements, requirements.key(python.get()));
        if (place == null) {
            return VenvExecutor.notStarted("the slave is stopping");
        }
        try {
            PythonEngine engine = place.engine.get();
            Duration waited = time.since(began);
            ExecutionOutcome outcome = engine.execute(
                    invocation.toBuilder().requirements(List.of()).build(), listener);
            return outcome.withStartup(outcome.startup().plus(waited));
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            return VenvExecutor.notStarted(cause == null ? e.toString() : String.valueOf(cause.getMessage()));
        } finally {
            leave(place);
        }
    }

    private synchronized @Nullable Place enter(Requirements requirements, String key) {
        if (closed) {
            return null;
        }
        Place known = places.get(key);
        if (known != null) {
            known.users++;
            return known;
        }
        Place place = new Place(key);
        place.users = 1;
        places.put(key, place);
        place.build = builders.submit(() -> open(place, requirements));
        return place;
    }

    private synchronized void leave(Place place) {
        place.users--;
        if (place.users > 0) {
            return;
        }
        if (place.engine.isCompletedExceptionally()) {
            forget(place); // A failure is not kept: what was wrong may be mended by the next task.
        } else if (!place.engine.isDone() && place.build != null) {
            place.build.cancel(true); // Nobody waits for it any more.
        } else {
            cache.touch(place.key);
            place.idleSince = time.nanoTime();
            time.schedule(idle, () -> closeIdle(place));
        }
    }

    private void open(Place place, Requirements requirements) {
        try {
            place.lease = cache.obtain(place.key, target -> build(target, requirements));
            cache.shrink();
            Path python = cache.path(place.key).resolve("bin/python");
            PythonEngine engine = new PythonEngine(
                    "venv-" + place.key.substring(0, 6),
                    () -> PythonInterpreter.ask(python, settings.environment()).at(python),
                    settings);
            if (engine.probe() instanceof Unavailable broken) {
                engine.close();
                throw new BuildException("the environment " + cache.path(place.key) + " is broken: " + broken.reason());
            }
            if (!place.engine.complete(engine)) {
                engine.close();
            }
        } catch (IOException | BuildException | InterruptedException | RuntimeException e) {
            place.engine.completeExceptionally(e);
            if (place.lease != null) {
                place.lease.close();
            }
            synchronized (this) {
                if (place.users == 0) {
                    forget(place);
                }
            }
            if (!(e instanceof InterruptedException)) {
                LOG.warn("{}", e.getMessage());
            }
        }
    }

    private void build(Path target, Requirements requirements) throws BuildException, InterruptedException {
        long began = time.nanoTime();
        builder.build(target, requirements);
        LOG.info(
                "environment {} was built by {} in {} ms: {}",
                target.getFileName(),
                builder.tool(),
                time.since(began).toMillis(),
                String.join(", ", requirements.lines()));
    }

    private void closeIdle(Place place) {
        synchronized (this) {
            if (place.users > 0
                    || places.get(place.key) != place
                    || time.since(place.idleSince).compareTo(idle) < 0) {
                return;
            }
            forget(place);
        }
        close(place);
    }

    private void forget(Place place) {
        places.remove(place.key, place);
    }

    private static void close(Place place) {
        place.engine.thenAccept(PythonEngine::close);
        if (place.lease != null) {
            place.lease.close();
        }
    }

    @Override
    public void close() {
        List<Place> last;
        synchronized (this) {
            closed = true;
            last = new ArrayList<>(places.values());
            places.clear();
        }
        builders.shutdownNow();
        last.forEach(BuiltVenvs::close);
        base.close();
    }
}
