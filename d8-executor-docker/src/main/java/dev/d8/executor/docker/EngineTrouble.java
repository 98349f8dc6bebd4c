package dev.d8.executor.docker;

import com.github.dockerjava.api.exception.DockerException;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Says in words what is wrong with an engine, and the cure. */
final class EngineTrouble {

    private static final Pattern ENGINE_MESSAGE = Pattern.compile("\"message\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)\"");

    private EngineTrouble() {}

    static String missing(String socket) {
        return "no Docker engine: " + socket + " does not exist. Install Docker or set DOCKER_HOST";
    }

    static String nowhere(List<Path> sockets) {
        return "no Docker engine: DOCKER_HOST is not set, there is no Docker context, and none of "
                + sockets.stream().map(Path::toString).collect(Collectors.joining(", "))
                + " exists. Install Docker or set DOCKER_HOST";
    }

    static String forbidden(String socket) {
        return "the Docker engine may not be used: permission denied on " + socket
                + ". Add the slave's user to the group"
                + " docker (a member can become root), or run Docker rootless and set DOCKER_HOST";
    }

    static String unreachable(URI host, String why) {
        return "no Docker engine answers at " + host + ": " + why + ". Start Docker, or set DOCKER_HOST";
    }

    /** Returns why an engine could not be talked to. */
    static String connecting(Throwable failure, URI host) {
        String place = "unix".equals(host.getScheme()) ? host.getPath() : host.toString();
        for (Throwable cause = failure; cause != null; cause = next(cause)) {
            String message = String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT);
            if (cause instanceof AccessDeniedException || message.contains("permission denied")) {
                return forbidden(place);
            }
            if (cause instanceof NoSuchFileException || message.contains("no such file")) {
                return missing(place);
            }
            if (cause instanceof SocketTimeoutException) {
                return unreachable(host, "it takes a connection and says nothing");
            }
            if (cause instanceof UnknownHostException) {
                return unreachable(host, "its name is unknown");
            }
            if (cause instanceof ConnectException || message.contains("connection refused")) {
                return unreachable(host, "connection refused");
            }
        }
        return unreachable(host, words(failure));
    }

    /** Returns what an engine answered, or what else went wrong, without docker-java's wrapping. */
    static String words(Throwable failure) {
        Throwable root = failure;
        while (!(root instanceof DockerException)) {
            Throwable cause = next(root);
            if (cause == null) {
                break;
            }
            root = cause;
        }
        String message = root.getMessage();
        if (message == null || message.isBlank()) {
            return root.getClass().getSimpleName();
        }
        Matcher engine = ENGINE_MESSAGE.matcher(message);
        return engine.find() ? engine.group(1).replace("\\\"", "\"") : message.strip();
    }

    private static @Nullable Throwable next(Throwable failure) {
        return failure.getCause() == failure ? null : failure.getCause();
    }
}
