package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.netty.buffer.UnpooledByteBufAllocator;
import org.junit.jupiter.api.Test;

/** The check for leaks can fail. */
class NoLeaksTest {

    @Test
    void a_buffer_that_nobody_releases_is_reported() {
        ListAppender<ILoggingEvent> reports = new ListAppender<>();
        reports.start();
        NoLeaks.detectorLog().addAppender(reports);
        NoLeaks.detectorLog().setAdditive(false);
        try {
            leak();
            NoLeaks.provoke();
        } finally {
            NoLeaks.detectorLog().setAdditive(true);
            NoLeaks.detectorLog().detachAppender(reports);
        }
        assertThat(reports.list).anyMatch(event -> event.getFormattedMessage().contains("LEAK"));
    }

    private static void leak() {
        UnpooledByteBufAllocator.DEFAULT.directBuffer(16).writeByte(1);
    }
}
