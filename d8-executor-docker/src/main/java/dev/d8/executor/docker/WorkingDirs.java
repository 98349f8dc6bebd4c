package dev.d8.executor.docker;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Decides which directories of the slave a task may see: those below the roots of {@code docker.mounts}. */
final class WorkingDirs {

    /** A directory may not be had; the message says why and what to do about it. */
    static final class RefusedException extends Exception {
        private static final long serialVersionUID = 1L;

        RefusedException(String message) {
            super(message);
        }
    }

    /**
     * A directory that a task may see.
     *
     * @param source where it really is, with no link on the way
     * @param target where the task finds it: where it asked for it
     * @param writable whether the task may change what is in it
     * @param is which directory it is, whatever its path comes to mean: {@code DEVICE:INODE}
     */
    record Mount(Path source, Path target, boolean writable, String is) {}

    /** How a space, a line's end and such stand in a mountinfo. */
    private static final Pattern OCTAL = Pattern.compile("\\\\([0-7]{3})");

    private final List<Path> roots;
    private final List<Path> writable;

    /**
     * @param readable roots below which directories may be mounted read-only
     * @param writable roots below which a task may also write
     */
    WorkingDirs(List<Path> readable, List<Path> writable) {
        this.roots = Stream.concat(readable.stream(), writable.stream()).toList();
        this.writable = List.copyOf(writable);
    }

    /** Says why a directory cannot be had, as far as its name alone tells; empty: it may be one of ours. */
    Optional<String> objection(String workingDir) {
        if (roots.isEmpty()) {
            return Optional.of("working_dir: no directory of this slave is open to containers: docker.mounts");
        }
        try {
            Path asked = Path.of(workingDir).normalize();
            return asked.isAbsolute() && roots.stream().noneMatch(asked::startsWith)
                    ? Optional.of("working_dir " + workingDir + ": not below " + names() + ": docker.mounts")
                    : Optional.empty();
        } catch (InvalidPathException e) {
            return Optional.empty(); // Told better when it is tried.
        }
    }

    Mount admit(String workingDir, URI engine) throws RefusedException {
        if (!"unix".equals(engine.getScheme())) {
            throw refused(
                    workingDir,
                    "the Docker engine " + engine + " is on another machine, which has not this"
                            + " slave's directories. Leave working_dir out");
        }
        Path real;
        Path asked;
        try {
            asked = Path.of(workingDir).normalize();
            if (!asked.isAbsolute()) {
                throw refused(workingDir, "not an absolute path");
            }
            // The directory as the system finds it: "link/.." is not what it looks like.
            real = Path.of(workingDir).toRealPath();
        } catch (InvalidPathException e) {
            throw refused(workingDir, "not a path");
        } catch (NoSuchFileException e) {
            throw refused(workingDir, "does not exist on this slave");
        } catch (IOException e) {
            throw refused(workingDir, "cannot be read: " + e.getMessage());
        }
        if (!Files.isDirectory(real)) {
            throw refused(workingDir, "not a directory");
        }
        if (roots.stream().noneMatch(root -> real.startsWith(realRoot(root)))) {
            String where = real.equals(asked) ? "" : "leads to " + real + ", which ";
            throw refused(
                    workingDir,
                    where + "is not below " + names() + ". Add a root to docker.mounts if containers" + " may read it");
        }
        if (holdsSocket(real, engine)) {
            throw refused(workingDir, "holds the Docker socket, which no task may reach");
        }
        boolean changeable = writable.stream().anyMatch(root -> real.startsWith(realRoot(root)));
        try {
            Optional<Path> below = changeable ? Optional.empty() : mountBelow(real, mounts());
            if (below.isPresent()) {
                throw refused(
                        workingDir,
                        below.get()
                                + " below it is a mount of its own, which tasks could write to: before 25.0 an engine"
                                + " makes only the upper one read-only. Ask for one of them alone");
            }
            return new Mount(real, asked, changeable, identity(real));
        } catch (IOException e) {
            throw refused(workingDir, "cannot be read: " + e.getMessage());
        }
    }

    /** Returns which directory a path means now. */
    static String identity(Path directory) throws IOException {
        Map<String, Object> is = Files.readAttributes(directory, "unix:dev,ino", LinkOption.NOFOLLOW_LINKS);
        return number(is, "dev") + ":" + number(is, "ino");
    }

    private static String number(Map<String, Object> attributes, String name) {
        return Long.toUnsignedString((long) Objects.requireNonNull(attributes.get(name), name));
    }

    private static String mounts() throws IOException {
        Path file = Path.of("/proc/self/mountinfo");
        return Files.exists(file) ? new String(Files.readAllBytes(file), StandardCharsets.UTF_8) : "";
    }

    /** Returns a mount that lies below a directory, of those in a {@code mountinfo}: proc(5). */
    static Optional<Path> mountBelow(Path directory, String mountinfo) {
        return mountinfo
                .lines()
                .map(line -> Path.of(OCTAL.matcher(line.split(" ", -1)[4])
                        .replaceAll(code ->
                                Matcher.quoteReplacement(String.valueOf((char) Integer.parseInt(code.group(1), 8))))))
                .filter(point -> point.startsWith(directory) && !point.equals(directory))
                .findFirst();
    }

    private static boolean holdsSocket(Path directory, URI engine) {
        try {
            // A read-only mount does not keep anybody from connecting to a socket in it.
            return Path.of(engine.getPath()).toRealPath().startsWith(directory);
        } catch (IOException e) {
            return false;
        }
    }

    private static Path realRoot(Path root) {
        try {
            return root.toRealPath();
        } catch (IOException e) {
            return root; // It does not exist, so nothing is below it.
        }
    }

    private String names() {
        return String.join(", ", roots.stream().map(Path::toString).toList());
    }

    private static RefusedException refused(String workingDir, String why) {
        return new RefusedException("working_dir " + workingDir + ": " + why);
    }
}
