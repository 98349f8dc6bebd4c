package dev.d8;

import org.jspecify.annotations.Nullable;

/** A setting is wrong, or what it asks for cannot be had; the message names it and what was expected. */
public final class ConfigurationException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message for the person who wrote the setting. */
    public ConfigurationException(String message) {
        this(message, null);
    }

    /** Creates one with a message for the person who wrote the setting, and what was found beneath. */
    public ConfigurationException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
