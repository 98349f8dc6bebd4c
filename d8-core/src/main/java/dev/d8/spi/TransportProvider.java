package dev.d8.spi;

import dev.d8.ConfigurationException;
import java.util.Set;

/** Makes a transport. Found by {@link java.util.ServiceLoader}; its constructor does no I/O. */
public interface TransportProvider {

    /** Returns the URI schemes that it carries, such as {@code http}; each belongs to one transport only. */
    Set<String> schemes();

    /** Returns what its settings' names begin with: {@code http} for {@code http.io}. Default: its scheme, if it has but one. */
    default String prefix() {
        return schemes().iterator().next();
    }

    /**
     * Makes the transport.
     *
     * @param options this transport's own settings: {@code http.max_connections} arrives as {@code max_connections}
     * @throws ConfigurationException if an option is malformed
     */
    Transport create(Options options);
}
