package dev.d8.transport.netty;

import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.X509Bundle;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.KeyStore;
import java.util.HashMap;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/** Certificates and keys, made anew for each run of the tests. */
final class TestCertificates {

    static final X509Bundle CA = ca("a CA of the tests");
    static final X509Bundle OTHER_CA = ca("another CA");

    private TestCertificates() {}

    private static X509Bundle ca(String name) {
        return selfSigned(new CertificateBuilder().subject("CN=" + name));
    }

    /** Starts one for this machine's loopback. */
    static CertificateBuilder loopback() {
        return new CertificateBuilder().subject("CN=loopback").addSanIpAddress("127.0.0.1");
    }

    /** Makes one that nobody else signed; a CA, since the builder knows no others of the kind. */
    static X509Bundle selfSigned(CertificateBuilder builder) {
        try {
            return builder.setIsCertificateAuthority(true).buildSelfSigned();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    static X509Bundle issued(CertificateBuilder builder, X509Bundle ca) {
        try {
            return builder.buildIssuedBy(ca);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** Returns the settings of both sides of mutual TLS, in files of a folder. */
    static Map<String, String> mutual(Path folder) {
        Map<String, String> options = server(folder, issued(loopback(), CA));
        X509Bundle client = issued(new CertificateBuilder().subject("CN=a master"), CA);
        options.put("tls_client_ca", options.get("tls_ca"));
        options.put("tls_client_cert", file(folder, "client.pem", client.getCertificatePathPEM()));
        options.put("tls_client_key", file(folder, "client-key.pem", client.getPrivateKeyPEM()));
        return options;
    }

    /** Returns the settings of a server with a certificate and of a client that trusts {@link #CA}. */
    static Map<String, String> server(Path folder, X509Bundle server) {
        Map<String, String> options = new HashMap<>();
        options.put("tls_cert", file(folder, "cert.pem", server.getCertificatePathPEM()));
        options.put("tls_key", file(folder, "key.pem", server.getPrivateKeyPEM()));
        options.put("tls_ca", file(folder, "ca.pem", CA.getCertificatePEM()));
        return options;
    }

    /** Writes a file as a careful person does: aside, closed to others, and renamed into place. */
    static String file(Path folder, String name, String content) {
        try {
            Path aside = Files.writeString(folder.resolve(name + ".new"), content);
            Files.setPosixFilePermissions(aside, PosixFilePermissions.fromString("rw-------"));
            return Files.move(aside, folder.resolve(name), java.nio.file.StandardCopyOption.REPLACE_EXISTING)
                    .toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the JDK's own TLS with a certificate, trusting {@link #CA}. */
    static SSLContext jdk(X509Bundle identity) throws Exception {
        KeyManagerFactory keys = identity.toKeyManagerFactory();
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("ca", CA.getCertificate());
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        TrustManager[] managers = trust.getTrustManagers();
        context.init(keys.getKeyManagers(), managers, null);
        return context;
    }
}
