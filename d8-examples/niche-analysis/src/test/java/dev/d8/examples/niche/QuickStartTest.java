package dev.d8.examples.niche;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class QuickStartTest {

    @Test
    void it_prints_what_the_readme_says() {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream before = System.out;
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            QuickStart.main(new String[0]);
        } finally {
            System.setOut(before);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8)).endsWith("python says 55\n");
    }

    @Test
    void the_readme_shows_this_very_code() throws Exception {
        String source = Files.readString(Path.of("src/main/java/dev/d8/examples/niche/QuickStart.java"));
        String body = source.substring(source.indexOf("        try ("), source.indexOf("\n    }\n}"));
        String readme = Files.readString(Path.of("../../README.md"));
        assertThat(readme).contains(body.indent(-8).strip());
    }
}
