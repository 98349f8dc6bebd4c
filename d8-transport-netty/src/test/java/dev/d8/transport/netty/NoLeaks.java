package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.util.ResourceLeakDetector;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.slf4j.LoggerFactory;

/** Fails a test class in which Netty saw a buffer that nobody released. */
final class NoLeaks implements BeforeAllCallback, AfterAllCallback {

    private static final ExtensionContext.Namespace NAMESPACE = ExtensionContext.Namespace.create(NoLeaks.class);

    private static final class Reports extends AppenderBase<ILoggingEvent> {
        private final List<String> leaks = new CopyOnWriteArrayList<>();

        @Override
        protected void append(ILoggingEvent event) {
            if (event.getFormattedMessage().contains("LEAK")) {
                leaks.add(event.getFormattedMessage());
            }
        }
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        assertThat(ResourceLeakDetector.getLevel())
                .as("start the tests with -Dio.netty.leakDetection.level=paranoid")
                .isEqualTo(ResourceLeakDetector.Level.PARANOID);
        Reports reports = new Reports();
        reports.start();
        detectorLog().addAppender(reports);
        context.getStore(NAMESPACE).put(Reports.class, reports);
    }

    @Override
    public void afterAll(ExtensionContext context) {
        Reports reports = context.getStore(NAMESPACE).get(Reports.class, Reports.class);
        provoke();
        detectorLog().detachAppender(reports);
        assertThat(reports.leaks).as("buffers that nobody released").isEmpty();
    }

    /**
     * Makes every leak so far show. Netty reports one when its buffer has been collected and another is made. References
     * are handed over collection by collection, so when the second witness is, all that the first collection found are.
     */
    static void provoke() {
        ReferenceQueue<Object> collected = new ReferenceQueue<>();
        try {
            for (int i = 0; i < 2; i++) {
                WeakReference<Object> witness = new WeakReference<>(new Object(), collected);
                System.gc();
                assertThat(collected.remove(30_000))
                        .as("what the collector found")
                        .isSameAs(witness);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
        UnpooledByteBufAllocator.DEFAULT.directBuffer(16).release();
    }

    static Logger detectorLog() {
        return (Logger) LoggerFactory.getLogger(ResourceLeakDetector.class);
    }
}
