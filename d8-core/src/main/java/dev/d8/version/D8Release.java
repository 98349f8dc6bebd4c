package dev.d8.version;

import dev.d8.VersionInfo;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The release of D8 itself, as its build wrote it down. */
final class D8Release {

    static final String NAME = read();

    private D8Release() {}

    private static String read() {
        Properties build = new Properties();
        try (InputStream in = D8Release.class.getResourceAsStream("/META-INF/d8/build.properties")) {
            if (in != null) {
                build.load(in);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        String version = build.getProperty("version", "");
        // Still a placeholder where an IDE compiled the sources without Maven.
        return version.isEmpty() || version.startsWith("${") ? VersionInfo.UNKNOWN : version;
    }
}
