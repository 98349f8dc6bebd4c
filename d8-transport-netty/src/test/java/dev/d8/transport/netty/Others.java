package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.time.Duration;

/** Well-behaved peers, who are to be served whatever others do to a slave. */
final class Others {

    static final String GET = "GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n";

    /** A healthy slave needs a few milliseconds; the rest is for a machine that is busy with something else. */
    private static final Duration IN_TIME = Duration.ofSeconds(5);

    private Others() {}

    /** Asserts that a newcomer from another address is served at once. */
    static void areServed(URI slave) throws IOException {
        long began = System.nanoTime();
        try (RawConnection newcomer = new RawConnection(slave, InetAddress.getByName("127.9.9.9"))) {
            assertThat(newcomer.send(GET).read().status()).isEqualTo(200);
        }
        inTime(began);
    }

    /** Asserts that one whose connection is open already is served at once. */
    static void areServed(RawConnection known) throws IOException {
        long began = System.nanoTime();
        assertThat(known.send(GET).read().status()).isEqualTo(200);
        inTime(began);
    }

    private static void inTime(long began) {
        assertThat(Duration.ofNanos(System.nanoTime() - began))
                .as("the time that others wait for their answer")
                .isLessThan(IN_TIME);
    }
}
