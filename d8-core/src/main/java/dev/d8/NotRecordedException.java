package dev.d8;

import org.jspecify.annotations.Nullable;

/** The master's state directory could not be written, so the task was not accepted. */
public final class NotRecordedException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names the directory. */
    public NotRecordedException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
