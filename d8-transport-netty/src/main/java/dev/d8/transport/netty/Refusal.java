package dev.d8.transport.netty;

import io.netty.handler.codec.http.HttpResponseStatus;

/** Bytes that are not a request as RFC 9112 writes it, or are over a limit: the answer, after which the connection ends. */
record Refusal(HttpResponseStatus status, String why) {

    static Refusal malformed(String why) {
        return new Refusal(HttpResponseStatus.BAD_REQUEST, why);
    }
}
