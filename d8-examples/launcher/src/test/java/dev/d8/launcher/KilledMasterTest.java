package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Token;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A master with a state directory is killed at one moment after another, until one of them is let live. */
@Tag("other-runtime")
@Timeout(120)
class KilledMasterTest {

    private static final int TASKS = 24;
    private static final int KILLED = 6;

    @TempDir
    Path folder;

    @Test
    void whenever_a_master_is_killed_each_task_starts_once_and_has_its_result() throws Exception {
        long seed = Long.getLong("d8.seed", System.nanoTime());
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        Path starts = folder.resolve("starts");
        Set<String> accepted = new HashSet<>();
        try (SlaveServer slave = SlaveServer.builder()
                .port(0)
                .token(Token.of(Cli.TOKEN))
                .executors(List.of("python"))
                .options(Options.of(Map.of("python.path", Cli.PYTHON, "python.isolation", "none")))
                .maxConcurrent(4)
                .start()) {
            for (int life = 0; life < KILLED; life++) {
                int lines = 1 + random.nextInt(2 * TASKS);
                List<String> said = live(slave, starts, lines);
                said.stream().filter(line -> line.startsWith("accepted ")).forEach(accepted::add);
                assertThat(accepted)
                        .as("what ended was accepted, now or before")
                        .containsAll(said.stream()
                                .filter(line -> line.startsWith("ended "))
                                .map(line -> "accepted " + line.split(" ")[1])
                                .toList());
            }
            List<String> last = live(slave, starts, Integer.MAX_VALUE);
            assertThat(last).endsWith("done");
            for (int number = 0; number < TASKS; number++) {
                assertThat(last).as("seed " + seed).containsOnlyOnce("ended " + number + " " + number);
            }
            assertThat(Files.readAllLines(starts))
                    .as("seed " + seed)
                    .hasSize(TASKS)
                    .doesNotHaveDuplicates();
        }
    }

    /** Has a master live until it has said so many lines. */
    private List<String> live(SlaveServer slave, Path starts, int lines) throws Exception {
        Process process = new ProcessBuilder(Cli.command(
                        RestartedMaster.class.getName(),
                        List.of(
                                folder.resolve("state").toString(),
                                slave.uri().toString(),
                                starts.toString(),
                                String.valueOf(TASKS))))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        List<String> said = new ArrayList<>();
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = out.readLine(); line != null && said.size() < lines; line = out.readLine()) {
                said.add(line);
            }
        } finally {
            process.destroyForcibly().waitFor();
        }
        return said;
    }
}
