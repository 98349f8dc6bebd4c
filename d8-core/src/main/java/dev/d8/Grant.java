package dev.d8;

/**
 * What a slave lets the holder of a token do.
 *
 * @param name whom the token was given to, for the audit log: 1 to 64 visible ASCII characters
 * @param token what it has to show
 * @param scope what it may do
 */
public record Grant(String name, Token token, Scope scope) {

    /** The name of a token that was given none. */
    public static final String UNNAMED = "token";

    /** Checks the name. */
    public Grant {
        if (!name.matches("[!-~]{1,64}")) {
            throw new ConfigurationException(
                    "token: the name \"" + name + "\" (expected: 1 to 64 visible ASCII characters)");
        }
    }

    /** Returns a grant for all that concerns tasks: {@link Scope#EXECUTE}. */
    public static Grant everything(Token token) {
        return new Grant(UNNAMED, token, Scope.EXECUTE);
    }
}
