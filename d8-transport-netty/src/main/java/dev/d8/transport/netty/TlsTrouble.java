package dev.d8.transport.netty;

import io.netty.channel.Channel;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import java.nio.channels.ClosedChannelException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.util.Objects;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;

/** What is wrong where a client gets no TLS, and what to do about it. */
final class TlsTrouble {

    private static final String ALERT = "Received fatal alert: ";

    private TlsTrouble() {}

    /**
     * Checks what the JDK does not where a certificate is trusted itself: whether it is still valid.
     *
     * @throws CertificateException if it is not
     */
    static void requireValid(SSLSession session) throws CertificateException, SSLPeerUnverifiedException {
        for (Certificate certificate : session.getPeerCertificates()) {
            ((X509Certificate) certificate).checkValidity();
        }
    }

    /**
     * Returns whether the slave ended the handshake though it is over for this side: in TLS 1.3 a slave looks at a client's
     * certificate after that. Until then it takes nothing, so no byte of a request was read. In TLS 1.2 both are through at
     * the same time, and such an alert would be about something else.
     */
    static boolean refusesHandshake(Channel channel, Throwable cause) {
        SslHandler tls = channel.pipeline().get(SslHandler.class);
        return tls != null
                && cause instanceof DecoderException
                && cause.getCause() instanceof SSLHandshakeException
                && tls.engine().getSession().getProtocol().equals("TLSv1.3");
    }

    static String explain(Throwable cause, TlsSettings settings) {
        if (has(cause, CertificateExpiredException.class)) {
            return "its certificate has expired. Renew it there, or check this machine's clock";
        }
        if (has(cause, CertificateNotYetValidException.class)) {
            return "its certificate is not valid yet. Check the clocks of both machines";
        }
        if (has(cause, NotSslRecordException.class)) {
            return "it does not speak TLS. Use http://…, or give that slave --tls-cert and --tls-key";
        }
        if (has(cause, SslHandshakeTimeoutException.class)) {
            return "no TLS handshake within " + settings.handshakeTimeout().toMillis() / 1000.0
                    + " s. Is that the port of a slave with TLS, and is it well?";
        }
        if (has(cause, CertPathBuilderException.class)) {
            return "its certificate is of no CA that is trusted here. Name the CA's certificate, or the slave's own if "
                    + "nobody else signed it: " + TlsSettings.named("tls_ca");
        }
        if (has(cause, ClosedChannelException.class)) {
            return "it closed the connection instead of a TLS handshake. Is that the port of a slave with TLS?";
        }
        String message = lastMessage(cause);
        if (message.contains("No subject alternative") || message.contains("No name matching")) {
            return "its certificate is for another host: " + message
                    + ". Use a name or address that it has, or give it this one (./d8 keygen --host …)";
        }
        int alert = message.indexOf(ALERT);
        return alert < 0
                ? "no TLS: " + message
                : ofAlert(message.substring(alert + ALERT.length()), settings.client() != null);
    }

    private static String ofAlert(String alert, boolean identified) {
        String options = TlsSettings.named("tls_client_cert") + " and " + TlsSettings.named("tls_client_key");
        return switch (alert) {
            case "certificate_required",
                    "bad_certificate",
                    "certificate_unknown",
                    "unknown_ca",
                    "certificate_expired" ->
                identified
                        ? "it does not accept this side's certificate (" + alert
                                + "). Is it of the CA that the slave's --tls-client-ca names, and still valid?"
                        : "it wants a certificate of its callers (" + alert + "): " + options;
            case "handshake_failure" -> // In TLS 1.2 the alert for that, and for having no cipher in common.
                "it refuses TLS (handshake_failure). Perhaps it wants a certificate of its callers"
                        + (identified ? ", and another one than this side's" : ": " + options);
            case "protocol_version" -> "it speaks neither TLS 1.3 nor TLS 1.2";
            default -> "it refuses TLS: " + alert;
        };
    }

    private static boolean has(Throwable cause, Class<?> kind) {
        for (Throwable each = cause; each != null; each = each.getCause()) {
            if (kind.isInstance(each)) {
                return true;
            }
        }
        return false;
    }

    /** Returns what the innermost cause says: the others repeat it. */
    private static String lastMessage(Throwable cause) {
        Throwable last = cause;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        return Objects.requireNonNullElse(last.getMessage(), last.toString());
    }
}
