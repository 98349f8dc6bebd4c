package dev.d8.examples.niche;

import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.master.SlaveManager;
import dev.d8.slave.SlaveServer;

/** The whole of D8 in a dozen lines: a slave, a master, a task. The README shows this file. */
public final class QuickStart {

    private QuickStart() {}

    /** Runs it. */
    public static void main(String[] args) {
        try (SlaveServer slave = SlaveServer.builder().port(0).start();
                SlaveManager master = SlaveManager.builder().build()) {
            master.register("local", slave.uri()).join();
            Task task = Task.python("print(sum(range(11)))");
            TaskResult result = master.execute(task).join();
            System.out.print(result.method() + " says " + result.output());
        }
    }
}
