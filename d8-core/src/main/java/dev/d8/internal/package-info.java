/**
 * What the other packages share and nobody outside may use: JSON, the plugin registry, the system clock.
 * {@code PluginRegistry}.
 */
@NullMarked
package dev.d8.internal;

import org.jspecify.annotations.NullMarked;
