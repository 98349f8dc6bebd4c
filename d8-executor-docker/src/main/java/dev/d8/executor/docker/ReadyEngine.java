package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import java.net.URI;
import java.time.Instant;
import java.util.List;

/**
 * An engine that answered.
 *
 * @param host where it is
 * @param control for calls that answer soon; gives up on those that do not
 * @param streams for attaching: may be silent for as long as a task is
 * @param walls what its containers are walled off with
 * @param hosts what its containers get for {@code /etc/hosts} where they have no network
 * @param clock the engine's clock at the last look
 */
record ReadyEngine(
        URI host, DockerClient control, DockerClient streams, List<String> walls, HostsFile hosts, Instant clock) {

    boolean can(String wall) {
        return walls.contains(wall);
    }
}
