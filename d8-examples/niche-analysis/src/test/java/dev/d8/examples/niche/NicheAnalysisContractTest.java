package dev.d8.examples.niche;

import dev.d8.spi.TaskType;
import dev.d8.testkit.TaskTypeContract;

class NicheAnalysisContractTest extends TaskTypeContract<NicheData> {

    @Override
    protected TaskType<NicheData> taskType() {
        return new NicheAnalysisTaskType();
    }

    @Override
    protected NicheData data() {
        return new NicheData("AI productivity tools");
    }
}
