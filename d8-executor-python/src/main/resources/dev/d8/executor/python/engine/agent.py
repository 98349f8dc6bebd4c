"""D8's agent: runs one Python task as `python -c` would, ends everything it started, and says how it ended.

Standard library only, Python 3.9 or later, Linux or another Unix with fork. docs/architecture.md tells where it stands.

The slave starts an interpreter with a few lines of `-c` that read this file from standard input; nothing lies on a
disk where a task could change it, and `__main__`, `sys.argv` and `sys.path` are those of `python -c` already. Then the
interpreter forks: the parent becomes the supervisor, the child the task. Supervisor and slave talk in frames,
`u32 length | u8 type | bytes`, over the supervisor's standard input and output:

  to the agent    H header, S source, I stdin, then C to cancel; an end of file cancels too: the slave is gone
  to the slave    A started, O stdout, E stderr, X verdict; F instead of all these: it could not be started

Header and verdict are `name=value` pairs, each ended by NUL (like an environment block: no value can hold one).
The verdict comes from wait4 alone; nothing that a task prints or writes can forge it.
"""
import sys

BASE_MODULES = frozenset(sys.modules)
TASK_PATH = list(sys.path)
# Until the task runs, only the standard library may be imported: its working directory and its PYTHONPATH are the
# task's, and a ctypes.py or resource.py in them must not run in the supervisor.
sys.path[:] = [
    entry
    for entry in sys.path
    if entry.startswith(sys.modules["os"].__file__[: -len("/os.py")]) and not entry.endswith("-packages")
]

import _signal  # `signal` would load enum, and a task could see that
import os
import select
import time

TERM_GRACE = 2.0  # seconds from TERM to KILL
ORPHAN_GRACE = 1.0  # the same where the slave is gone: nothing may outlive it by more than two seconds
DRAIN = 0.05  # how long output is waited for that a process beyond our reach might still hold
SWEEP = 5.0  # how long ending a tree may take before we give up on it
CHUNK = 65536
BACKLOG = 4 * CHUNK  # unsent output at which we stop reading the task's pipes


class Control:
    """The framed link to the slave. Writing never blocks the supervisor: it has deadlines to keep."""

    def __init__(self, fd_in, fd_out):
        self.fd_in, self.fd_out = fd_in, fd_out
        self.unsent = bytearray()
        self.unread = bytearray()
        self.gone = False
        self.cancelled = False

    def request(self):
        """Waits for the whole task: its header as a list of pairs, its source, its stdin."""
        frames = {}
        while len(frames) < 3:
            kind, payload = self._frame()
            frames[kind] = payload
        if self.unread:
            os._exit(0)  # cancelled already, before a line of it ran
        pairs = [pair.partition(b"=") for pair in frames[b"H"].split(b"\0")[:-1]]
        return [(name.decode(), os.fsdecode(value)) for name, _, value in pairs], frames[b"S"], frames[b"I"]

    def _frame(self):
        head = self._read_exactly(5)
        return head[4:], self._read_exactly(int.from_bytes(head[:4], "big"))

    def _read_exactly(self, count):
        while len(self.unread) < count:
            chunk = os.read(self.fd_in, CHUNK)
            if not chunk:
                os._exit(0)  # the slave left before the task was there
            self.unread += chunk
        taken = bytes(self.unread[:count])
        del self.unread[:count]
        return taken

    def listen(self):
        """Takes what the slave says while the task runs; all it can say is to cancel."""
        chunk = os.read(self.fd_in, CHUNK)
        self.gone = not chunk
        self.cancelled = self.cancelled or b"C" in chunk

    def say(self, kind, payload=b""):
        self.unsent += len(payload).to_bytes(4, "big") + kind + payload
        self.flush()

    def flush(self):
        try:
            while self.unsent and not self.gone:
                del self.unsent[: os.write(self.fd_out, memoryview(self.unsent)[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True

    def finish(self):
        """Sends the rest, however slowly it is taken."""
        os.set_blocking(self.fd_out, True)
        self.flush()


class Supervisor:
    """Watches one task from its start to the end of the last process that it left behind."""

    def __init__(self, control, pid, pipes, header, stdin):
        self.control = control
        self.pid = pid
        self.stdin_fd, self.stdout_fd, self.stderr_fd = pipes
        self.stdin = memoryview(stdin)
        keep = int(header["output_bytes"])
        self.room = {self.stdout_fd: keep, self.stderr_fd: keep}
        self.total = {self.stdout_fd: 0, self.stderr_fd: 0}
        self.kinds = {self.stdout_fd: b"O", self.stderr_fd: b"E"}
        self.began = time.monotonic()
        self.deadline = self.began + float(header["timeout"])
        self.kill_at = None
        self.why = None  # why we end the task, if we do
        self.status = None
        self.usage = None
        self.leftover = 0
        for fd in pipes:
            os.set_blocking(fd, False)
        if not stdin:
            self._close_stdin()

    def run(self, wake):
        while self.status is None:
            self._wait(wake)
            self._reap()
            now = time.monotonic()
            if self.why is None:
                if self.control.gone or self.control.cancelled:
                    self._terminate("cancelled", now + (ORPHAN_GRACE if self.control.gone else TERM_GRACE))
                elif now >= self.deadline:
                    self._terminate("timeout", now + TERM_GRACE)
            elif self.control.gone and self.kill_at is not None:
                self.kill_at = min(self.kill_at, now + ORPHAN_GRACE)
            if self.kill_at is not None and now >= self.kill_at:
                self.kill_at = None
                self._sweep()
        ended = time.monotonic()
        self.leftover = len(self._sweep())
        self._drain()
        return ended

    def _wait(self, wake):
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        if not self.control.gone:
            poller.register(self.control.fd_in, select.POLLIN)
            if self.control.unsent:
                poller.register(self.control.fd_out, select.POLLOUT)
        if self.control.gone or len(self.control.unsent) < BACKLOG:
            for fd in self.kinds:
                poller.register(fd, select.POLLIN)
        if self.stdin_fd is not None:
            poller.register(self.stdin_fd, select.POLLOUT)
        until = self.kill_at if self.kill_at is not None else self.deadline if self.why is None else None
        timeout = None if until is None else max(0, (until - time.monotonic()) * 1000 + 1)
        for fd, _ in poller.poll(timeout):
            if fd in self.kinds:
                self._pump(fd)
            elif fd == wake:
                os.read(wake, CHUNK)
            elif fd == self.stdin_fd:
                self._feed()
            elif fd == self.control.fd_in:
                self.control.listen()
            else:
                self.control.flush()

    def _pump(self, fd):
        """Moves one chunk of output; returns whether there was one."""
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            del self.kinds[fd]
            os.close(fd)
            return False
        self.total[fd] += len(chunk)
        kept = chunk[: self.room[fd]]
        if kept:
            self.room[fd] -= len(kept)
            self.control.say(self.kinds[fd], kept)
        return True

    def _feed(self):
        try:
            self.stdin = self.stdin[os.write(self.stdin_fd, self.stdin[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self.stdin = memoryview(b"")  # the task closed its stdin
        if not self.stdin:
            self._close_stdin()

    def _close_stdin(self):
        os.close(self.stdin_fd)
        self.stdin_fd = None

    def _reap(self):
        """Collects every child that ended; returns whether any is left."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self.pid:
                    self.status, self.usage = status, usage
        except ChildProcessError:
            return False

    def _tree(self):
        """Every process of the task that still runs: our descendants, and whoever is in its session."""
        me, parents, found, dead = os.getpid(), {}, set(), set()
        try:
            names = os.listdir("/proc")
        except OSError:
            return found
        for name in names:
            if not name.isdigit():
                continue
            try:
                fd = os.open("/proc/" + name + "/stat", os.O_RDONLY)
                try:
                    stat = os.read(fd, 4096)
                finally:
                    os.close(fd)
            except OSError:
                continue
            state, parent, _, session = stat[stat.rindex(b")") + 2 :].split()[:4]
            parents[int(name)] = int(parent)
            if int(session) == self.pid:
                found.add(int(name))
            if state in (b"Z", b"X"):
                dead.add(int(name))  # still a link in the tree, but no process to end
        for pid in parents:
            ancestor, steps = parents[pid], 0
            while ancestor > 1 and ancestor != me and steps < 1000:  # pids are reused: a snapshot may hold a ring
                ancestor, steps = parents.get(ancestor, 0), steps + 1
            if ancestor == me:
                found.add(pid)
        return found - dead

    def _signal_all(self, number):
        targets = self._tree()
        for pid in targets:
            _kill(pid, number)
        if self.status is None:
            try:
                os.killpg(self.pid, number)
            except OSError:
                pass
        return targets

    def _terminate(self, why, kill_at):
        self.why, self.kill_at = why, kill_at
        self._signal_all(_signal.SIGTERM)
        self._signal_all(_signal.SIGCONT)  # a stopped process would never see the TERM

    def _sweep(self):
        """Kills the tree until no child is left; returns which processes it had to kill."""
        killed, give_up = set(), time.monotonic() + SWEEP
        while True:
            killed |= self._signal_all(_signal.SIGKILL)
            if not self._reap() or time.monotonic() > give_up:
                return killed
            select.select([], [], [], 0.001)

    def _drain(self):
        until = time.monotonic() + DRAIN
        while self.kinds and time.monotonic() < until:
            ready, _, _ = select.select(list(self.kinds), [], [], max(0, until - time.monotonic()))
            for fd in ready:
                while self._pump(fd):
                    if len(self.control.unsent) >= BACKLOG and not self.control.gone:
                        self.control.finish()
                        os.set_blocking(self.control.fd_out, False)

    def verdict(self, ended, isolation):
        fields = [
            ("wall_us", int((ended - self.began) * 1e6)),
            ("user_us", int(self.usage.ru_utime * 1e6)),
            ("system_us", int(self.usage.ru_stime * 1e6)),
            ("rss_bytes", self.usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)),
            ("stdout_bytes", self.total[self.stdout_fd]),
            ("stderr_bytes", self.total[self.stderr_fd]),
            ("leftover", self.leftover),
            ("isolation", ",".join(isolation)),
        ]
        if self.why:
            fields.append(("why", self.why))
        if os.WIFSIGNALED(self.status):
            fields += [("signal", os.WTERMSIG(self.status)), ("oom", oom_kills())]
        else:
            fields.append(("exit", os.WEXITSTATUS(self.status)))
        return block(fields)


def block(fields):
    return b"".join(os.fsencode("%s=%s\0" % field) for field in fields)


def oom_kills():
    """How often the kernel ended a process of this cgroup for memory; it says something of a task in a container only."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):  # cgroup v2, v1
        try:
            with open(path, "rb", 0) as file:
                for line in file.read().splitlines():
                    if line.startswith(b"oom_kill "):
                        return int(line.split()[1])
        except OSError:
            pass
    return 0


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass


def guard():
    """Puts up the walls that need prctl, which Linux has; returns those that stand."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return []
    walls = []
    if prctl(36, 1, 0, 0, 0) == 0:  # PR_SET_CHILD_SUBREAPER: orphans of the task are ours, a double fork does not escape
        walls.append("subreaper")
    # PR_SET_DUMPABLE: the task, which has our user, can neither trace us nor open our end of the link in /proc.
    prctl(4, 0, 0, 0, 0)
    return walls


def apply_limits(header):
    import resource

    def limit(which, value, slack=0):
        _, hard = resource.getrlimit(which)
        most = value + slack if hard == resource.RLIM_INFINITY else min(value + slack, hard)
        resource.setrlimit(which, (min(value, most), most))

    limit(resource.RLIMIT_CORE, 0)
    for name, which, slack in (
        ("memory_bytes", "RLIMIT_AS", 0),
        ("cpu_seconds", "RLIMIT_CPU", 1),  # the hard limit kills what ignores SIGXCPU
        ("processes", "RLIMIT_NPROC", 0),
        ("file_bytes", "RLIMIT_FSIZE", 0),
    ):
        if name in header:
            limit(getattr(resource, which), int(header[name]), slack)


def start():
    """Forks. Returns in the child only, with what it shall run."""
    control = Control(0, 1)
    pairs, source, stdin = control.request()
    header = dict(pairs)
    args = [value for name, value in pairs if name == "arg"]
    if "working_dir" in header:
        try:
            os.chdir(header["working_dir"])
        except OSError as error:
            control.say(b"F", os.fsencode("working_dir: %s: %s" % (header["working_dir"], error.strerror)))
            control.finish()
            os._exit(0)

    pipes = [os.pipe() for _ in range(4)]
    (stdin_r, stdin_w), (stdout_r, stdout_w), (stderr_r, stderr_w), (go_r, go_w) = pipes
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(go_w)
        if not os.read(go_r, 1):
            os._exit(1)
        for fd, target in ((stdin_r, 0), (stdout_w, 1), (stderr_w, 2)):
            os.dup2(fd, target)
        os.closerange(3, 1 + max(fd for pipe in pipes for fd in pipe))
        apply_limits(header)
        return source, args

    for fd in (stdin_r, stdout_w, stderr_w, go_r):
        os.close(fd)
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_r, False)
    os.set_blocking(wake_w, False)
    os.set_blocking(control.fd_out, False)
    _signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda number, frame: None)
    # What a terminal, a service manager or the task sends: only the slave ends the supervisor, through the link.
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_IGN)
    isolation = ["session"] + guard() + ["rlimits"]
    supervisor = Supervisor(control, pid, (stdin_w, stdout_r, stderr_r), header, stdin)
    control.say(b"A", block([("pid", pid), ("python", sys.version.split()[0])]))
    os.write(go_w, b"g")
    os.close(go_w)
    ended = supervisor.run(wake_r)
    control.say(b"X", supervisor.verdict(ended, isolation))
    control.finish()
    os._exit(0)


def exit_code(error, code):
    """What `python -c` does with an exception that nobody caught; `code` is the task's, the rest of the trace ours."""
    if isinstance(error, SystemExit):
        status = error.code
        if status is None or isinstance(status, int):
            return status or 0
        try:
            text = str(status)
        except Exception:
            text = ""  # as the interpreter does: a message that cannot be made is an empty one
        sys.stdout and sys.stdout.flush()
        sys.stderr.write(text + "\n") if sys.stderr else os.write(2, text.encode() + b"\n")
        return 1
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    try:
        sys.excepthook(type(error), error, trace)
    except SystemExit as leave:
        return exit_code(leave, code)
    except BaseException as failure:
        failure.__traceback__ = failure.__traceback__.tb_next
        if failure.__context__ is error:
            failure.__context__ = None  # we were handling it, the interpreter would not have been
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, trace)
    if isinstance(error, KeyboardInterrupt):
        import atexit
        import threading

        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream and stream.flush()
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
    return 1


def prepare(args):
    """Makes this interpreter look as `python -c` leaves it to the program."""
    main = sys.modules["__main__"].__dict__
    for name in [name for name in main if not (name.startswith("__") and name.endswith("__"))]:
        del main[name]
    for name in [name for name in sys.modules if name not in BASE_MODULES]:
        del sys.modules[name]
    sys.argv = ["-c"] + args
    sys.path[:] = TASK_PATH
    return main


def compile_task(source):
    text = source.decode("utf-8", "surrogateescape")
    code = compile(text, "<string>", "exec", dont_inherit=True)
    if sys.version_info >= (3, 13):  # tracebacks of -c show source lines from here on: the task's, not those that read us
        linecache = sys.modules["linecache"]
        by_name = "<string>" in linecache.cache  # how the first releases of 3.13 keep them
        linecache._register_code("<string>" if by_name else code, text, "<string>")
    return code


task_source, task_args = start()
task_main, task_code, task_exit = prepare(task_args), None, 0
try:
    task_code = compile_task(task_source)
    exec(task_code, task_main)
except BaseException as uncaught:
    task_exit = exit_code(uncaught, task_code)
raise SystemExit(task_exit)
