package dev.d8.launcher;

import dev.d8.slave.SlaveServer;
import java.net.URI;
import java.net.URISyntaxException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads {@code HOST}, {@code HOST:PORT} or a whole URI; without a scheme, what it returns has none either. */
final class SlaveAddress implements ITypeConverter<URI> {

    @Override
    public URI convert(String text) {
        try {
            URI uri = new URI(text.contains("://") ? text : "//" + text);
            if (uri.getHost() != null) {
                return uri.getPort() >= 0
                        ? uri
                        : new URI(uri.getScheme(), null, uri.getHost(), SlaveServer.DEFAULT_PORT, null, null, null);
            }
        } catch (URISyntaxException e) {
            // Told below.
        }
        throw new TypeConversionException(
                "\"" + text + "\" (expected: HOST:PORT or https://HOST:PORT, such as 10.0.0.7:7600)");
    }
}
