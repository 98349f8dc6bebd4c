package dev.d8.executor.venv;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Makes packages, so that no test needs a network: the smallest wheels that pip takes. */
final class TestWheels {

    private TestWheels() {}

    /** A package of one module that holds its own version. */
    static void make(Path folder, String name, String version) throws IOException {
        Path wheel = folder.resolve(name + "-" + version + "-py3-none-any.whl");
        String info = name + "-" + version + ".dist-info/";
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(wheel))) {
            add(zip, name + ".py", "version = '" + version + "'\npadding = '" + "x".repeat(1000) + "'\n");
            add(zip, info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n");
            add(zip, info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n");
            add(
                    zip,
                    info + "RECORD",
                    name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n");
        }
    }

    /** A package whose set-up runs code, as a source distribution's may. */
    static void makeSource(Path folder, String name, String setup) throws IOException {
        Path zipped = folder.resolve(name + "-1.0.zip");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(zipped))) {
            add(zip, name + "-1.0/setup.py", setup);
            add(zip, name + "-1.0/PKG-INFO", "Metadata-Version: 1.0\nName: " + name + "\nVersion: 1.0\n");
        }
    }

    private static void add(ZipOutputStream zip, String name, String text) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(text.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }
}
