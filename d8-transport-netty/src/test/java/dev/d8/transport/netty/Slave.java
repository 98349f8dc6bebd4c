package dev.d8.transport.netty;

import dev.d8.Token;
import dev.d8.spi.Credentials;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import dev.d8.testkit.RecordingSlaveService;
import java.io.IOException;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.Map;

/** A recording service behind a real server on loopback. */
final class Slave implements AutoCloseable {

    static final Token TOKEN = Token.of("the-token-of-these-tests-0123456789abc");
    static final String AUTHORIZATION = "Authorization: Bearer " + TOKEN.reveal() + "\r\n";

    final RecordingSlaveService service = new RecordingSlaveService();
    final Transport transport;
    final Transport.Binding binding;

    /** Starts one, with TLS where it has a certificate; settings come as name, value, name, value. */
    Slave(String... settings) {
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i < settings.length; i += 2) {
            options.put(settings[i], settings[i + 1]);
        }
        transport = new NettyTransportProvider().create(Options.of(options));
        binding = transport.serve(
                service,
                URI.create(options.containsKey("tls_cert") ? "https://127.0.0.1:0" : "http://127.0.0.1:0"),
                new ServerSecurity(TOKEN));
    }

    RawConnection open() throws IOException {
        return new RawConnection(binding.uri());
    }

    SlaveClient client() {
        return transport.connect(binding.uri(), new Credentials(TOKEN));
    }

    /** Returns a good request for a task. */
    static String execute(String json) {
        return execute("", json);
    }

    /** Returns a good request for a task with more headers, each with its line end. */
    static String execute(String headers, String json) {
        return "POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + AUTHORIZATION + headers + "Content-Length: "
                + json.length() + "\r\n\r\n" + json;
    }

    @Override
    public void close() {
        transport.close();
    }
}
