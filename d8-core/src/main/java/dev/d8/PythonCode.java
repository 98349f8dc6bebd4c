package dev.d8;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The data of the task type {@code python_code}. Everything but the command may be left out.
 *
 * @param command the Python source
 * @param workingDir a directory on the slave; left out: the executor's choice
 * @param args what {@code sys.argv} holds after its first element
 * @param env variables added to the task's environment
 * @param stdin what the program reads from standard input
 * @param requirements packages that it needs, as pip spells them
 * @param image the container image to run on, from those that the slave allows; left out: the executor's choice
 */
public record PythonCode(
        String command,
        @Nullable String workingDir,
        List<String> args,
        Map<String, String> env,
        String stdin,
        List<String> requirements,
        @Nullable String image) {

    /** Checks that there is a command; what was left out becomes empty. */
    @SuppressWarnings("ConstantValue") // Bound from JSON, where anything may be missing.
    public PythonCode(
            @Nullable String command,
            @Nullable String workingDir,
            @Nullable List<String> args,
            @Nullable Map<String, String> env,
            @Nullable String stdin,
            @Nullable List<String> requirements,
            @Nullable String image) {
        if (command == null) {
            throw new InvalidTaskException("command", "missing (expected: a string, the source)");
        }
        this.command = command;
        this.workingDir = workingDir;
        this.args = args == null ? List.of() : List.copyOf(args);
        this.env = env == null ? Map.of() : Map.copyOf(env);
        this.stdin = stdin == null ? "" : stdin;
        this.requirements = requirements == null ? List.of() : List.copyOf(requirements);
        this.image = image;
    }
}
