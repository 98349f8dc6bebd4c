/**
 * The {@code python} executor: Python tasks on the host's own interpreter. Start with
 * {@link dev.d8.executor.python.PythonExecutor}.
 */
@NullMarked
package dev.d8.executor.python;

import org.jspecify.annotations.NullMarked;
