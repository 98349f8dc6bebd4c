package dev.d8.executor.docker;

import dev.d8.executor.python.engine.AgentProgram;

/**
 * An image that has run Python.
 *
 * @param id what containers are made of, whatever the image's name comes to mean
 * @param python its {@code sys.version}, on one line
 * @param agent the agent as this Python wants it
 */
record Image(String id, String python, AgentProgram agent) {}
