package dev.d8.benchmarks;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** One blocking keep-alive connection that knows as much HTTP as a benchmark needs. Used by one thread. */
final class RawConnection implements AutoCloseable {

    private final Socket socket;
    private final InputStream in;

    /** An answer's head, up to and with its empty line, and its body. */
    record Answer(String head, String body) {
        int length() {
            return head.length() + body.getBytes(StandardCharsets.UTF_8).length;
        }
    }

    RawConnection(URI server) throws IOException {
        socket = new Socket(server.getHost(), server.getPort());
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
    }

    static byte[] get(URI server, String path) {
        return ("GET " + path + " HTTP/1.1\r\nHost: " + server.getAuthority() + "\r\n\r\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    static byte[] post(URI server, String path, String token, String json) {
        return ("POST " + path + " HTTP/1.1\r\nHost: " + server.getAuthority() + "\r\nAuthorization: Bearer " + token
                        + "\r\nContent-Type: application/json\r\nContent-Length: "
                        + json.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + json)
                .getBytes(StandardCharsets.UTF_8);
    }

    Answer exchange(byte[] request) throws IOException {
        socket.getOutputStream().write(request);
        StringBuilder head = new StringBuilder();
        while (head.length() < 4 || head.indexOf("\r\n\r\n", head.length() - 4) < 0) {
            int next = in.read();
            if (next < 0) {
                throw new EOFException("the server closed the connection after: " + head);
            }
            head.append((char) next);
        }
        String lower = head.toString().toLowerCase(Locale.ROOT);
        int from = lower.indexOf("content-length:") + "content-length:".length();
        int length = Integer.parseInt(
                lower.substring(from, lower.indexOf('\r', from)).strip());
        String body = new String(in.readNBytes(length), StandardCharsets.UTF_8);
        if (!head.toString().startsWith("HTTP/1.1 20")) {
            throw new IOException("the server answered " + head + body);
        }
        return new Answer(head.toString(), body);
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
