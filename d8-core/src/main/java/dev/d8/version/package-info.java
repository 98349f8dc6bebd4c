/**
 * Finds out which code a master or a slave runs, so that the two can be compared.
 *
 * <p>Start with {@link dev.d8.version.VersionProvider}; everything else is one of its sources.
 */
@NullMarked
package dev.d8.version;

import org.jspecify.annotations.NullMarked;
