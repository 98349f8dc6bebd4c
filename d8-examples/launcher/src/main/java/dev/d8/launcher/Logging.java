package dev.d8.launcher;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.spi.ContextAwareBase;
import org.slf4j.Logger;

/**
 * Sets up logging to standard error, since standard output belongs to what a command answers.
 *
 * <p>In code, because reading a configuration file would take longer than all the rest of a start. A file that
 * {@code -Dlogback.configurationFile} names is read all the same. Found by {@link java.util.ServiceLoader}.
 */
public final class Logging extends ContextAwareBase implements Configurator {

    /** How much is logged, as a system property: {@code ERROR}, {@code WARN}, {@code INFO}, {@code DEBUG}. */
    static final String LEVEL = "d8.log";

    /** What steers a terminal or ends a line somewhere: control and format characters, old ones and Unicode's. */
    private static final String STEERING = "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]";

    /**
     * Nothing that a peer sent can forge a line or steer a terminal: in a message those characters become spaces, and
     * what an exception says may have lines, but each of them is indented, which none of the log's own lines is.
     */
    private static final String PATTERN = "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX, UTC} %-5level %logger{0} - %replace(%msg){'"
            + STEERING + "+', ' '}%n%replace(%replace(%ex){'[" + STEERING
            + "&&[^\\n\\t]]+', ' '}){'(?m)^(?=.)', '  '}";

    /** For {@link java.util.ServiceLoader}. */
    public Logging() {}

    @Override
    public ExecutionStatus configure(LoggerContext context) {
        if (System.getProperty("logback.configurationFile") != null) {
            return ExecutionStatus.INVOKE_NEXT_IF_ANY;
        }
        ConsoleAppender<ILoggingEvent> stderr = new ConsoleAppender<>();
        stderr.setContext(context);
        stderr.setTarget("System.err");
        stderr.setEncoder(encoder(context));
        stderr.start();
        context.getLogger(Logger.ROOT_LOGGER_NAME).setLevel(Level.WARN);
        context.getLogger(Logger.ROOT_LOGGER_NAME).addAppender(stderr);
        context.getLogger("dev.d8").setLevel(Level.toLevel(System.getProperty(LEVEL), Level.WARN));
        return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
    }

    /** Returns what writes an event as it stands in the log. */
    static PatternLayoutEncoder encoder(LoggerContext context) {
        PatternLayoutEncoder encoder = new PatternLayoutEncoder();
        encoder.setContext(context);
        encoder.setPattern(PATTERN);
        encoder.start();
        return encoder;
    }
}
