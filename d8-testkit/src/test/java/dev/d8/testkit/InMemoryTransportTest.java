package dev.d8.testkit;

import dev.d8.spi.Transport;
import java.net.URI;

class InMemoryTransportTest extends TransportContract {

    private final InMemoryTransport.Network network = new InMemoryTransport.Network();

    @Override
    protected Transport transport() {
        return new InMemoryTransport(network);
    }

    @Override
    protected URI bindAddress() {
        return URI.create("memory://slave:0");
    }
}
