package dev.d8;

import org.jspecify.annotations.Nullable;

/** The slave could not be reached and took no byte of the request: refused, no route, unknown host, no TLS, circuit open. */
public final class SlaveUnreachableException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names the address. */
    public SlaveUnreachableException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
