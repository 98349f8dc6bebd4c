package dev.d8.spi;

import dev.d8.Grant;
import dev.d8.Token;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Whom a transport's server lets in.
 *
 * @param grants which tokens there are at this moment; asked for each call, so it must be quick
 */
public record ServerSecurity(Supplier<List<Grant>> grants) {

    /** Lets in whoever has one token, for all that concerns tasks. */
    public ServerSecurity(Token token) {
        this(only(token));
    }

    private static Supplier<List<Grant>> only(Token token) {
        List<Grant> grants = List.of(Grant.everything(token));
        return () -> grants;
    }

    /** Returns what a token is good for, in a time that does not tell how much of it is right; nothing if it is wrong. */
    public Optional<Grant> find(String candidate) {
        Grant found = null;
        for (Grant grant : grants.get()) {
            if (grant.token().matches(candidate)) {
                found = grant; // And on: where a token stands in the list does not show either.
            }
        }
        return Optional.ofNullable(found);
    }
}
