package dev.d8;

/** The master's queue has no place for the task. */
public final class QueueFullException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names the queue's size. */
    public QueueFullException(String message) {
        super(message, null);
    }
}
