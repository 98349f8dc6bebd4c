package dev.d8.examples.niche;

import dev.d8.Invocation;
import dev.d8.spi.TypedTaskType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * The task type {@code niche_analysis}: looks at the wording of a market niche.
 *
 * <p>The program is a resource beside this class. The niche reaches it on standard input, as data: nothing that a user
 * writes is ever pasted into source. Stateless and thread-safe.
 */
public final class NicheAnalysisTaskType implements TypedTaskType<NicheData, NicheReport> {

    private final String program = read("niche_analysis.py");

    @Override
    public String id() {
        return "niche_analysis";
    }

    @Override
    public Class<NicheData> dataType() {
        return NicheData.class;
    }

    @Override
    public Class<NicheReport> resultType() {
        return NicheReport.class;
    }

    @Override
    public Invocation prepare(NicheData data) {
        return Invocation.python(program).stdin(data.niche()).build();
    }

    private static String read(String resource) {
        try (InputStream in = NicheAnalysisTaskType.class.getResourceAsStream(resource)) {
            return new String(Objects.requireNonNull(in, resource).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
