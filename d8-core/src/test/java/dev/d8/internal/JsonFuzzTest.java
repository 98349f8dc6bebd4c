package dev.d8.internal;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import dev.d8.spi.WireFormat;
import java.util.Optional;
import org.junit.jupiter.api.Tag;

/** Whatever comes as JSON, it is read or it is malformed; and what was read can be written and read again. */
@Tag("other-runtime")
class JsonFuzzTest {

    private static final WireFormat WIRE = WireFormat.json();
    private static final Invocation SENT = Invocation.python("x").build();

    @FuzzTest(maxDuration = "5m")
    void a_call(byte[] bytes) {
        try {
            Invocation read = WIRE.decodeCall(bytes, Optional.empty()).invocation();
            assertThat(WIRE.decodeInvocation(WIRE.encode(read))).isEqualTo(read);
        } catch (InvalidTaskException e) {
            told(e);
        }
    }

    @FuzzTest(maxDuration = "5m")
    void an_answer(byte[] bytes) {
        try {
            TaskResult read = WIRE.decodeResult(bytes, SENT);
            assertThat(WIRE.decodeResult(WIRE.encode(read), SENT).termination()).isEqualTo(read.termination());
        } catch (InvalidTaskException e) {
            told(e);
        }
        try {
            Health read = WIRE.decodeHealth(bytes);
            assertThat(WIRE.decodeHealth(WIRE.encode(read))).isEqualTo(read);
        } catch (InvalidTaskException e) {
            told(e);
        }
        try {
            VersionInfo read = WIRE.decodeVersion(bytes);
            assertThat(WIRE.decodeVersion(WIRE.encode(read))).isEqualTo(read);
        } catch (InvalidTaskException e) {
            told(e);
        }
        told(WIRE.decodeError(bytes));
    }

    /** Whoever asked can be told. */
    private static void told(InvalidTaskException e) {
        String message = String.valueOf(e.getMessage());
        assertThat(message).isNotEmpty().doesNotContain("tools.jackson").doesNotContain("dev.d8");
        told(WIRE.decodeError(WIRE.encodeError(message)));
    }

    private static void told(String line) {
        assertThat(line).doesNotContainPattern("\\p{Cc}").hasSizeLessThan(600);
    }
}
