package dev.d8.version;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.eclipse.jgit.lib.ObjectId;
import org.eclipse.jgit.lib.Repository;

/** Which update a checkout is in the middle of: a file in the repository, which is there from before to after it. */
final class UpdateJournal {

    /** The script {@code d8} looks for it, too. */
    static final String NAME = "d8-update";

    private static final String COMMIT = "[0-9a-f]{40}";

    private final Path file;

    /** An update from one commit to another. */
    record Entry(ObjectId from, ObjectId to) {}

    UpdateJournal(Repository repository) {
        file = repository.getDirectory().toPath().resolve(NAME);
    }

    /** Returns the update that was cut off. */
    Optional<Entry> read() throws IOException {
        String text = Files.isRegularFile(file) ? Files.readString(file, StandardCharsets.ISO_8859_1) : "";
        // Half of it was written: then nothing has been done yet.
        return text.matches(COMMIT + " " + COMMIT + "\n")
                ? Optional.of(new Entry(
                        ObjectId.fromString(text.substring(0, 40)), ObjectId.fromString(text.substring(41, 81))))
                : Optional.empty();
    }

    /** Returns once it is on the disk. */
    void write(Entry entry) throws IOException {
        try (FileChannel out = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer text = StandardCharsets.US_ASCII.encode(
                    entry.from().name() + " " + entry.to().name() + "\n");
            while (text.hasRemaining()) {
                out.write(text);
            }
            out.force(true);
        }
    }

    void delete() throws IOException {
        Files.deleteIfExists(file);
    }
}
