package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import java.net.URI;

/**
 * The scheme, host and port of an {@code http://} or {@code https://} URI.
 *
 * @param tls whether it is https
 * @param host a name or an address, an IPv6 one without brackets
 * @param port 0 to 65535
 */
record HttpAddress(boolean tls, String host, int port) {

    static final String HTTP = "http";
    static final String HTTPS = "https";
    private static final int DEFAULT_PORT = 7600;

    /** Reads the address of a slave to connect to. */
    static HttpAddress ofSlave(URI uri) {
        HttpAddress address = parse("slave address", uri);
        if (address.port == 0) {
            throw malformed("slave address", uri, "port 0 (expected: 1 to 65535)");
        }
        return address;
    }

    /** Reads an address to bind; port 0 means a free one. */
    static HttpAddress ofBinding(URI uri) {
        return parse("bind address", uri);
    }

    private static HttpAddress parse(String what, URI uri) {
        boolean tls = HTTPS.equalsIgnoreCase(uri.getScheme());
        if (!tls && !HTTP.equalsIgnoreCase(uri.getScheme())) {
            throw malformed(what, uri, "scheme " + uri.getScheme() + " (expected: http or https)");
        }
        if (uri.getRawUserInfo() != null) {
            throw malformed(what, uri, "user info (expected: none; the token is a setting)");
        }
        if (uri.getHost() == null) {
            throw malformed(what, uri, "no host that can be read (expected: http://host:port)");
        }
        if (uri.getPort() > 65535) {
            throw malformed(what, uri, "port " + uri.getPort() + " (expected: 1 to 65535)");
        }
        if (!uri.getRawPath().isEmpty() && !uri.getRawPath().equals("/")) {
            throw malformed(what, uri, "path " + uri.getRawPath() + " (expected: none)");
        }
        if (uri.getRawQuery() != null || uri.getRawFragment() != null) {
            throw malformed(what, uri, "a query or fragment (expected: none)");
        }
        String host = uri.getHost();
        boolean bracketed = host.startsWith("[");
        return new HttpAddress(
                tls,
                bracketed ? host.substring(1, host.length() - 1) : host,
                uri.getPort() < 0 ? DEFAULT_PORT : uri.getPort());
    }

    private static ConfigurationException malformed(String what, URI uri, String why) {
        String shown = uri.getRawUserInfo() == null ? uri.toString() : uri.getScheme() + "://…";
        return new ConfigurationException(what + " " + shown + ": " + why);
    }

    HttpAddress withPort(int other) {
        return new HttpAddress(tls, host, other);
    }

    /** Returns {@code host:port} as a Host header spells it. */
    String authority() {
        return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + port;
    }

    URI uri() {
        return URI.create(this.toString());
    }

    @Override
    public String toString() {
        return (tls ? HTTPS : HTTP) + "://" + authority();
    }
}
