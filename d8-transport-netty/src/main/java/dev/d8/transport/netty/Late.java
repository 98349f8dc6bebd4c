package dev.d8.transport.netty;

import java.time.Duration;

/** An answer that has to wait: to guess tokens takes time. */
record Late(Answer answer, Duration delay) implements Decision {}
