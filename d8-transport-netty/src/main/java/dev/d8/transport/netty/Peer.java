package dev.d8.transport.netty;

import dev.d8.Grant;
import dev.d8.spi.Caller;
import io.netty.channel.Channel;
import java.net.InetSocketAddress;
import java.security.Principal;
import java.util.Optional;

/**
 * The other end of a server's connection.
 *
 * @param address without the port
 * @param certified the subject of its certificate, if it had to show one
 */
record Peer(String address, Optional<String> certified) {

    static Peer of(Channel channel) {
        String address = channel.remoteAddress() instanceof InetSocketAddress inet
                ? inet.getAddress().getHostAddress()
                : "";
        return new Peer(address, ServerHandshake.caller(channel).map(Principal::getName));
    }

    /** Returns who it is once it has shown a token. */
    Caller with(Grant grant) {
        return new Caller(certified.orElse(grant.name()), address);
    }

    /** Returns who it is without one. */
    Caller unknown() {
        return new Caller(certified.orElse(""), address);
    }
}
