package dev.d8.version;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.VersionInfo;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VersionProviderTest {

    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final VersionProvider IGNORANT = Optional::empty;

    @TempDir
    Path dir;

    @Test
    void the_release_is_the_one_of_the_build() {
        assertThat(D8Release.NAME).matches("\\d+\\.\\d+\\.\\d+.*");
    }

    @Test
    void a_configured_commit_is_always_known() {
        assertThat(VersionProvider.configured(COMMIT).find())
                .contains(new VersionInfo(COMMIT, D8Release.NAME, "unknown", false));
        assertThat(VersionProvider.configured("build-7", "main").version())
                .isEqualTo(new VersionInfo("build-7", D8Release.NAME, "main", false));
        assertThat(VersionProvider.configured("x".repeat(64)).version().commit())
                .hasSize(64);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "a b", "abc\n", "a\u0000b", "a\u007fb", "a\u00a0b", "a\u0085b", "a\u2028b"})
    void a_malformed_commit_is_refused(String commit) {
        assertThatThrownBy(() -> VersionProvider.configured(commit))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("commit: length " + commit.length()
                        + " (expected: 1 to 64 characters, no white space or control characters)");
    }

    @Test
    void a_commit_that_is_too_long_is_refused() {
        assertThatThrownBy(() -> VersionProvider.configured("x".repeat(65)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("65");
    }

    @Test
    void the_first_provider_that_knows_answers() {
        VersionProvider known = VersionProvider.configured("first");
        VersionProvider never = () -> {
            throw new AssertionError("asked");
        };

        assertThat(VersionProvider.firstOf(IGNORANT, known, never).version().commit())
                .isEqualTo("first");
        assertThat(VersionProvider.firstOf(IGNORANT, IGNORANT).find()).isEmpty();
        assertThat(VersionProvider.firstOf().find()).isEmpty();
    }

    @Test
    void nobody_knowing_is_an_unknown_commit_of_a_known_release() {
        assertThat(IGNORANT.version()).isEqualTo(new VersionInfo("unknown", D8Release.NAME, "unknown", false));
    }

    @Test
    void git_properties_are_read() throws Exception {
        assertThat(fromProperties("git.commit.id.full=" + COMMIT
                        + "\ngit.commit.id=other\ngit.branch=main\ngit.build.version=2.3.4\ngit.dirty=true\n"))
                .contains(new VersionInfo(COMMIT, "2.3.4", "main", true));
        assertThat(fromProperties("git.commit.id=" + COMMIT + "\n"))
                .contains(new VersionInfo(COMMIT, D8Release.NAME, "unknown", false));
    }

    @Test
    void the_branch_of_a_build_with_a_detached_head_is_head() throws Exception {
        assertThat(fromProperties("git.commit.id.full=" + COMMIT + "\ngit.branch=" + COMMIT + "\n"))
                .contains(new VersionInfo(COMMIT, D8Release.NAME, "HEAD", false));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "git.branch=main",
                "git.commit.id=",
                "git.commit.id=${git.commit.id}",
                "git.commit.id=a b",
                "git.commit.id=\\u00zz"
            })
    void unusable_git_properties_are_not_known(String text) throws Exception {
        assertThat(fromProperties(text)).isEmpty();
    }

    @Test
    void no_git_properties_are_not_known() throws Exception {
        try (URLClassLoader empty = new URLClassLoader(new URL[0], null)) {
            assertThat(VersionProvider.buildProperties(empty).find()).isEmpty();
        }
    }

    private Optional<VersionInfo> fromProperties(String text) throws Exception {
        Files.writeString(dir.resolve("git.properties"), text);
        try (URLClassLoader loader = new URLClassLoader(new URL[] {dir.toUri().toURL()}, null)) {
            return VersionProvider.buildProperties(loader).find();
        }
    }
}
