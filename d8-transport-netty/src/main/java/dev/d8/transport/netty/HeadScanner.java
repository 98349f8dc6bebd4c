package dev.d8.transport.netty;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.util.ByteProcessor;
import org.jspecify.annotations.Nullable;

/**
 * Looks at the bytes of a request's head before Netty's decoder, which repairs much of what RFC 9112 forbids and no
 * longer shows it afterwards: folded lines, doubled or signed lengths, extra spaces. Not thread-safe.
 */
final class HeadScanner implements ByteProcessor {

    private static final String CONTENT_LENGTH = "content-length";

    private enum State {
        BEFORE,
        REQUEST_LINE,
        LINE_START,
        HEADER,
        CR,
        LAST_CR,
        COMPLETE
    }

    private final HttpSettings settings;
    private State state = State.BEFORE;
    private State beforeCr = State.BEFORE;
    private int position;
    private int lineStart;
    private int emptyLines;
    private int spaces;
    private boolean afterSpace;
    private int headers;
    private int headerBytes;
    private int lengths;
    private @Nullable Refusal refusal;
    private @Nullable ByteBuf bytes;

    HeadScanner(HttpSettings settings) {
        this.settings = settings;
    }

    /** Forgets the head, ready for the next. */
    void reset() {
        state = State.BEFORE;
        position = 0;
        lineStart = 0;
        emptyLines = 0;
        spaces = 0;
        afterSpace = false;
        headers = 0;
        headerBytes = 0;
        lengths = 0;
        refusal = null;
    }

    /** Returns whether bytes of a head have come. */
    boolean started() {
        return position > 0;
    }

    /** Returns what is wrong with the bytes so far. */
    @Nullable
    Refusal refusal() {
        return refusal;
    }

    /** Looks at what has come since the last call; the head's first byte is at the reader index. Returns whether it is complete. */
    boolean scan(ByteBuf in) {
        bytes = in;
        in.forEachByte(in.readerIndex() + position, in.readableBytes() - position, this);
        bytes = null;
        return state == State.COMPLETE;
    }

    @Override
    public boolean process(byte value) {
        int here = position++;
        switch (state) {
            case BEFORE -> {
                if (value == '\r') {
                    carriageReturn();
                } else {
                    lineStart = here;
                    state = State.REQUEST_LINE;
                    requestLine(value, here);
                }
            }
            case REQUEST_LINE -> requestLine(value, here);
            case LINE_START -> {
                lineStart = here;
                if (value == '\r') {
                    state = State.LAST_CR;
                } else if (value == ' ' || value == '\t') {
                    refuse("a header line starts with white space (obsolete folding)");
                } else {
                    state = State.HEADER;
                    if (++headers > settings.maxHeaders()) {
                        tooLarge("more than " + settings.maxHeaders() + " headers");
                    } else {
                        header(value, here);
                    }
                }
            }
            case HEADER -> header(value, here);
            case CR, LAST_CR -> lineFeed(value);
            case COMPLETE -> throw new IllegalStateException("the head is complete");
        }
        return refusal == null && state != State.COMPLETE;
    }

    private void requestLine(byte value, int here) {
        if (value == '\r') {
            if (spaces != 2 || afterSpace) {
                refuse("the request line is not METHOD SP TARGET SP VERSION");
            }
            carriageReturn();
        } else if (here - lineStart >= settings.maxRequestLine()) {
            refusal = new Refusal(
                    HttpResponseStatus.REQUEST_URI_TOO_LONG,
                    "the request line has more than " + settings.maxRequestLine() + " bytes");
        } else if (value == ' ') {
            if (afterSpace || here == lineStart) {
                refuse("the request line has white space in a wrong place");
            }
            spaces++;
            afterSpace = true;
        } else if (value <= ' ' || value == 0x7f) {
            refuse("the request line has a byte that is not visible ASCII");
        } else {
            afterSpace = false;
        }
    }

    private void header(byte value, int here) {
        if (value == '\r') {
            headerLine(here);
            carriageReturn();
        } else if (++headerBytes > settings.maxHeaderBytes()) {
            tooLarge("the headers have more than " + settings.maxHeaderBytes() + " bytes");
        } else if (value == '\n') {
            refuse("a line ends with LF alone");
        } else if ((value >= 0 && value < ' ' && value != '\t') || value == 0x7f) {
            refuse("a header has a control character");
        }
    }

    private void carriageReturn() {
        beforeCr = state;
        state = State.CR;
    }

    private void lineFeed(byte value) {
        if (value != '\n') {
            refuse("a CR is not followed by LF");
        } else if (state == State.LAST_CR) {
            state = State.COMPLETE;
        } else if (beforeCr != State.BEFORE) {
            state = State.LINE_START;
        } else if (++emptyLines > 1) {
            // RFC 9112, 2.2: one empty line before the request is forgiven, since old clients end a body with it.
            refuse("empty lines before the request line");
        } else {
            state = State.BEFORE;
        }
    }

    private void headerLine(int end) {
        ByteBuf in = bytes;
        if (in == null || !isContentLength(in, end)) {
            return;
        }
        int from = in.readerIndex() + lineStart + CONTENT_LENGTH.length() + 1;
        int to = in.readerIndex() + end;
        while (from < to && isBlank(in.getByte(from))) {
            from++;
        }
        while (to > from && isBlank(in.getByte(to - 1))) {
            to--;
        }
        boolean digits = to > from;
        for (int i = from; i < to; i++) {
            digits &= in.getByte(i) >= '0' && in.getByte(i) <= '9';
        }
        if (!digits) {
            refuse("Content-Length is not a plain number");
        } else if (++lengths > 1) {
            refuse("more than one Content-Length");
        }
    }

    private boolean isContentLength(ByteBuf in, int end) {
        if (end - lineStart <= CONTENT_LENGTH.length()) {
            return false;
        }
        int start = in.readerIndex() + lineStart;
        for (int i = 0; i < CONTENT_LENGTH.length(); i++) {
            if ((in.getByte(start + i) | 0x20) != (CONTENT_LENGTH.charAt(i) | 0x20)) {
                return false;
            }
        }
        return in.getByte(start + CONTENT_LENGTH.length()) == ':';
    }

    private static boolean isBlank(byte value) {
        return value == ' ' || value == '\t';
    }

    private void refuse(String why) {
        if (refusal == null) {
            refusal = Refusal.malformed(why);
        }
    }

    private void tooLarge(String why) {
        refusal = new Refusal(HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, why);
    }
}
