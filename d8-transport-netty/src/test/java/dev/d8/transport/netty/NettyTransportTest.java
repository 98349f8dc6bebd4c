package dev.d8.transport.netty;

import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.spi.Options;
import dev.d8.spi.Transport;
import dev.d8.testkit.TransportContract;
import io.netty.channel.epoll.Epoll;
import java.net.URI;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.ExtendWith;

/** The transport passes the contract on each of the operating system's interfaces that it can use. */
class NettyTransportTest {

    @Nested
    @ExtendWith(NoLeaks.class)
    class OnNio extends OnLoopback {
        OnNio() {
            super("nio");
        }
    }

    @Nested
    @ExtendWith(NoLeaks.class)
    class OnEpoll extends OnLoopback {
        OnEpoll() {
            super("epoll");
        }

        @Override
        protected Transport transport() {
            assumeThat(Epoll.isAvailable()).as("epoll, which only Linux has").isTrue();
            return super.transport();
        }
    }

    abstract static class OnLoopback extends TransportContract {
        private final String io;

        OnLoopback(String io) {
            this.io = io;
        }

        @Override
        protected Transport transport() {
            return new NettyTransportProvider().create(Options.of(Map.of("io", io)));
        }

        @Override
        protected URI bindAddress() {
            return URI.create("http://127.0.0.1:0");
        }
    }
}
