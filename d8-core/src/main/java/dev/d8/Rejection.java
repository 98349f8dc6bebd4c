package dev.d8;

/**
 * An executor that did not run a task, and why.
 *
 * @param method the executor's name
 * @param reason why not, in words that say what to do about it
 */
public record Rejection(String method, String reason) {

    @Override
    public String toString() {
        return method + ": " + reason;
    }
}
