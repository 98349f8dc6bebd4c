/** The command line behind {@code ./d8}. Start with {@link dev.d8.launcher.Main}. */
@NullMarked
package dev.d8.launcher;

import org.jspecify.annotations.NullMarked;
