package dev.d8.version;

import java.util.regex.Pattern;
import org.eclipse.jgit.api.errors.GitAPIException;
import org.eclipse.jgit.lib.ConfigConstants;
import org.eclipse.jgit.lib.Repository;

/** Why a fetch failed, for somebody who is not to learn the remote's address: that may have a password in it. */
final class FetchTrouble {

    private static final Pattern ADDRESS = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]*://\\S+");
    private static final String REMOTE = "the remote";

    private FetchTrouble() {}

    static String of(Repository repository, String remote, GitAPIException failure) {
        Throwable root = failure;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        String outside = text(failure);
        String inside = text(root);
        String message = outside.contains(inside) ? outside : outside + ": " + inside;
        String url = repository
                .getConfig()
                .getString(ConfigConstants.CONFIG_REMOTE_SECTION, remote, ConfigConstants.CONFIG_KEY_URL);
        if (url != null && !url.isEmpty()) {
            message = message.replace(url, REMOTE);
        }
        return ADDRESS.matcher(message).replaceAll(REMOTE).replaceAll("\\s+", " ");
    }

    private static String text(Throwable failure) {
        return failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    }
}
