package dev.d8.testkit;

/**
 * The same small programs in some runtime's language, for {@link ExecutorContract}.
 *
 * @param runtime the runtime's name, as in {@link dev.d8.Invocation#runtime}
 * @param hello prints {@code hello} and a newline
 * @param complain prints {@code out} to standard output, {@code err} to standard error, each with a newline, and exits with 3
 * @param echoStdin copies standard input to standard output
 * @param printArgs prints its arguments, one a line
 * @param printEnvironment prints every variable, {@code NAME=value}, one a line
 * @param printDirectory prints its working directory
 * @param flood prints 3,000,000 times the letter {@code a}
 * @param waitForever prints {@code waiting} and a newline, flushed, and does not end by itself within 100 s
 * @param ignoreTerm the same, and ignores SIGTERM
 * @param leaveBehind starts a process that lives for 100 s and has the first argument among its own, and exits with 0
 */
public record Programs(
        String runtime,
        String hello,
        String complain,
        String echoStdin,
        String printArgs,
        String printEnvironment,
        String printDirectory,
        String flood,
        String waitForever,
        String ignoreTerm,
        String leaveBehind) {

    /** The programs in Python. */
    public static final Programs PYTHON = new Programs(
            "python",
            "print('hello')",
            "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(3)",
            "import sys\nsys.stdout.write(sys.stdin.read())",
            "import sys\nfor arg in sys.argv[1:]: print(arg)",
            "import os\nfor item in os.environ.items(): print('%s=%s' % item)",
            "import os\nprint(os.getcwd())",
            "import sys\nsys.stdout.write('a' * 3000000)",
            "import time\nprint('waiting', flush=True)\ntime.sleep(100)",
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('waiting', flush=True)\ntime.sleep(100)",
            "import subprocess, sys\nwait = 'import time; print(flush=True); time.sleep(100)'\n"
                    + "process = subprocess.Popen([sys.executable, '-c', wait, sys.argv[1]], stdout=subprocess.PIPE,"
                    + " start_new_session=True)\nprocess.stdout.readline()");

    /** The programs in the POSIX shell. */
    public static final Programs SHELL = new Programs(
            "shell",
            "echo hello",
            "echo out; echo err >&2; exit 3",
            "cat",
            "for arg in \"$@\"; do echo \"$arg\"; done",
            "env",
            "pwd",
            "head -c 3000000 /dev/zero | tr '\\0' a",
            "echo waiting; sleep 100",
            "trap '' TERM; echo waiting; sleep 100; sleep 100",
            "sh -c 'sleep 100; true' \"$1\" >/dev/null 2>&1 &");
}
