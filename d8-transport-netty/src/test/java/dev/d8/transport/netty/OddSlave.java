package dev.d8.transport.netty;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** A server on a plain socket that behaves as a test says, one connection after the other. */
final class OddSlave implements AutoCloseable {

    /** What it does with one connection, which is closed afterwards. */
    interface Behaviour {
        void serve(Peer peer) throws IOException;
    }

    /** One connection. */
    static final class Peer {
        private final Socket socket;
        private final InputStream in;
        private final OutputStream out;
        final int number;

        private Peer(Socket socket, int number) throws IOException {
            this.socket = socket;
            this.in = new BufferedInputStream(socket.getInputStream());
            this.out = socket.getOutputStream();
            this.number = number;
        }

        /** Reads a request with its body and returns its head, nothing at the stream's end. */
        String readRequest() throws IOException {
            String head = readHead();
            int at = head.indexOf("Content-Length: ");
            if (at >= 0) {
                in.readNBytes(Integer.parseInt(head.substring(at + 16, head.indexOf('\r', at))));
            }
            return head;
        }

        String readHead() throws IOException {
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                int next = in.read();
                if (next < 0) {
                    return "";
                }
                head.append((char) next);
            }
            return head.toString();
        }

        void send(String bytes) throws IOException {
            out.write(bytes.getBytes(StandardCharsets.ISO_8859_1));
            out.flush();
        }

        void answer(String status, String headers, String body) throws IOException {
            send("HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + body.length() + "\r\n\r\n" + body);
        }

        /** Ends the connection with a reset. */
        void reset() throws IOException {
            socket.setSoLinger(true, 0);
            socket.close();
        }

        /** Waits until the client has gone. */
        void awaitEnd() throws IOException {
            while (in.read() >= 0) {
                // Whatever it sends.
            }
        }
    }

    private final ServerSocket server;
    private final List<Socket> open = new CopyOnWriteArrayList<>();
    private final AtomicInteger connections = new AtomicInteger();

    OddSlave(Behaviour behaviour) throws IOException {
        this(new ServerSocket(0, 50, InetAddress.getLoopbackAddress()), behaviour);
    }

    /** Starts one on a socket of its own, such as one with TLS. */
    OddSlave(ServerSocket socket, Behaviour behaviour) {
        server = socket;
        Thread thread = new Thread(() -> accept(behaviour), "odd-slave");
        thread.setDaemon(true);
        thread.start();
    }

    URI uri() {
        return URI.create("http://127.0.0.1:" + server.getLocalPort());
    }

    int connections() {
        return connections.get();
    }

    private void accept(Behaviour behaviour) {
        while (!server.isClosed()) {
            try {
                Socket socket = server.accept();
                open.add(socket);
                int number = connections.incrementAndGet();
                Thread thread = new Thread(() -> serve(behaviour, socket, number), "odd-slave-" + number);
                thread.setDaemon(true);
                thread.start();
            } catch (IOException e) {
                return;
            }
        }
    }

    private static void serve(Behaviour behaviour, Socket socket, int number) {
        try (socket) {
            behaviour.serve(new Peer(socket, number));
        } catch (IOException e) {
            // The client went away: that is what some tests are about.
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
        for (Socket socket : open) {
            socket.close();
        }
    }
}
