package dev.d8.transport.netty;

import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.spi.Options;
import dev.d8.spi.Transport;
import dev.d8.testkit.TransportContract;
import io.netty.channel.epoll.Epoll;
import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

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

    @Nested
    @ExtendWith(NoLeaks.class)
    class OnNioWithTls extends WithTls {
        OnNioWithTls() {
            super("nio");
        }
    }

    @Nested
    @ExtendWith(NoLeaks.class)
    class OnEpollWithTls extends WithTls {
        OnEpollWithTls() {
            super("epoll");
        }

        @Override
        protected Transport transport() {
            assumeThat(Epoll.isAvailable()).as("epoll, which only Linux has").isTrue();
            return super.transport();
        }
    }

    abstract static class WithTls extends OnLoopback {

        @TempDir
        private static Path folder;

        WithTls(String io) {
            super(io);
        }

        @Override
        protected Transport transport() {
            Map<String, String> options = TestCertificates.mutual(folder);
            options.put("io", io);
            return new NettyTransportProvider().create(Options.of(options));
        }

        @Override
        protected URI bindAddress() {
            return URI.create("https://127.0.0.1:0");
        }
    }

    abstract static class OnLoopback extends TransportContract {
        final String io;

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
