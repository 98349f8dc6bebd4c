package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.spi.Options;
import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.CertificateBuilder.Algorithm;
import io.netty.pkitesting.X509Bundle;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Certificates and keys that are no use are refused at the start, and the message names the cure. */
@ExtendWith(NoLeaks.class)
class TlsFilesTest {

    private static final X509Bundle GOOD = TestCertificates.issued(TestCertificates.loopback(), TestCertificates.CA);

    @TempDir
    private Path folder;

    private static void assertRefused(Map<String, String> options, String... words) {
        assertThatThrownBy(() -> new Slave(options.entrySet().stream()
                        .flatMap(option -> java.util.stream.Stream.of(option.getKey(), option.getValue()))
                        .toArray(String[]::new)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll(words);
    }

    @ParameterizedTest
    @EnumSource(names = {"ecp256", "ecp384", "rsa2048", "ed25519"})
    void keys_of_every_usual_kind_are_taken(Algorithm algorithm) {
        X509Bundle bundle =
                TestCertificates.issued(TestCertificates.loopback().algorithm(algorithm), TestCertificates.CA);
        TlsContext.ofServer(settings(TestCertificates.server(folder, bundle)), address());
    }

    private static TlsSettings settings(Map<String, String> options) {
        return TlsSettings.read(Options.of(options));
    }

    private static HttpAddress address() {
        return HttpAddress.ofBinding(URI.create("https://127.0.0.1:0"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"rw-r-----", "rw----r--"})
    void a_key_that_others_can_read(String permissions) throws Exception {
        Map<String, String> options = TestCertificates.server(folder, GOOD);
        Path key = folder.resolve("key.pem");
        Files.setPosixFilePermissions(key, PosixFilePermissions.fromString(permissions));
        assertRefused(options, "http.tls_key (--tls-key)", "others can read it", "chmod 600 " + key);
    }

    @ParameterizedTest
    @CsvSource({"RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"})
    void a_key_in_another_form(String form) {
        Map<String, String> options = TestCertificates.server(folder, GOOD);
        TestCertificates.file(folder, "key.pem", GOOD.getPrivateKeyPEM().replace("PRIVATE KEY", form));
        assertRefused(options, form, "PKCS#8", "openssl pkcs8 -topk8 -nocrypt -in " + folder.resolve("key.pem"));
    }

    @Test
    void a_key_of_another_certificate() {
        Map<String, String> options = TestCertificates.server(folder, GOOD);
        TestCertificates.file(folder, "key.pem", TestCertificates.CA.getPrivateKeyPEM());
        assertRefused(options, "http.tls_key", "not the key", "cert.pem");
        TestCertificates.file(
                folder,
                "key.pem",
                TestCertificates.selfSigned(
                                new CertificateBuilder().subject("CN=x").rsa2048())
                        .getPrivateKeyPEM());
        assertRefused(options, "http.tls_key", "not the key", "cert.pem");
    }

    @Test
    void a_certificate_that_is_not_valid_now() {
        Instant end = Instant.parse("2020-02-29T12:00:00Z");
        X509Bundle expired = TestCertificates.issued(
                TestCertificates.loopback()
                        .notBefore(end.minus(Duration.ofDays(1)))
                        .notAfter(end),
                TestCertificates.CA);
        assertRefused(
                TestCertificates.server(folder, expired),
                "http.tls_cert",
                "CN=loopback",
                "from 2020-02-28T12:00:00Z to 2020-02-29T12:00:00Z",
                "Renew it");
    }

    @ParameterizedTest
    @CsvSource({
        "tls_cert, cert.pem, no certificate",
        "tls_key, key.pem, no key",
        "tls_client_ca, ca.pem, no certificate"
    })
    void files_with_nothing_in_them(String option, String file, String words) {
        Map<String, String> options = TestCertificates.mutual(folder);
        TestCertificates.file(folder, file, "");
        assertRefused(options, "http." + option, file, words);
    }

    @Test
    void files_that_are_not_there() throws Exception {
        Map<String, String> options = TestCertificates.server(folder, GOOD);
        Files.delete(folder.resolve("key.pem"));
        assertRefused(options, "http.tls_key", "key.pem", "cannot be read");
        options.put("tls_cert", folder.resolve("none.pem").toString());
        assertRefused(options, "http.tls_cert", "none.pem", "cannot be read");
    }

    @Test
    void a_certificate_without_its_key() {
        Map<String, String> options = TestCertificates.mutual(folder);
        options.remove("tls_client_key");
        assertRefused(options, "http.tls_client_key (--tls-client-key)", "missing");
        options.remove("tls_cert");
        assertRefused(options, "http.tls_cert (--tls-cert)", "missing");
    }

    @Test
    void an_address_that_does_not_fit() {
        assertThatThrownBy(() -> TlsContext.ofServer(settings(Map.of()), address()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll("https://127.0.0.1:0", "--tls-cert", "keygen");
        HttpAddress plain = HttpAddress.ofBinding(URI.create("http://127.0.0.1:0"));
        assertThat(TlsContext.ofServer(settings(Map.of()), plain)).isNull();
        assertThatThrownBy(() -> TlsContext.ofServer(settings(TestCertificates.server(folder, GOOD)), plain))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll("http.tls_cert", "http://127.0.0.1:0", "https://");
    }
}
