/**
 * The {@code venv} executor: Python tasks on a virtual environment of the slave. Start with
 * {@link dev.d8.executor.venv.VenvExecutorProvider}.
 */
@NullMarked
package dev.d8.executor.venv;

import org.jspecify.annotations.NullMarked;
