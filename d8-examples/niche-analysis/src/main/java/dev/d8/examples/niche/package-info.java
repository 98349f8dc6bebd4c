/**
 * A task type of your own: typed data goes in, a Python program runs on a slave, a typed report comes back.
 *
 * <p>Start with {@link dev.d8.examples.niche.NicheAnalysisTaskType}. To write another one, copy this module, change the
 * records and the program, and name your class in {@code META-INF/services/dev.d8.spi.TaskType}.
 */
@NullMarked
package dev.d8.examples.niche;

import org.jspecify.annotations.NullMarked;
