package dev.d8.executor.venv;

import dev.d8.ConfigurationException;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Options;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Finds the virtual environment and its interpreter.
 *
 * @param configured the environment that was asked for, by option or variable
 * @param directory where one is looked for otherwise
 */
record VenvFinder(Optional<Path> configured, Path directory) implements Supplier<PythonInterpreter> {

    private static final String MARK = "pyvenv.cfg";

    static VenvFinder of(Options options, Map<String, String> environment) {
        Optional<Path> configured = options.path("path")
                .or(() -> Optional.ofNullable(environment.get("D8_VENV"))
                        .filter(value -> !value.isBlank())
                        .map(Path::of));
        Path directory = options.path("directory").orElse(Path.of(""));
        return new VenvFinder(configured.map(Path::toAbsolutePath), directory.toAbsolutePath());
    }

    /**
     * Looks for the interpreter.
     *
     * @throws ConfigurationException if there is none; the message says what to do
     */
    @Override
    public PythonInterpreter get() {
        Path venv = configured.orElseGet(this::beside);
        if (!Files.isDirectory(venv)) {
            throw new ConfigurationException(
                    venv + " is not there; make it with python3 -m venv " + venv + ", or set venv.path");
        }
        if (!Files.isRegularFile(venv.resolve(MARK))) {
            throw broken(venv, MARK + " is missing");
        }
        // Python tells by the path it was started with that it is in a virtual environment: the link, not its target.
        Path python = venv.resolve("bin/python");
        if (!Files.exists(python, LinkOption.NOFOLLOW_LINKS)) {
            throw broken(venv, "bin/python is missing");
        }
        if (!Files.exists(python)) {
            throw broken(venv, "bin/python is a link to an interpreter that is gone");
        }
        if (!Files.isExecutable(python)) {
            throw broken(venv, "bin/python cannot be executed");
        }
        return PythonInterpreter.ask(python, EngineSettings.inherited(EngineSettings.ENVIRONMENT))
                .at(python);
    }

    private Path beside() {
        List<Path> places = List.of(directory.resolve("venv"), directory.resolve(".venv"));
        // A directory called venv may be something else altogether; then .venv is looked at.
        return places.stream()
                .filter(place -> Files.exists(place.resolve(MARK)))
                .findFirst()
                .or(() -> places.stream().filter(Files::isDirectory).findFirst())
                .orElseThrow(() -> new ConfigurationException("no virtual environment: neither venv/ nor .venv/ in "
                        + directory + "; make one with python3 -m venv venv, or set D8_VENV"));
    }

    private static ConfigurationException broken(Path venv, String why) {
        return new ConfigurationException("the virtual environment " + venv + " is broken: " + why
                + "; make it anew with python3 -m venv --clear " + venv);
    }
}
