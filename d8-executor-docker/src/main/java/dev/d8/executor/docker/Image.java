package dev.d8.executor.docker;

import dev.d8.executor.python.engine.AgentProgram;
import java.util.List;

/**
 * An image that has run Python; one instance for each.
 *
 * @param id what containers are made of, whatever the image's name comes to mean
 * @param volumes paths at which it wants a place to write
 * @param python its {@code sys.version}, on one line
 * @param agent the agent as this Python wants it
 */
record Image(String id, List<String> volumes, String python, AgentProgram agent) {

    Image {
        volumes = List.copyOf(volumes);
    }
}
