package dev.d8.benchmarks;

import java.time.Duration;

/**
 * How long everything takes.
 *
 * @param rounds of each comparison
 * @param round one side's time in one round
 * @param warmUp one side's time before the first round
 * @param jmhWarmUps iterations of JMH that do not count
 * @param jmhRounds iterations of JMH that count
 * @param jmhRound one iteration's time
 * @param starts how often a slave is started
 * @param profiled how many tasks are profiled
 * @param containers how many tasks run in a container, one after another
 * @param idle how long a slave rests before its memory is read
 */
record Plan(
        int rounds,
        Duration round,
        Duration warmUp,
        int jmhWarmUps,
        int jmhRounds,
        Duration jmhRound,
        int starts,
        int profiled,
        int containers,
        Duration idle) {

    static final Plan FULL = new Plan(
            7,
            Duration.ofSeconds(2),
            Duration.ofSeconds(10),
            4,
            4,
            Duration.ofSeconds(1),
            5,
            2000,
            40,
            Duration.ofSeconds(10));
    static final Plan QUICK = new Plan(
            3,
            Duration.ofMillis(500),
            Duration.ofSeconds(2),
            1,
            2,
            Duration.ofMillis(400),
            2,
            200,
            8,
            Duration.ofSeconds(2));
    static final Plan SMOKE = new Plan(
            1,
            Duration.ofMillis(50),
            Duration.ofMillis(10),
            0,
            1,
            Duration.ofMillis(50),
            1,
            3,
            1,
            Duration.ofMillis(1));
}
