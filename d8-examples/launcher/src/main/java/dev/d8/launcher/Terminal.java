package dev.d8.launcher;

import dev.d8.TaskEvent;
import dev.d8.TaskResult;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.WireFormat;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Shows a task to whoever sits at the terminal. Used on one thread at a time. */
final class Terminal implements ExecutionListener {

    private static final int BAR = 30;

    private final boolean interactive = isTerminal(2);
    private boolean barShown;

    /**
     * Returns whether this descriptor of the process, 1 or 2, is a terminal. What Java's console tells differs between releases;
     * where /proc is not, nothing is.
     */
    static boolean isTerminal(int descriptor) {
        try {
            return Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString()
                    .matches("/dev/(pts/|tty|console).*");
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void output(Stream stream, byte[] chunk) {
        wipe();
        print(stream == Stream.STDERR ? System.err : System.out, chunk);
    }

    @Override
    public void progress(double percent, String message) {
        String text = String.format(Locale.ROOT, "%3.0f %% %s", percent, message.replaceAll("\\p{Cntrl}+", " "));
        if (interactive) {
            int done = (int) Math.round(percent / 100 * BAR);
            System.err.print("\r\u001b[K[" + "#".repeat(done) + " ".repeat(BAR - done) + "] " + text);
            barShown = true;
        } else {
            System.err.println("d8: " + text.strip());
        }
        System.err.flush();
    }

    /** Shows what else can happen to a task that is followed. */
    void show(TaskEvent event) {
        if (event instanceof TaskEvent.Wrote wrote) {
            output(wrote.stream(), wrote.bytes());
        } else if (event instanceof TaskEvent.Progressed progressed) {
            progress(progressed.percent(), progressed.message());
        } else if (event instanceof TaskEvent.Skipped skipped) {
            wipe();
            System.err.println("d8: " + (skipped.next() - skipped.offset()) + " bytes are no longer kept");
        } else {
            wipe();
        }
    }

    /** Takes the progress off the screen, so that what comes next stands on a line of its own. */
    void wipe() {
        if (barShown) {
            System.err.print("\r\u001b[K");
            System.err.flush();
            barShown = false;
        }
    }

    /** Shows a result. */
    static void show(TaskResult result, boolean json) {
        if (json) {
            print(System.out, WireFormat.json().encode(result));
            System.out.println();
        } else {
            print(System.out, result.stdout().bytes());
            print(System.err, result.stderr().bytes());
        }
    }

    /** Bytes as the task wrote them, whatever this terminal's character set is. */
    private static void print(PrintStream stream, byte[] bytes) {
        stream.write(bytes, 0, bytes.length);
        stream.flush();
    }
}
