package dev.d8.master;

import dev.d8.Capabilities;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Task;
import java.util.Optional;
import java.util.Set;

/**
 * What a slave must have for a task: tasks with the same needs can run on the same slaves.
 *
 * @param method an executor; empty: any
 * @param isolation the weakest wall that will do
 * @param without the slaves that have turned the task away, by their ids
 */
record Needs(Set<String> labels, Optional<String> method, Isolation isolation, Set<String> without) {

    Needs {
        without = Set.copyOf(without);
    }

    static Needs of(Task task, Invocation invocation, Set<String> without) {
        return new Needs(task.labels(), invocation.method(), invocation.minIsolation(), without);
    }

    /** Returns why this slave cannot take such a task; empty: it can. */
    Optional<String> objection(Slave slave) {
        if (!slave.available()) {
            return Optional.of(slave.status() == SlaveStatus.ALIVE ? "its circuit is open" : slave.reason());
        }
        if (!slave.labels().containsAll(labels)) {
            return Optional.of("it lacks one of the labels " + labels);
        }
        Optional<Isolation> walls = slave.health().flatMap(Health::capabilities).map(Capabilities::isolation);
        if (walls.isPresent() && !walls.get().atLeast(isolation)) {
            return Optional.of("its strongest isolation is " + walls.get().wireName());
        }
        return slave.health()
                .flatMap(health ->
                        method.filter(name -> !health.executionMethods().getOrDefault(name, false)))
                .map(name -> "it has no executor " + name);
    }
}
