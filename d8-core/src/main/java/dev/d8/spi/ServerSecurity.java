package dev.d8.spi;

import dev.d8.Token;

/**
 * Whom a transport's server lets in.
 *
 * @param token what a caller must show to run a task
 */
public record ServerSecurity(Token token) {}
