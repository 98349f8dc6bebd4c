package dev.d8.transport.netty;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/** One request and its whole answer, however that comes. */
final class Asking {

    private Asking() {}

    /** Asks on a connection of its own. */
    static RawConnection.Reply ask(URI slave, String method, String path, String headers, String body)
            throws IOException {
        try (RawConnection connection = new RawConnection(slave)) {
            connection.send(request(method, path, headers, body));
            return read(connection, method);
        }
    }

    /** Returns a request; the headers each with their line end. */
    static String request(String method, String path, String headers, String body) {
        String length = body.isEmpty() ? "" : "Content-Length: " + body.length() + "\r\n";
        return method + " " + path + " HTTP/1.1\r\nHost: d8\r\n" + headers + length + "\r\n" + body;
    }

    /** Reads an answer however its body comes; events, lines and messages until there are no more. */
    static RawConnection.Reply read(RawConnection connection, String method) throws IOException {
        RawConnection.Reply head = connection.read(false);
        if (method.equals("HEAD")) {
            return head;
        }
        StringBuilder body = new StringBuilder();
        if (head.status() == 101) {
            for (String next = message(connection); next != null; next = message(connection)) {
                body.append(next).append('\n');
            }
        } else if (head.headers().containsKey("transfer-encoding")) {
            for (String chunk = connection.readChunk(); !chunk.isEmpty(); chunk = connection.readChunk()) {
                body.append(chunk);
            }
        } else {
            byte[] bytes =
                    connection.readExactly(Integer.parseInt(head.headers().get("content-length")));
            boolean packed = head.headers().containsKey("content-encoding");
            try (var in = new ByteArrayInputStream(bytes)) {
                body.append(
                        new String(packed ? new GZIPInputStream(in).readAllBytes() : bytes, StandardCharsets.UTF_8));
            }
        }
        return new RawConnection.Reply(head.status(), head.headers(), body.toString());
    }

    /** Reads one message of a WebSocket; nothing is its end. */
    private static @Nullable String message(RawConnection connection) throws IOException {
        byte[] head = connection.readExactly(2);
        int length = head[1] < 126
                ? head[1]
                : ByteBuffer.wrap(connection.readExactly(2)).getShort();
        String text = new String(connection.readExactly(length), StandardCharsets.UTF_8);
        return head[0] == (byte) 0x81 ? text : null;
    }
}
