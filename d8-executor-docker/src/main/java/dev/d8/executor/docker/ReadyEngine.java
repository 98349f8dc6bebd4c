package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/**
 * An engine that answered, with an image that ran Python.
 *
 * @param host where it is
 * @param control for calls that answer soon; gives up on those that do not
 * @param streams for attaching: may be silent for as long as a task is
 * @param imageId what tasks run on, whatever the image's name comes to mean
 * @param walls what its containers are walled off with
 * @param clock the engine's clock at the last look
 * @param clockNanos our monotonic time at that moment
 */
record ReadyEngine(
        URI host,
        DockerClient control,
        DockerClient streams,
        String imageId,
        List<String> walls,
        Instant clock,
        long clockNanos) {

    /** Returns the engine's time a while after {@code nowNanos}: the one clock that every slave it serves shares. */
    Instant timeAfter(Duration period, long nowNanos) {
        return clock.plusNanos(nowNanos - clockNanos).plus(period);
    }

    boolean can(String wall) {
        return walls.contains(wall);
    }
}
