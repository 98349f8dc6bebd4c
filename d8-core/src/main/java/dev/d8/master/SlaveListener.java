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

    /**
     * More than half of the slaves fell silent at once, which is likelier the master's own network than all of them; or that is
     * over. They are {@link SlaveStatus#UNKNOWN} meanwhile, not dead.
     *
     * @param cutOff whether it began
     * @param why in words
     */
    default void masterCutOff(boolean cutOff, String why) {}
}
