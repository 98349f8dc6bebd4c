/**
 * The Python engine, shared by the {@code python}, {@code venv} and {@code docker} executors: how a task is handed to
 * {@code agent.py} and how its end is heard. Start with {@link dev.d8.executor.python.engine.PythonEngine}, then
 * {@link dev.d8.executor.python.engine.AgentConversation}, then {@code agent.py} itself.
 */
@NullMarked
package dev.d8.executor.python.engine;

import org.jspecify.annotations.NullMarked;
