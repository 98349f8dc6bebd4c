package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;

/** The slaves of a fleet, on the command line and in a file. */
final class SlaveList {

    @Option(names = "--slave", paramLabel = "ID=HOST:PORT", description = "a slave; repeat it for more")
    private List<String> slaves = List.of();

    @Option(
            names = "--slaves-file",
            paramLabel = "FILE",
            description = "slaves, one ID=HOST:PORT a line, labels after it; # starts a comment")
    private @Nullable Path file;

    /** One slave. */
    record Entry(String id, URI address, List<String> labels) {}

    /**
     * Returns them in the order in which they were given.
     *
     * @throws ParameterException if there is none
     * @throws ConfigurationException if one is malformed
     */
    List<Entry> entries(CommandSpec spec) {
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
        if (entries.isEmpty()) {
            throw new ParameterException(spec.commandLine(), "no slave: --slave ID=HOST:PORT or --slaves-file");
        }
        return entries;
    }

    /** Registers them, all at once, and returns each as its first check found it, in their order. */
    List<CompletableFuture<Slave>> register(SlaveManager manager, List<Entry> entries, MasterOptions master) {
        return entries.stream()
                .map(entry -> manager.register(
                        entry.id(),
                        master.complete(entry.address()),
                        entry.labels().toArray(String[]::new)))
                .toList();
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
