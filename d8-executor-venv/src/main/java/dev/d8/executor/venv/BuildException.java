package dev.d8.executor.venv;

/** An environment cannot be built; the message says why, with the last that pip or uv said. */
final class BuildException extends Exception {

    private static final long serialVersionUID = 1L;

    BuildException(String message) {
        super(message);
    }
}
