package dev.d8.benchmarks;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * D8 against a bare limit in alternating rounds, so that what disturbs the machine disturbs both.
 *
 * @param d8 what D8 did in each round
 * @param limit what the limit did in the same rounds
 */
record Comparison(List<Round> d8, List<Round> limit) {

    /**
     * One side of one round.
     *
     * @param cpu what the side used, without its client where that is another process; zero where nobody can tell
     */
    record Round(Duration took, Samples samples, Duration cpu) {
        double perSecond() {
            return samples.count() / (took.toNanos() / 1e9);
        }

        double cpuMicros() {
            return cpu.toNanos() / 1e3 / samples.count();
        }
    }

    /** One side. */
    interface Side {
        Round run(Duration time) throws IOException, InterruptedException;
    }

    static Comparison alternate(Plan plan, Side d8, Side limit) throws IOException, InterruptedException {
        d8.run(plan.warmUp());
        limit.run(plan.warmUp());
        Comparison all = new Comparison(new ArrayList<>(), new ArrayList<>());
        for (int i = 0; i < plan.rounds(); i++) {
            all.d8.add(d8.run(plan.round()));
            all.limit.add(limit.run(plan.round()));
        }
        return all;
    }

    /** Returns D8's throughput in parts of the limit's, one number a round, lowest first. */
    double[] throughputRatios() {
        return ratios(Round::perSecond);
    }

    /** Returns D8's processor time for one request in parts of the limit's, one number a round, lowest first. */
    double[] cpuRatios() {
        return ratios(Round::cpuMicros);
    }

    private double[] ratios(ToDoubleFunction<Round> value) {
        double[] ratios = new double[d8.size()];
        for (int i = 0; i < ratios.length; i++) {
            ratios[i] = value.applyAsDouble(d8.get(i)) / value.applyAsDouble(limit.get(i));
        }
        Arrays.sort(ratios);
        return ratios;
    }

    static double median(List<Round> rounds, ToDoubleFunction<Round> value) {
        return median(rounds.stream().mapToDouble(value).sorted().toArray());
    }

    static double median(double[] sorted) {
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    static Samples samples(List<Round> rounds) {
        Samples all = new Samples();
        rounds.forEach(round -> all.addAll(round.samples()));
        return all;
    }
}
