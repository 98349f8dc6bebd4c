package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Notices;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code d8 master}: watches slaves and tells of every change, until it is told to stop. */
@Command(
        name = "master",
        mixinStandardHelpOptions = true,
        description = "Watches slaves and prints each change of state with its reason, until SIGTERM or Ctrl-C.")
final class MasterCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Mixin
    private final NoticeOptions told = new NoticeOptions();

    @Option(names = "--slave", paramLabel = "ID=HOST:PORT", description = "a slave to watch; repeat it for more")
    private List<String> slaves = List.of();

    @Option(
            names = "--slaves-file",
            paramLabel = "FILE",
            description = "slaves to watch, one ID=HOST:PORT a line, labels after it; # starts a comment")
    private @Nullable Path file;

    private record Entry(String id, URI address, List<String> labels) {}

    @Override
    public Integer call() throws InterruptedException {
        List<Entry> entries = entries();
        if (entries.isEmpty()) {
            throw new ParameterException(
                    spec.commandLine(), "no slave to watch: --slave ID=HOST:PORT or --slaves-file");
        }
        PrintWriter out = spec.commandLine().getOut();
        SlaveManager.Builder builder =
                master.manager(ConnectionPolicy.DEFAULT).listener((before, after) -> print(out, before, after));
        List<Notices> notices = told.notifiers(master::secret).stream()
                .map(notifier -> Notices.builder(notifier).build())
                .toList();
        notices.forEach(builder::listener);
        SlaveManager manager = builder.build();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            manager.close();
            notices.forEach(Notices::close);
            Runtime.getRuntime().halt(Main.DONE);
        }));
        for (Entry entry : entries) {
            manager.register(
                            entry.id(),
                            master.complete(entry.address()),
                            entry.labels().toArray(String[]::new))
                    .whenComplete((slave, error) -> {
                        if (error != null) {
                            spec.commandLine().getErr().println("d8: " + error.getMessage());
                        }
                    });
        }
        new CountDownLatch(1).await();
        return Main.DONE;
    }

    private static void print(PrintWriter out, Slave before, Slave after) {
        out.println(Instant.now().truncatedTo(ChronoUnit.SECONDS) + " " + after.id() + " " + before.status() + " -> "
                + after.status() + ": " + after.reason());
        out.flush();
    }

    private List<Entry> entries() {
        List<Entry> entries = new ArrayList<>();
        slaves.forEach(text -> entries.add(parse("--slave", text)));
        if (file != null) {
            try {
                int number = 0;
                for (String line : Files.readAllLines(file)) {
                    number++;
                    String text = line.replaceFirst("#.*", "").strip();
                    if (!text.isEmpty()) {
                        entries.add(parse(file + ", line " + number, text));
                    }
                }
            } catch (IOException e) {
                throw new ConfigurationException("--slaves-file: " + file + " cannot be read: " + e, e);
            }
        }
        return entries;
    }

    private static Entry parse(String where, String text) {
        String[] words = text.split("\\s+");
        int equals = words[0].indexOf('=');
        if (equals < 1) {
            throw new ConfigurationException(where + ": \"" + text + "\" (expected: ID=HOST:PORT)");
        }
        try {
            URI address = new SlaveAddress().convert(words[0].substring(equals + 1));
            return new Entry(
                    words[0].substring(0, equals), address, List.of(words).subList(1, words.length));
        } catch (TypeConversionException e) {
            throw new ConfigurationException(where + ": " + e.getMessage(), e);
        }
    }
}
