package dev.d8.master;

/** Hears of slaves whose status changed: once a change, in order, one call at a time. */
@FunctionalInterface
public interface SlaveListener {

    /**
     * A slave's status changed.
     *
     * @param before how it was
     * @param after how it is, with the reason
     */
    void statusChanged(Slave before, Slave after);
}
