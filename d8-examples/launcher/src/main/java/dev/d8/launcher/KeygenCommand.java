package dev.d8.launcher;

import dev.d8.ConfigurationException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code d8 keygen}: a token, and a certificate with its key that nobody else signed. */
@Command(
        name = "keygen",
        mixinStandardHelpOptions = true,
        description =
                "Makes a token, and for TLS a certificate that nobody else signed with its key. Overwrites nothing.")
final class KeygenCommand implements Callable<Integer> {

    private static final String DAYS = "365";
    private static final String ALIAS = "d8";
    private static final String PASSWORD =
            "for-a-second"; // Of a store that only its owner reads, and that goes at once.

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Option(
            names = "--dir",
            paramLabel = "DIR",
            defaultValue = "d8-keys",
            description = "where to write token, cert.pem and key.pem (default: ${DEFAULT-VALUE})")
    private Path dir = Path.of("d8-keys");

    @Option(
            names = "--host",
            split = ",",
            paramLabel = "NAME",
            description = "names and addresses of the slave, beside localhost, 127.0.0.1 and ::1")
    private List<String> hosts = List.of();

    @Override
    public Integer call() throws InterruptedException {
        Path token = dir.resolve("token");
        Path cert = dir.resolve("cert.pem");
        Path key = dir.resolve("key.pem");
        for (Path file : List.of(token, cert, key)) {
            if (Files.exists(file)) {
                throw new ConfigurationException(
                        "--dir: " + file + " is there already, and nothing is overwritten; choose another folder");
            }
        }
        Set<String> names = new LinkedHashSet<>(hosts);
        names.addAll(List.of("localhost", "127.0.0.1", "::1"));
        byte[] secret = new byte[32];
        new SecureRandom().nextBytes(secret);
        X509Certificate made;
        try {
            Files.createDirectories(
                    dir, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            KeyStore pair = pair(names);
            made = (X509Certificate) pair.getCertificate(ALIAS);
            write(
                    key,
                    "rw-------",
                    pem(
                            "PRIVATE KEY",
                            pair.getKey(ALIAS, PASSWORD.toCharArray()).getEncoded()));
            write(cert, "rw-r--r--", pem("CERTIFICATE", made.getEncoded()));
            write(token, "rw-------", HexFormat.of().formatHex(secret) + "\n");
        } catch (IOException | GeneralSecurityException e) {
            throw new ConfigurationException("--dir: " + dir + ": cannot be written: " + e, e);
        }
        PrintWriter out = spec.commandLine().getOut();
        out.println("wrote " + token + ", " + cert + " and " + key);
        out.println("good for " + String.join(", ", names) + ", until "
                + made.getNotAfter().toInstant());
        out.println("on the slave:   ./d8 slave --host 0.0.0.0 --token-file " + token + " --tls-cert " + cert
                + " --tls-key " + key);
        out.println("on the master:  ./d8 run --slave https://"
                + names.iterator().next() + ":7600 --token-file " + token + " --tls-ca " + cert + " 'print(55)'");
        out.println("Copy " + token + " to the master on a way that nobody else reads, and " + cert
                + " on any way; the key stays with the slave.");
        out.flush();
        return Main.DONE;
    }

    /** The JDK makes certificates by its tool only. */
    private static KeyStore pair(Set<String> names) throws IOException, GeneralSecurityException, InterruptedException {
        Path keytool = Path.of(System.getProperty("java.home"), "bin", "keytool");
        if (!Files.isExecutable(keytool)) {
            throw new ConfigurationException(keytool + " is missing in this Java; use a whole one, or make the "
                    + "certificate with openssl (docs/operations.md)");
        }
        String alternatives = names.stream()
                .map(name -> (name.matches("[0-9.]+|.*:.*") ? "ip:" : "dns:") + name)
                .collect(Collectors.joining(","));
        Path folder = Files.createTempDirectory("d8-keygen");
        Path store = folder.resolve("store");
        try {
            Process process = new ProcessBuilder(
                            keytool.toString(),
                            "-genkeypair",
                            "-alias",
                            ALIAS,
                            "-keyalg",
                            "EC",
                            "-groupname",
                            "secp256r1",
                            "-dname",
                            "CN=D8 slave",
                            "-ext",
                            "san=" + alternatives,
                            "-validity",
                            DAYS,
                            "-storetype",
                            "PKCS12",
                            "-keystore",
                            store.toString(),
                            "-storepass",
                            PASSWORD)
                    .redirectErrorStream(true)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            if (process.waitFor() != 0) {
                throw new ConfigurationException("--host: no certificate for " + String.join(",", names) + ": " + said);
            }
            KeyStore pair = KeyStore.getInstance("PKCS12");
            try (InputStream in = Files.newInputStream(store)) {
                pair.load(in, PASSWORD.toCharArray());
            }
            return pair;
        } finally {
            Files.deleteIfExists(store);
            Files.delete(folder);
        }
    }

    private static String pem(String label, byte[] der) {
        return "-----BEGIN " + label + "-----\n"
                + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der) + "\n-----END " + label + "-----\n";
    }

    /** Writes a file that was not there, closed to others from its first byte on if it has to be. */
    private static void write(Path file, String permissions, String content) throws IOException {
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions)));
        Files.writeString(file, content);
    }
}
