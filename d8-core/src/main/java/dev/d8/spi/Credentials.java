package dev.d8.spi;

import dev.d8.Token;

/**
 * What a transport's client shows to be let in.
 *
 * @param token sent with every call that runs a task, and with no other
 */
public record Credentials(Token token) {}
