package dev.d8.internal;

import dev.d8.Invocation;
import dev.d8.PythonCode;
import dev.d8.Task;
import dev.d8.spi.TaskType;

/** Python source as it is: the task type that ships with D8. */
public final class PythonCodeTaskType implements TaskType<PythonCode> {

    /** For {@link java.util.ServiceLoader}. */
    public PythonCodeTaskType() {}

    @Override
    public String id() {
        return Task.PYTHON_CODE;
    }

    @Override
    public Class<PythonCode> dataType() {
        return PythonCode.class;
    }

    @Override
    public Invocation prepare(PythonCode data) {
        Invocation.Builder builder = Invocation.python(data.command())
                .args(data.args())
                .env(data.env())
                .stdin(data.stdin())
                .requirements(data.requirements());
        if (data.workingDir() != null) {
            builder.workingDir(data.workingDir());
        }
        if (data.image() != null) {
            builder.image(data.image());
        }
        return builder.build();
    }
}
