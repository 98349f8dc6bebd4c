package dev.d8.executor.docker;

/** No task can run now; the message says what is missing and what to do about it. */
final class NotReadyException extends Exception {

    private static final long serialVersionUID = 1L;

    NotReadyException(String message) {
        super(message);
    }
}
