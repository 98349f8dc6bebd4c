package dev.d8;

/** The master was closed before the task was over. */
public final class MasterClosedException extends D8Exception {

    private static final long serialVersionUID = 1L;

    private final boolean certainlyNotStarted;

    /**
     * Creates one.
     *
     * @param certainlyNotStarted whether the task was not sent to any slave, and no later master will
     */
    public MasterClosedException(boolean certainlyNotStarted, String message) {
        super(message, null);
        this.certainlyNotStarted = certainlyNotStarted;
    }

    @Override
    public boolean retrySafe() {
        return certainlyNotStarted;
    }
}
