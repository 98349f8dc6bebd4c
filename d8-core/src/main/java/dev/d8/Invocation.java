package dev.d8;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a slave is told to run. Made from a {@link Task} by its {@link dev.d8.spi.TaskType} on the master.
 *
 * @param taskId which task this runs
 * @param runtime what understands the source, {@code python} by default; executors say which they support
 * @param source the program
 * @param args what the program finds in its argument vector after its own name
 * @param workingDir where it runs, a directory on the slave; empty: the executor's choice
 * @param env variables added to the executor's allow-list
 * @param stdin what the program reads from standard input
 * @param requirements packages that it needs, as pip spells them
 * @param image the container image to run on, from those that the slave allows; empty: the executor's own, or none
 * @param limits what it may use at the most
 * @param timeout wall-clock time from its start to its end, above zero; default 300 s (original protocol)
 * @param method this executor or fail; empty: the best one
 * @param minIsolation the weakest wall that will do; default {@link Isolation#NONE}
 */
public record Invocation(
        TaskId taskId,
        String runtime,
        String source,
        List<String> args,
        Optional<String> workingDir,
        Map<String, String> env,
        String stdin,
        List<String> requirements,
        Optional<String> image,
        Limits limits,
        Duration timeout,
        Optional<String> method,
        Isolation minIsolation) {

    /** The runtime of Python source. */
    public static final String PYTHON = "python";

    /** The time-out where nobody gives one: 300 s, as in the original protocol. */
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(300);

    /** Far beyond any use, and far below what overflows. */
    private static final Duration LONGEST_TIMEOUT = Duration.ofDays(36_525);

    /** Checks every component and copies the collections. */
    public Invocation {
        Objects.requireNonNull(taskId, "taskId");
        Objects.requireNonNull(source, "source");
        Objects.requireNonNull(limits, "limits");
        Objects.requireNonNull(minIsolation, "minIsolation");
        if (runtime.isEmpty()) {
            throw new InvalidTaskException("runtime", "empty (expected: a name such as python)");
        }
        if (timeout.isNegative() || timeout.isZero()) {
            throw new InvalidTaskException("timeout", timeout.toMillis() / 1000.0 + " (expected: seconds above 0)");
        }
        if (timeout.compareTo(LONGEST_TIMEOUT) > 0) {
            throw new InvalidTaskException("timeout", timeout + " (expected: at most 100 years)");
        }
        args = List.copyOf(args);
        env = Map.copyOf(env);
        requirements = List.copyOf(requirements);
        rejectHalves("command", source);
        rejectHalves("stdin", stdin);
        rejectHalves("runtime", runtime);
        requirements.forEach(requirement -> rejectHalves("requirements", requirement));
        image.ifPresent(name -> rejectHalves("image", name));
        method.ifPresent(name -> rejectHalves("method", name));
        args.forEach(arg -> rejectNul("args", arg));
        workingDir.ifPresent(dir -> rejectNul("working_dir", dir));
        env.forEach((name, value) -> {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new InvalidTaskException("env", "the name \"" + name + "\" (expected: not empty, no '=')");
            }
            rejectNul("env", name);
            rejectNul("env." + name, value);
        });
    }

    /** Starts an invocation of Python source. */
    public static Builder python(String source) {
        return builder(PYTHON, source);
    }

    /** Starts an invocation of {@code source} in {@code runtime}. */
    public static Builder builder(String runtime, String source) {
        return new Builder(runtime, source);
    }

    /** Returns a builder that starts from this invocation. */
    public Builder toBuilder() {
        Builder builder = new Builder(runtime, source);
        builder.taskId = taskId;
        builder.args = args;
        builder.workingDir = workingDir;
        builder.env = env;
        builder.stdin = stdin;
        builder.requirements = requirements;
        builder.image = image;
        builder.limits = limits;
        builder.timeout = timeout;
        builder.method = method;
        builder.minIsolation = minIsolation;
        return builder;
    }

    /** Says which task this is, never its source: safe to log. */
    @Override
    public String toString() {
        return "Invocation[" + taskId + ", " + runtime + ", " + source.length() + " characters]";
    }

    private static void rejectNul(String field, String value) {
        if (value.indexOf('\0') >= 0) {
            throw new InvalidTaskException(field, "contains a NUL character");
        }
        rejectHalves(field, value);
    }

    /** UTF-8 has no bytes for half a surrogate pair: it would reach the task as another character. */
    private static void rejectHalves(String field, String value) {
        int at = 0;
        while (at < value.length()) {
            int point = value.codePointAt(at);
            if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
                throw new InvalidTaskException(field, "contains half a surrogate pair (expected: whole characters)");
            }
            at += Character.charCount(point);
        }
    }

    /** Builds an {@link Invocation}; not thread-safe. {@link #build} checks the values. */
    public static final class Builder {
        private final String runtime;
        private final String source;
        private @Nullable TaskId taskId;
        private List<String> args = List.of();
        private Optional<String> workingDir = Optional.empty();
        private Map<String, String> env = Map.of();
        private String stdin = "";
        private List<String> requirements = List.of();
        private Optional<String> image = Optional.empty();
        private Limits limits = Limits.DEFAULT;
        private Duration timeout = DEFAULT_TIMEOUT;
        private Optional<String> method = Optional.empty();
        private Isolation minIsolation = Isolation.NONE;

        private Builder(String runtime, String source) {
            this.runtime = Objects.requireNonNull(runtime, "runtime");
            this.source = Objects.requireNonNull(source, "source");
        }

        /** Sets the task's id; default: a random one. */
        public Builder taskId(TaskId value) {
            taskId = value;
            return this;
        }

        /** Sets the arguments; default: none. */
        public Builder args(List<String> value) {
            args = value;
            return this;
        }

        /** Sets the working directory on the slave; default: the executor's choice. */
        public Builder workingDir(String value) {
            workingDir = Optional.of(value);
            return this;
        }

        /** Sets the added environment variables; default: none. */
        public Builder env(Map<String, String> value) {
            env = value;
            return this;
        }

        /** Sets what the program reads from standard input; default: nothing. */
        public Builder stdin(String value) {
            stdin = value;
            return this;
        }

        /** Sets the packages that the program needs; default: none. */
        public Builder requirements(List<String> value) {
            requirements = value;
            return this;
        }

        /** Asks for a container image, one of those that the slave allows; default: the executor's choice. */
        public Builder image(String value) {
            image = Optional.of(value);
            return this;
        }

        /** Sets the limits; default: {@link Limits#DEFAULT}. */
        public Builder limits(Limits value) {
            limits = value;
            return this;
        }

        /** Sets the wall-clock time-out, above zero; default: 300 s. */
        public Builder timeout(Duration value) {
            timeout = value;
            return this;
        }

        /** Asks for this executor or a failure; default: the best one. */
        public Builder method(String value) {
            method = Optional.of(value);
            return this;
        }

        /** Sets the weakest isolation that will do; default: {@link Isolation#NONE}. */
        public Builder minIsolation(Isolation value) {
            minIsolation = value;
            return this;
        }

        /**
         * Builds the invocation.
         *
         * @throws InvalidTaskException if a value is outside its range; the message names the field
         */
        public Invocation build() {
            return new Invocation(
                    taskId != null ? taskId : TaskId.random(),
                    runtime,
                    source,
                    args,
                    workingDir,
                    env,
                    stdin,
                    requirements,
                    image,
                    limits,
                    timeout,
                    method,
                    minIsolation);
        }
    }
}
