package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.util.concurrent.Ticker;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.slf4j.LoggerFactory;

/**
 * Whatever bytes come over a connection: no exception, at most one answer to a request, no buffer left behind, and the
 * same answers wherever the bytes are cut and however long a task takes.
 */
@Tag("other-runtime")
class RequestFuzzTest {

    /** Small limits, so that short inputs reach them. */
    private static final Map<String, String> LIMITS = Map.of(
            "max_body", "300",
            "max_packed_body", "200",
            "max_request_line", "200",
            "max_header_bytes", "500",
            "max_headers", "12",
            "threads", "1");

    private static final List<Logger> LOGS = List.of((Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME), (Logger)
            LoggerFactory.getLogger(Trouble.class)); // Which the tests' configuration keeps from the root.

    private static final ListAppender<ILoggingEvent> LOGGED = new ListAppender<>();
    private static final PromptService SERVICE = new PromptService();
    private static final HttpSettings SETTINGS = HttpSettings.read(Options.of(LIMITS));
    private static final NettyIo IO = NettyIo.open(HttpSettings.Io.NIO, 1);

    /** Each wrong token comes an hour after the one before, or it would be answered late. */
    private static final Ticker SLOW_GUESSES = new Ticker() {
        private final AtomicLong hours = new AtomicLong();

        @Override
        public long nanoTime() {
            return TimeUnit.HOURS.toNanos(hours.incrementAndGet());
        }

        @Override
        public long initialNanoTime() {
            return 0;
        }

        @Override
        public void sleep(long delay, TimeUnit unit) {
            throw new UnsupportedOperationException();
        }
    };

    @SuppressWarnings("NullAway.Init") // Set before all tests.
    private static HttpBinding binding;

    @BeforeAll
    static void start() {
        binding = HttpBinding.open(
                SETTINGS,
                new Routes(SERVICE, new ServerSecurity(Slave.TOKEN), SETTINGS, new Guesses(SLOW_GUESSES)),
                new HttpMeters(),
                IO,
                null,
                HttpAddress.ofBinding(URI.create("http://127.0.0.1:0")));
        LOGGED.start();
        LOGS.forEach(log -> log.addAppender(LOGGED));
    }

    @AfterAll
    static void stop() {
        LOGS.forEach(log -> log.detachAppender(LOGGED));
        binding.closeNow();
        IO.loops().shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    @FuzzTest(maxDuration = "5m")
    void a_connection(byte[] bytes) {
        String whole = answers(bytes, bytes.length, false);
        assertThat(answers(bytes, 1, false)).as("byte by byte").isEqualTo(whole);
        assertThat(answers(bytes, 50, false)).as("cut anywhere").isEqualTo(whole);
        assertThat(answers(bytes, bytes.length, true)).as("from slow tasks").isEqualTo(whole);
        assertThat(answers(bytes, 9, true)).as("cut, from slow tasks").isEqualTo(whole);
    }

    /**
     * Returns everything that the server sends.
     *
     * @param longest the longest piece that the bytes come in; where they are cut is theirs to say, so that it can be
     *     repeated
     * @param slow whether tasks end only when all bytes have come
     */
    private static String answers(byte[] bytes, int longest, boolean slow) {
        LOGGED.list.clear();
        SERVICE.reset(slow);
        UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(false, true);
        Connection channel = new Connection(allocator);
        StrictRequestDecoder decoder = new StrictRequestDecoder(binding.settings());
        OneAnswerEach watch = new OneAnswerEach();
        channel.pipeline().addLast(decoder, watch, new ServerConnection(binding, decoder, true));
        channel.pipeline().fireChannelActive();

        int state = Arrays.hashCode(bytes);
        for (int at = 0; at < bytes.length && channel.isOpen(); ) {
            state = state * 1103515245 + 12345;
            int most = longest == bytes.length ? longest : 1 + Math.floorMod(state >> 16, longest);
            int count = Math.min(bytes.length - at, most);
            channel.writeInbound(allocator.heapBuffer(count).writeBytes(bytes, at, count));
            at += count;
        }
        SERVICE.finish();
        String answers = channel.sent();
        channel.finishAndReleaseAll();

        assertThat(LOGGED.list)
                .filteredOn(event -> event.getLevel().isGreaterOrEqual(Level.INFO))
                .isEmpty();
        assertThat(watch.wrong).isEmpty();
        assertThat(allocator.metric().usedHeapMemory()).as("bytes left behind").isZero();
        return answers;
    }

    /** Sees to it that there is an answer for each request at the most, and the next request after it only. */
    private static final class OneAnswerEach extends ChannelDuplexHandler {
        private final List<String> wrong = new ArrayList<>();
        private boolean asked;
        private boolean inPieces;

        @Override
        public void channelRead(ChannelHandlerContext ctx, Object message) {
            if (message instanceof HttpRequest && asked) {
                wrong.add("a request before the answer to the one before");
            }
            asked |= message instanceof HttpRequest || message instanceof Refusal;
            ctx.fireChannelRead(message);
        }

        @Override
        public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
            String start = ((ByteBuf) message).toString(StandardCharsets.ISO_8859_1);
            boolean interim = start.startsWith("HTTP/1.1 100 ");
            if (inPieces) {
                ctx.write(message, promise);
                return;
            }
            inPieces = start.startsWith("HTTP/1.1 101 ") || start.contains("\r\nCache-Control: no-store");
            if (!asked || !start.matches("(?s)HTTP/1\\.1 [1-5][0-9][0-9] .*")) {
                wrong.add("an answer to nothing: " + start);
            }
            asked = interim;
            ctx.write(message, promise);
        }
    }

    /** A connection without a socket. */
    private static final class Connection extends EmbeddedChannel implements DuplexChannel {
        private boolean outputShut;

        Connection(UnpooledByteBufAllocator allocator) {
            config().setAllocator(allocator);
        }

        String sent() {
            StringBuilder text = new StringBuilder();
            for (ByteBuf buffer = readOutbound(); buffer != null; buffer = readOutbound()) {
                text.append(buffer.toString(StandardCharsets.ISO_8859_1));
                buffer.release();
            }
            return text.append(isOpen() && !outputShut ? "(open)" : "(ended)").toString();
        }

        @Override
        public boolean isInputShutdown() {
            return false;
        }

        @Override
        public ChannelFuture shutdownInput() {
            return newSucceededFuture();
        }

        @Override
        public ChannelFuture shutdownInput(ChannelPromise promise) {
            return promise.setSuccess();
        }

        @Override
        public boolean isOutputShutdown() {
            return outputShut;
        }

        @Override
        public ChannelFuture shutdownOutput() {
            outputShut = true;
            return newSucceededFuture();
        }

        @Override
        public ChannelFuture shutdownOutput(ChannelPromise promise) {
            outputShut = true;
            return promise.setSuccess();
        }

        @Override
        public boolean isShutdown() {
            return false;
        }

        @Override
        public ChannelFuture shutdown() {
            return shutdownOutput();
        }

        @Override
        public ChannelFuture shutdown(ChannelPromise promise) {
            return shutdownOutput(promise);
        }
    }
}
