package dev.d8.launcher;

import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.Token;
import dev.d8.master.SlaveManager;
import dev.d8.master.Submission;
import dev.d8.master.VersionPolicy;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * A master as a program that uses D8 has it, which is killed and started again: {@code STATE SLAVE STARTS TASKS}. Each time it submits
 * all of its tasks, whose ids are always the same, and says what it knows.
 */
final class RestartedMaster {

    private RestartedMaster() {}

    static TaskId id(int number) {
        return new TaskId(UUID.nameUUIDFromBytes(("task " + number).getBytes(StandardCharsets.UTF_8)));
    }

    static String program(Path starts, int number) {
        return "import os, time\n"
                + "fd = os.open('" + starts + "', os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
                + "os.write(fd, b'" + number + "\\n')\n"
                + "time.sleep(" + (number % 4) * 0.1 + ")\n"
                + "print(" + number + ")";
    }

    public static void main(String[] args) {
        Path starts = Path.of(args[2]);
        int tasks = Integer.parseInt(args[3]);
        SlaveManager manager = SlaveManager.builder()
                .token(Token.of(Cli.TOKEN))
                .versionPolicy(VersionPolicy.IGNORE)
                .stateDirectory(Path.of(args[0]))
                .build();
        say("open");
        manager.register("pi", URI.create(args[1])).join();
        say("registered");
        List<CompletableFuture<?>> ends = new ArrayList<>();
        for (int i = 0; i < tasks; i++) {
            int number = i;
            Submission submission = manager.submit(Task.builder(Task.PYTHON_CODE)
                    .id(id(number))
                    .with("command", program(starts, number))
                    .build());
            say("accepted " + number);
            ends.add(submission.result().handle((result, error) -> {
                say("ended " + number + " " + (error == null ? result.output().strip() : String.valueOf(error)));
                return error;
            }));
        }
        CompletableFuture.allOf(ends.toArray(CompletableFuture[]::new)).join();
        say("done");
        manager.close();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }
}
