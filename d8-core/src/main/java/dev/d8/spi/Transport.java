package dev.d8.spi;

import dev.d8.ConfigurationException;
import io.micrometer.core.instrument.MeterRegistry;
import java.net.URI;
import java.util.concurrent.CompletableFuture;

/** Carries a {@link SlaveService} between machines; knows nothing of executors, retries or time-outs. Thread-safe. */
public interface Transport extends AutoCloseable {

    /** Registers what it counts, before it serves; default: nothing. */
    default void bindTo(MeterRegistry registry) {}

    /**
     * Offers a service at an address.
     *
     * @param bind scheme, host and port; port 0 takes a free one
     * @param security whom to let in; checked before the task is read
     * @return once the address is bound
     * @throws ConfigurationException if it cannot be bound; the message says why
     */
    Binding serve(SlaveService service, URI bind, ServerSecurity security);

    /**
     * Returns a client of the slave at an address. Connects on the first call, not here.
     *
     * @param credentials what it shows to run a task
     */
    SlaveClient connect(URI slave, Credentials credentials);

    /** Closes every binding and client. Idempotent. */
    @Override
    void close();

    /** An address at which a service is offered. */
    interface Binding extends AutoCloseable {

        /** Returns the address, with the real port. */
        URI uri();

        /** Stops taking calls and completes when those under way are over. Idempotent. */
        CompletableFuture<Void> closeAsync();

        /** Like {@link #closeAsync}, and waits. */
        @Override
        default void close() {
            closeAsync().join();
        }
    }
}
