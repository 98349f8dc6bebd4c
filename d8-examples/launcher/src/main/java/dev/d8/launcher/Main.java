package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.version.VersionProvider;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code ./d8}: starts a slave or a master, or runs one task from the shell. */
@Command(
        name = "d8",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Release.class,
        description = "Runs tasks on other machines.",
        subcommands = {
            DemoCommand.class,
            SlaveCommand.class,
            RunCommand.class,
            SubmitCommand.class,
            StatusCommand.class,
            LogsCommand.class,
            CancelCommand.class,
            HealthCommand.class,
            VersionCommand.class,
            SlavesCommand.class,
            TopCommand.class,
            MasterCommand.class,
            KeygenCommand.class
        },
        footer = {
            "",
            "The token comes from SLAVE_TOKEN (environment), else from .env, else from --token-file. Beside it a slave",
            "accepts SLAVE_TOKEN_PREVIOUS, and SLAVE_READ_TOKEN for what only looks.",
            "Exit codes: 0 done, 1 the task failed, 2 usage, 3 it could not be run, 75 a slave has updated itself and is to",
            "be started again."
        })
public final class Main implements Runnable {

    /** It was done. */
    static final int DONE = 0;
    /** The task ran and failed. */
    static final int TASK_FAILED = 1;
    /** The command line or a setting is wrong. */
    static final int USAGE = 2;
    /** The task could not be run. */
    static final int NOT_RUN = 3;
    /** A slave has brought its code forward and is to be started again: EX_TEMPFAIL of sysexits.h, "try again later". */
    static final int START_AGAIN = 75;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    /** Runs a command line and ends the process with its exit code. */
    public static void main(String[] args) {
        // Servers tell of their state, one-shot commands only of trouble; read when the first logger is made.
        boolean server = args.length > 0 && (args[0].equals("slave") || args[0].equals("master"));
        if (System.getProperty(Logging.LEVEL) == null) {
            System.setProperty(Logging.LEVEL, server ? "INFO" : "ERROR");
        }
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        IExecutionExceptionHandler told = (error, command, parsed) -> {
            if (error instanceof D8Exception known) {
                command.getErr().println("d8: " + known.getMessage());
                return known instanceof ConfigurationException ? USAGE : NOT_RUN;
            }
            throw error;
        };
        return new CommandLine(new Main()).setExecutionExceptionHandler(told).setCaseInsensitiveEnumValuesAllowed(true);
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing");
    }

    /** The release that was built, which is what a version without a known commit says. */
    static final class Release implements CommandLine.IVersionProvider {
        @Override
        public String[] getVersion() {
            VersionProvider nobody = Optional::empty;
            return new String[] {"d8 " + nobody.version().version()};
        }
    }
}
