package dev.d8.master;

/** Whether calls to a slave are let through. */
public enum CircuitState {
    /** They are. */
    CLOSED,
    /** They are not, after too many failures in a row. */
    OPEN,
    /** One health check is under way that decides. */
    HALF_OPEN
}
