package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.slf4j.LoggerFactory;

/** Fails a test class whose peers made the slave log something: whoever may do that without a token may fill a disk. */
final class QuietLog implements BeforeAllCallback, AfterAllCallback {

    private static final ExtensionContext.Namespace NAMESPACE = ExtensionContext.Namespace.create(QuietLog.class);

    private static final class Loud extends AppenderBase<ILoggingEvent> {
        private final List<String> events = new CopyOnWriteArrayList<>();

        @Override
        protected void append(ILoggingEvent event) {
            // When a test ends, its event loops may end before the last of their connections: Netty's to tell, not a
            // peer's.
            if (event.getLevel().isGreaterOrEqual(Level.INFO)
                    && !event.getMessage().contains("Event loop shut down?")) {
                events.add(event.toString());
            }
        }
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        Loud loud = new Loud();
        loud.start();
        logs().forEach(log -> log.addAppender(loud));
        context.getStore(NAMESPACE).put(Loud.class, loud);
    }

    @Override
    public void afterAll(ExtensionContext context) {
        Loud loud = context.getStore(NAMESPACE).get(Loud.class, Loud.class);
        logs().forEach(log -> log.detachAppender(loud));
        assertThat(loud.events).as("what peers made the slave log").isEmpty();
    }

    private static List<Logger> logs() {
        return List.of((Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME), (Logger)
                LoggerFactory.getLogger(Trouble.class)); // Which the tests' configuration keeps from the root.
    }
}
