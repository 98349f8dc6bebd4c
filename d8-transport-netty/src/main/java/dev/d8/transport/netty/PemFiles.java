package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads certificates and keys, and says of those that are no use what is wrong with them and what to do. */
final class PemFiles {

    private static final Pattern KEY = Pattern.compile("-----BEGIN ([A-Z ]*PRIVATE KEY)-----([^-]*)");

    private PemFiles() {}

    /**
     * A certificate and its key, which belong together and are valid now.
     *
     * @param chain the certificate, then those between it and its CA
     */
    record Pair(List<X509Certificate> chain, PrivateKey key) {}

    /**
     * Reads a pair.
     *
     * @throws ConfigurationException if it cannot be used
     */
    static Pair pair(TlsSettings.Identity files) {
        List<X509Certificate> chain = certificates(files.option(), files.cert());
        for (X509Certificate certificate : chain) {
            try {
                certificate.checkValidity();
            } catch (CertificateException e) {
                throw unusable(
                        files.option(),
                        files.cert(),
                        "the certificate of " + certificate.getSubjectX500Principal() + " is valid from "
                                + certificate.getNotBefore().toInstant() + " to "
                                + certificate.getNotAfter().toInstant()
                                + " only. Renew it, or check this machine's clock",
                        e);
            }
        }
        PublicKey belonging = chain.get(0).getPublicKey();
        PrivateKey key = key(files, belonging);
        try {
            Signature signature = Signature.getInstance(
                    switch (belonging.getAlgorithm()) {
                        case "RSA" -> "SHA256withRSA";
                        case "EC" -> "SHA256withECDSA";
                        default -> belonging.getAlgorithm();
                    });
            byte[] anything = {1, 2, 3};
            signature.initSign(key);
            signature.update(anything);
            byte[] signed = signature.sign();
            signature.initVerify(belonging);
            signature.update(anything);
            if (signature.verify(signed)) {
                return new Pair(chain, key);
            }
        } catch (GeneralSecurityException e) {
            // Told below: keys of other lengths or curves fail rather than disagree.
        }
        throw otherKey(files, null);
    }

    /**
     * Reads one certificate or more.
     *
     * @throws ConfigurationException if there is none, or one cannot be read
     */
    static List<X509Certificate> certificates(String option, Path file) {
        String expected = " (expected: PEM, -----BEGIN CERTIFICATE-----)";
        List<X509Certificate> found = new ArrayList<>();
        try {
            CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(read(option, file)))
                    .forEach(certificate -> found.add((X509Certificate) certificate));
        } catch (CertificateException e) {
            throw unusable(option, file, "a certificate that cannot be read: " + e.getMessage() + expected, e);
        }
        if (found.isEmpty()) {
            throw unusable(option, file, "no certificate in it" + expected, null);
        }
        return found;
    }

    private static PrivateKey key(TlsSettings.Identity files, PublicKey belonging) {
        Path file = files.key();
        requireClosed(files.keyOption(), file);
        Matcher found = KEY.matcher(new String(read(files.keyOption(), file), StandardCharsets.ISO_8859_1));
        if (!found.find()) {
            throw unusable(files.keyOption(), file, "no key in it (expected: PEM, -----BEGIN PRIVATE KEY-----)", null);
        }
        if (!found.group(1).equals("PRIVATE KEY")) {
            throw unusable(
                    files.keyOption(),
                    file,
                    found.group(1) + " in it (expected: PRIVATE KEY, which is PKCS#8, not encrypted). "
                            + "Convert it: openssl pkcs8 -topk8 -nocrypt -in " + file
                            + " -out new.pem && chmod 600 new.pem",
                    null);
        }
        try {
            return KeyFactory.getInstance(belonging.getAlgorithm())
                    .generatePrivate(
                            new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(found.group(2))));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw otherKey(files, e);
        }
    }

    private static void requireClosed(String option, Path file) {
        try {
            Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
            if (permissions.contains(PosixFilePermission.GROUP_READ)
                    || permissions.contains(PosixFilePermission.OTHERS_READ)) {
                throw unusable(option, file, "others can read it; run: chmod 600 " + file, null);
            }
        } catch (UnsupportedOperationException e) {
            throw unusable(option, file, "this file system does not tell who can read it", e);
        } catch (IOException e) {
            throw unreadable(option, file, e);
        }
    }

    private static byte[] read(String option, Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw unreadable(option, file, e);
        }
    }

    private static ConfigurationException unreadable(String option, Path file, IOException cause) {
        return unusable(option, file, "cannot be read: " + cause, cause);
    }

    private static ConfigurationException otherKey(TlsSettings.Identity files, @Nullable Exception cause) {
        return unusable(
                files.keyOption(),
                files.key(),
                "damaged, or not the key (RSA, EC, EdDSA) of the first certificate in " + files.cert(),
                cause);
    }

    private static ConfigurationException unusable(String option, Path file, String why, @Nullable Exception cause) {
        return new ConfigurationException(TlsSettings.named(option) + ": " + file + ": " + why, cause);
    }
}
