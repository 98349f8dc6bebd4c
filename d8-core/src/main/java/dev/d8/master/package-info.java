/**
 * The master's half: which slaves there are, how they are, and which of them runs a task. Start with
 * {@link dev.d8.master.SlaveManager}, then {@link dev.d8.master.RobustConnection}, through which every call to a slave goes.
 */
@NullMarked
package dev.d8.master;

import org.jspecify.annotations.NullMarked;
