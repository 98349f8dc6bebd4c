package dev.d8.executor.python.engine;

import java.util.concurrent.atomic.LongAdder;

/** What an engine counts. */
final class EngineMetrics {
    final LongAdder warmStarts = new LongAdder();
    final LongAdder coldStarts = new LongAdder();
    final LongAdder agentRestarts = new LongAdder();
}
