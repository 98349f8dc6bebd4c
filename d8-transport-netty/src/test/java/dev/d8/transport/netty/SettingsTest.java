package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.Token;
import dev.d8.spi.Credentials;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.testkit.RecordingSlaveService;
import java.net.ServerSocket;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A setting or an address that makes no sense is refused, and the message names it. */
@ExtendWith(NoLeaks.class)
class SettingsTest {

    private static final Credentials CREDENTIALS = new Credentials(Token.DEVELOPMENT);
    private static final ServerSecurity SECURITY = new ServerSecurity(Token.DEVELOPMENT);
    private final Transport transport = new NettyTransportProvider().create(Options.NONE);

    @AfterEach
    void close() {
        transport.close();
    }

    @ParameterizedTest
    @CsvSource({
        "max_body, 0",
        "max_body, -1",
        "max_body, 8MiB",
        "max_headers, 0",
        "header_timeout, 0",
        "idle_timeout, soon",
        "io, io_uring",
        "threads, 0",
        "client_connections, 0",
        "max_bodies, 5"
    })
    void a_bad_setting_is_named(String name, String value) {
        assertThatThrownBy(() -> new NettyTransportProvider()
                        .create(Options.of(Map.of("http." + name, value)).under("http")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("http." + name);
    }

    @ParameterizedTest
    @CsvSource({
        "ftp://d8:7600, scheme ftp",
        "d8:7600, scheme d8",
        "//d8, scheme null",
        "http:///, no host",
        "http://a_b:7600, no host",
        "http://d8:65536, port 65536",
        "http://d8:7600/api, path /api",
        "http://d8:7600?x=y, query",
        "http://d8:7600#x, fragment",
        "http://me:secret@d8:7600, user info"
    })
    void a_bad_address_is_refused_and_the_bad_part_named(URI address, String part) {
        assertThatThrownBy(() -> transport.connect(address, CREDENTIALS))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(part)
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> transport.serve(new RecordingSlaveService(), address, SECURITY))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(part);
    }

    @Test
    void a_slave_has_no_port_0() {
        assertThatThrownBy(() -> transport.connect(URI.create("http://d8:0"), CREDENTIALS))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("port 0");
    }

    @Test
    void the_port_is_7600_where_none_is_given() {
        assertThat(HttpAddress.ofSlave(URI.create("http://d8")).authority()).isEqualTo("d8:7600");
        assertThat(HttpAddress.ofSlave(URI.create("HTTP://[::1]/")).authority()).isEqualTo("[::1]:7600");
    }

    @Test
    void an_ipv6_address_can_be_bound_and_reached() throws Exception {
        Transport.Binding binding =
                transport.serve(new RecordingSlaveService(), URI.create("http://[::1]:0"), SECURITY);

        assertThat(binding.uri().getHost()).isEqualTo("[::1]");
        assertThat(transport
                        .connect(binding.uri(), CREDENTIALS)
                        .version()
                        .get(30, TimeUnit.SECONDS)
                        .version())
                .isEqualTo("1.0.0");
    }

    @Test
    void a_host_name_can_be_bound_and_reached() throws Exception {
        Transport.Binding binding =
                transport.serve(new RecordingSlaveService(), URI.create("http://localhost:0"), SECURITY);

        assertThat(transport
                        .connect(binding.uri(), CREDENTIALS)
                        .version()
                        .get(30, TimeUnit.SECONDS)
                        .version())
                .isEqualTo("1.0.0");
    }

    @Test
    void a_port_that_is_taken_says_what_to_do() throws Exception {
        try (ServerSocket taken = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            URI address = URI.create("http://127.0.0.1:" + taken.getLocalPort());
            for (String io : new String[] {"nio", "epoll"}) {
                try (Transport other = new NettyTransportProvider().create(Options.of(Map.of("io", io)))) {
                    assertThatThrownBy(() -> other.serve(new RecordingSlaveService(), address, SECURITY))
                            .isInstanceOf(ConfigurationException.class)
                            .hasMessageContaining(address.toString())
                            .hasMessageContaining("the port is in use. Stop the program that has it");
                }
            }
        }
    }

    @Test
    void an_address_of_another_machine_cannot_be_bound() {
        for (String io : new String[] {"nio", "epoll"}) {
            try (Transport other = new NettyTransportProvider().create(Options.of(Map.of("io", io)))) {
                assertThatThrownBy(() ->
                                other.serve(new RecordingSlaveService(), URI.create("http://192.0.2.1:7600"), SECURITY))
                        .isInstanceOf(ConfigurationException.class)
                        .hasMessageContaining("192.0.2.1 is not an address of this machine");
            }
        }
    }

    @Test
    void an_unknown_name_cannot_be_bound() {
        assertThatThrownBy(() -> transport.serve(
                        new RecordingSlaveService(), URI.create("http://no-such-host.invalid:0"), SECURITY))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("unknown host name no-such-host.invalid");
    }
}
