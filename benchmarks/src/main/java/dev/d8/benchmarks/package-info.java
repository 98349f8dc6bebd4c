/**
 * What D8 costs: JMH where one JVM is enough, alternating rounds against a bare limit where it is not. Start with
 * {@link dev.d8.benchmarks.Main}.
 */
@NullMarked
package dev.d8.benchmarks;

import org.jspecify.annotations.NullMarked;
