"""D8's agent: runs each Python task in a process that nobody used before, as `python -c` would, ends everything that the
task started, and says how it ended.

Standard library only, Python 3.9 or later, Linux or another Unix with fork. docs/architecture.md tells where it stands.

The slave starts an interpreter with a few lines of `-c` that read this file from standard input; nothing lies on a disk
where a task could change it, and `sys.argv` and `sys.path` are those of `python -c` already. What happens then is said
by the configuration, the first frame:

  mode=agent  The process becomes the *agent*: a loaded interpreter that forks a *supervisor* whenever the slave asks for
              one. Each supervisor connects to the slave's socket and serves one task after the other.
  mode=task   The process becomes the supervisor of one task itself, on standard input and output: how a container is
              used, and how a task is spawned where no agent can be had.

A supervisor forks the task's process ahead of the task and parks it, so that a task waits for no fork. Then it watches:
it feeds standard input, drains both outputs, keeps the time-out, adopts every orphan, and when the main process has
ended it ends whatever is left. Supervisor and slave talk in frames, `u32 length | u8 kind | bytes`:

  to the supervisor   H header, S source, I stdin, then C to cancel; an end of file cancels too: the slave is gone
  to the slave        A started, O stdout, E stderr, X verdict; F instead of the verdict: no line of it has run

Where a task sets variables that an interpreter reads while it starts, its process has a fresh interpreter take its place.

Configuration, header and verdict are `name=value` pairs, each ended by NUL (like an environment block: no value can hold
one). The verdict comes from wait4 alone; nothing that a task prints or writes can forge it.
"""
import sys

BASE_MODULES = frozenset(sys.modules)
TASK_PATH = list(sys.path)
# Until the task runs, only the standard library may be imported: its working directory and its PYTHONPATH are the
# task's, and a ctypes.py or resource.py in them must not run in the agent.
sys.path[:] = [
    entry
    for entry in sys.path
    if entry.startswith(sys.modules["os"].__file__[: -len("/os.py")]) and not entry.endswith("-packages")
]

import _signal  # `signal` would load enum, and a task could see that
import _weakref
import atexit
import gc
import os
import select
import time

import _socket

try:
    import resource
except ImportError:
    resource = None

TERM_GRACE = 2.0  # seconds from TERM to KILL
ORPHAN_GRACE = 1.0  # the same where the slave is gone: nothing may outlive it by more than two seconds
DRAIN = 0.05  # how long output is waited for that a process beyond our reach might still hold
SWEEP = 5.0  # how long ending a tree may take before we give up on it
HUSH = 0.002  # a task that ends sooner is read in one go
LINGER = 0.001  # how long output waits for more before it is sent
CHUNK = 65536
BACKLOG = 4 * CHUNK  # unsent output at which we stop reading the task's pipes
REAP = 1.0  # how often orphans are collected while a task runs
ORDER = 3  # the descriptor over which a task's process is told what to do, right after those of the program
HIGHEST_FD = 256  # no descriptor of ours is above it: few are ever open here
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
# This file as we were given it, for an interpreter that takes our place, and the order that such a one is given.
PROGRAM = getattr(sys.modules["__main__"], "p", b"")
INHERITED = globals().get("inherited")
ORIGINAL_ARGUMENTS = getattr(sys, "orig_argv", [""] * 3)
LINECACHE = sys.modules.get("linecache") if sys.version_info >= (3, 13) else None
# What a terminal, a service manager or a task sends: only the slave ends an agent or a supervisor, through its link.
DEAF_TO = _signal.valid_signals() - {_signal.SIGCHLD}


class Kernel:
    """The system calls that Python has no names for. Each says whether it worked; without ctypes none does."""

    DUMPABLE = 4  # PR_SET_DUMPABLE
    NEWNS, NEWPID, NEWUSER = 0x20000, 0x20000000, 0x10000000
    RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 0x4000, 0x40000
    # What a process in a container may do as root by Docker's default, too, less mknod. Bits of linux/capability.h.
    KEPT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31)

    def __init__(self):
        try:
            import ctypes

            self._library = ctypes.CDLL(None, use_errno=True)
            self._errno = ctypes.get_errno
            self.prctl = ctypes.CDLL(None).prctl  # without the errno, which costs every task's process some pages
            self._exit = ctypes.PyDLL(None).exit
            self._words = ctypes.c_uint32
        except (ImportError, OSError, AttributeError):
            self.prctl = lambda *arguments: -1
            self._exit = None

    def adopt_orphans(self):
        return self.prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: a double fork does not escape

    def set_dumpable(self, dumpable):
        # While a process is not, one of the same user can neither trace it nor open its descriptors in /proc.
        return self.prctl(self.DUMPABLE, dumpable, 0, 0, 0) == 0

    def forbid_new_privileges(self):
        return self.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS

    def die_with_parent(self):
        return self.prctl(1, _signal.SIGKILL, 0, 0, 0) == 0  # PR_SET_PDEATHSIG

    def die_with(self, parent):
        self.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)  # it died before we could ask

    def unshare(self, flags):
        return self._exit is not None and self._library.unshare(flags) == 0

    def mount(self, source, target, kind, flags, data=None):
        names = [name and os.fsencode(name) for name in (source, target, kind)]
        return self._library.mount(*names, flags, data) == 0

    def error(self):
        return os.strerror(self._errno())

    def drop_capabilities(self, kept):
        """Gives up all capabilities but these, for good and for every process to come."""
        self.prctl(47, 4, 0, 0, 0)  # PR_CAP_AMBIENT: clear all
        for capability in range(64):
            if capability not in kept:
                self.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; fails past the last one that the kernel knows
        mask = sum(1 << capability for capability in kept)
        header = (self._words * 2)(0x20080522, 0)  # version 3, this process
        low, high = mask & 0xFFFFFFFF, mask >> 32
        return self._library.capset(header, (self._words * 6)(low, low, 0, high, high, 0)) == 0

    def flush(self):
        """Writes what C code has buffered, which the interpreter does early where a program exits by SystemExit."""
        if self._exit:
            self._library.fflush(None)

    def exit(self, status):
        """Ends the process as C's exit does: what C code has buffered is written, no other thread gets to run."""
        if self._exit:
            self._exit(status)
        os._exit(status)


KERNEL = Kernel()


class Link:
    """The framed link to the slave. Neither reading nor writing ever blocks but in `task` and `finish`, and there no longer
    than our patience, if it has an end: a slave that is cut off does not hang up."""

    def __init__(self, fd_in, fd_out, patience=None):
        self.fd_in, self.fd_out = fd_in, fd_out
        self.patience = patience and patience * 1000
        self.unread, self.unsent = bytearray(), bytearray()
        self.oldest_unsent = 0.0
        self.gone = self.cancelled = self.stuck = False
        for fd in (fd_in, fd_out):
            os.set_blocking(fd, False)
        self._readable = select.poll()
        self._readable.register(fd_in, select.POLLIN)

    def task(self):
        """Waits for the next task. None if the slave is gone."""
        self.cancelled = False
        frame = self.frame()
        while frame is not None and frame[0] != b"T":  # a cancellation that crossed the verdict of the task before
            frame = self.frame()
        self._heed()
        return frame and Order(frame[1])

    def frame(self):
        while True:
            frame = self._next()
            if frame is not None:
                return frame
            if not self._readable.poll(self.patience) or not self._read():
                return None

    def _next(self):
        if len(self.unread) < 5:
            return None
        end = 5 + int.from_bytes(self.unread[:4], "big")
        if len(self.unread) < end:
            return None
        kind, payload = bytes(self.unread[4:5]), bytes(self.unread[5:end])
        del self.unread[:end]
        return kind, payload

    def _read(self):
        try:
            chunk = os.read(self.fd_in, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            chunk = b""
        self.gone = not chunk
        self.unread += chunk
        return not self.gone

    def listen(self):
        """Takes what the slave says while the task runs; all it can say is to cancel."""
        self._read()
        self._heed()

    def _heed(self):
        frame = self._next()
        while frame is not None:
            self.cancelled = self.cancelled or frame[0] == b"C"
            frame = self._next()

    def say(self, kind, payload=b""):
        if not self.unsent:
            self.oldest_unsent = time.monotonic()
        self.unsent += len(payload).to_bytes(4, "big") + kind + payload
        if len(self.unsent) >= CHUNK:
            self.flush()

    def flush(self):
        self.stuck = False
        try:
            while self.unsent and not self.gone:
                with memoryview(self.unsent) as unsent:
                    written = os.write(self.fd_out, unsent[:CHUNK])
                del self.unsent[:written]
        except BlockingIOError:
            self.stuck = True
        except OSError:
            self.gone = True

    def finish(self):
        """Sends the rest, however slowly it is taken."""
        self.flush()
        while self.unsent and not self.gone:
            writable = select.poll()
            writable.register(self.fd_out, select.POLLOUT)
            if not writable.poll(self.patience):
                return
            self.flush()


class Cgroup:
    """A cgroup of one supervisor's own, in which the kernel counts and limits exactly, whatever a task forks."""

    def __init__(self, directories, version):
        self.directories, self.version = directories, version
        self._files = {}

    @staticmethod
    def find():
        """Returns where cgroups may be made, as {controller: directory}, and their version; nothing where none may."""
        mounts, paths = {}, {}
        try:
            for line in _lines("/proc/self/mountinfo"):
                fields, _, rest = line.partition(" - ")
                kind, _, options = rest.split(" ", 2)
                root, point = fields.split(" ")[3:5]
                if kind == "cgroup2":
                    mounts[""] = (root, point)
                elif kind == "cgroup":
                    for option in options.split(" ")[-1].split(","):
                        mounts[option] = (root, point)
            for line in _lines("/proc/self/cgroup"):
                _, controllers, path = line.split(":", 2)
                for controller in controllers.split(","):
                    paths[controller] = path
        except (OSError, ValueError):
            return {}, 0

        def place(controller):
            root, point = mounts[controller]
            return point + _below(root, paths[controller])

        old = {name: place(name) for name in ("memory", "pids") if name in mounts and name in paths}
        if old:
            return {name: path for name, path in old.items() if os.access(path, os.W_OK)}, 1
        if "" in mounts and "" in paths:
            point, own = mounts[""][1], place("")
            # A group that holds processes may have no children with controllers; its parent may, if it was given to us.
            for path in (own, os.path.dirname(own), point):
                if path.startswith(point) and os.access(path, os.W_OK):
                    try:
                        _write(path + "/cgroup.subtree_control", "+memory +pids")
                    except OSError:
                        pass
                    if {"memory", "pids"} <= set(_text(path + "/cgroup.subtree_control").split()):
                        return {"memory": path, "pids": path}, 2
        return {}, 0

    @staticmethod
    def make(places, version, name):
        made = {}
        for controller, place in places.items():
            path = place + "/" + name
            try:
                os.makedirs(path, exist_ok=True)
                if version == 2 and "/" in name:
                    _write(os.path.dirname(path) + "/cgroup.subtree_control", "+memory +pids")
                made[controller] = path
            except OSError:
                pass
        return Cgroup(made, version)

    @staticmethod
    def name():
        return "d8-%d" % os.getpid()

    @staticmethod
    def sweep(places):
        """Removes what agents left behind that were killed; others may be doing the same."""
        for place in set(places.values()):
            for name in _names(place):
                if name.startswith("d8-") and not os.path.exists("/proc/" + name[3:]):
                    group = place + "/" + name
                    for path in [group + "/" + leaf for leaf in _names(group)] + [group]:
                        try:
                            os.rmdir(path)
                        except OSError:
                            pass  # a file, or a group that still holds processes

    def join(self):
        """Moves this process in; what it forks is in there from birth."""
        for controller, path in list(self.directories.items()):
            try:
                _write(path + "/cgroup.procs", "0")
            except OSError:
                del self.directories[controller]

    def leave(self):
        """Moves this process out again, to where it came from."""
        for path in self.directories.values():
            try:
                _write(os.path.dirname(path) + "/cgroup.procs", "0")
            except OSError:
                pass

    def open(self):
        """Opens what is written for every task, before the way there is shut off."""
        if self.version == 1:
            names = {
                "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
                "pids": ("pids.max",),
            }
        else:
            names = {"memory": ("memory.max", "memory.swap.max", "memory.events"), "pids": ("pids.max",)}
        for controller, path in self.directories.items():
            for name in names[controller]:
                try:
                    flags = os.O_RDONLY if name.endswith(("control", "events")) else os.O_RDWR
                    self._files[name] = os.open(path + "/" + name, flags | os.O_CLOEXEC)
                except OSError:
                    pass

    def has(self, controller):
        return controller in self.directories

    def limit_memory(self, amount):
        """Sets the memory that all processes together may have, swap included; None: no limit."""
        if self.version == 2:
            self._set("memory.max", "max" if amount is None else amount)
            self._set("memory.swap.max", "max" if amount is None else 0)
            return
        # Memory and swap together may never be less than memory alone, not even for a moment.
        names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        for name in reversed(names) if amount is None else names:
            self._set(name, -1 if amount is None else amount)

    def limit_processes(self, count):
        self._set("pids.max", "max" if count is None else count)

    def _set(self, name, value):
        if name in self._files:
            os.pwrite(self._files[name], str(value).encode(), 0)

    def oom_kills(self):
        for name in ("memory.oom_control", "memory.events"):
            if name in self._files:
                return _oom_kills(os.pread(self._files[name], 4096, 0))
        return 0

    def remove(self):
        for path in set(self.directories.values()):
            try:
                os.rmdir(path)
            except OSError:
                pass  # a process that cannot be killed holds it


class Walls:
    """What stands around one supervisor's tasks."""

    def __init__(self, config, cgroup):
        self.config, self.cgroup = config, cgroup
        uid, _, gid = config.get("user").partition(":")
        self.user = (int(uid), int(gid or uid)) if uid else None
        self.names = ["session"]
        self.boxed = config.get("walls") == "container"
        # Whether we are the init of a PID namespace, so that every other process in it is the task's.
        self.alone = self.boxed and os.getpid() == 1
        self.as_root = os.geteuid() == 0
        self.memory = self.processes = None
        self.default_processes = int(config.get("processes", "0"))

    def contained(self):
        return self.config.get("isolation") == "contained"

    def unshare(self):
        """Enters new namespaces, which take effect in the next child; returns whether there are any."""
        if self.as_root:
            return KERNEL.unshare(Kernel.NEWNS | Kernel.NEWPID)
        uid, gid = os.geteuid(), os.getegid()
        if not KERNEL.unshare(Kernel.NEWUSER | Kernel.NEWNS | Kernel.NEWPID):
            return False
        KERNEL.set_dumpable(1)  # else the maps below belong to root
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", "%d %d 1" % (uid, uid))
            _write("/proc/self/gid_map", "%d %d 1" % (gid, gid))
        except OSError:
            os._exit(3)  # in a namespace without users nothing works; who forked us does without
        self.names.append("user_ns")
        return True

    def settle(self):
        """Sets up the new namespaces from inside."""
        KERNEL.mount(None, "/", None, Kernel.REC | Kernel.PRIVATE)
        if not KERNEL.mount("proc", "/proc", "proc", Kernel.NOSUID | Kernel.NODEV | Kernel.NOEXEC):
            os._exit(3)  # the other side of the wall would be in sight
        self.alone = True
        self.names += ["pid_ns", "mount_ns"]

    def finish(self):
        """Puts up the rest, once every file is open that we need."""
        self.cgroup.open()
        if self.alone:
            for path in self.config.get_all("hide"):
                self._hide(path)
            if self.as_root and not self.boxed:
                self._hide("/sys/fs/cgroup")
        elif KERNEL.adopt_orphans():
            self.names.append("subreaper")
        if resource:
            limit(resource.RLIMIT_CORE, 0)
            self.names.append("rlimits")
        self.names += ["cgroup_" + controller for controller in sorted(self.cgroup.directories)]
        if self.contained() and KERNEL.forbid_new_privileges():
            self.names.append("no_new_privs")
            if self.alone and KERNEL.drop_capabilities(Kernel.KEPT_CAPABILITIES if self.as_root else ()):
                self.names.append("capabilities_dropped")
        if self.user:
            self.names.append("user_%d" % self.user[0])
        self._report = block([("isolation", ",".join(self.names))])
        self.cgroup.limit_processes(self._process_limit(None))
        if self.guarded():
            KERNEL.set_dumpable(0)

    def guarded(self):
        """Whether we keep out of the reach of our tasks, who may be the same user."""
        return self.contained() or self.boxed

    def report(self):
        """What is said of these walls with each verdict."""
        return self._report + b"memory=inferred\0" if self.memory and not self.cgroup.has("memory") else self._report

    def change_user(self):
        """Becomes the user whom tasks run as; runs in the task's process."""
        supervisor, (uid, gid) = os.getppid(), self.user
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        if not self.alone:
            KERNEL.die_with(supervisor)  # the change has undone this and the next
        KERNEL.set_dumpable(1)

    def spare_from_oom(self, adjustment):
        if self.as_root:
            try:
                _write("/proc/self/oom_score_adj", adjustment)
            except OSError:
                pass

    def _hide(self, path):
        if os.path.isdir(path):
            flags = Kernel.NOSUID | Kernel.NODEV | Kernel.NOEXEC | Kernel.RDONLY
            hidden = KERNEL.mount("d8", path, "tmpfs", flags, b"size=0,mode=000")
        elif os.path.exists(path):
            hidden = KERNEL.mount("/dev/null", path, None, Kernel.BIND)
        else:
            return
        if not hidden:
            sys.stderr.write("cannot hide %s from tasks: %s\n" % (path, KERNEL.error()))

    def raise_for(self, header):
        """Sets the limits of one task that are set from outside it; returns why it cannot be limited so, if it cannot."""
        self.memory, self.processes = header.number("memory_bytes"), header.number("processes")
        if self.processes and not self.counts_processes() and self.as_root and not self.user:
            return "limits.processes: cannot be had: the slave runs as root and has no pids cgroup"
        if self.cgroup.has("memory") and self.memory:
            self.cgroup.limit_memory(self.memory)
            self.spare_from_oom("-1000")  # the task is forked already: of its memory it dies, not we
        if self.processes:
            self.cgroup.limit_processes(self._process_limit(self.processes))
        return None

    def _process_limit(self, asked):
        count = asked or self.default_processes
        return count + 1 if count else None  # we are in there, too

    def counts_processes(self):
        return self.cgroup.has("pids")

    def lower(self):
        """Takes the limits of the last task back."""
        if self.memory and self.cgroup.has("memory"):
            self.cgroup.limit_memory(None)
            self.spare_from_oom("0")
        if self.processes:
            self.cgroup.limit_processes(self._process_limit(None))
        self.memory = self.processes = None

    def oom_kills(self):
        """How often the kernel ended a process here for memory; counted where somebody may ask."""
        if self.memory and self.cgroup.has("memory"):
            return self.cgroup.oom_kills()
        if self.boxed:  # the cgroup is the task's own
            for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):  # v2, v1
                try:
                    return _oom_kills(_text(path).encode())
                except OSError:
                    pass
        return 0

    def limit(self, header):
        """Sets the limits that a process sets for itself and its children; runs in the task's process."""
        if not resource:
            return
        if header.number("cpu_seconds"):
            limit(resource.RLIMIT_CPU, header.number("cpu_seconds"), 1)  # the hard limit kills what ignores SIGXCPU
        if header.number("file_bytes") is not None:
            limit(resource.RLIMIT_FSIZE, header.number("file_bytes"))
        if header.number("memory_bytes") and not self.cgroup.has("memory"):
            limit(resource.RLIMIT_AS, header.number("memory_bytes"))
        count = header.number("processes") or (self.default_processes if "user_ns" in self.names else 0)
        if count and not self.counts_processes():
            # Inside a namespace of users the kernel counts its own: beside the task the supervisor and, where that was
            # spawned, who forked it. Elsewhere it counts all of the user's, the slave's among them.
            companions = 2 if self.config.get("mode") == "task" else 1
            limit(resource.RLIMIT_NPROC, count + (companions if "user_ns" in self.names else 0))


def limit(which, value, slack=0):
    _, hard = resource.getrlimit(which)
    most = value + slack if hard == resource.RLIM_INFINITY else min(value + slack, hard)
    resource.setrlimit(which, (min(value, most), most))


class Pairs:
    """`name=value` pairs, as they travel in a frame."""

    def __init__(self, payload):
        pairs = [pair.partition(b"=") for pair in payload.split(b"\0")[:-1]]
        self._pairs = [(name.decode(), os.fsdecode(value)) for name, _, value in pairs]
        self._last = dict(self._pairs)

    def __contains__(self, name):
        return name in self._last

    def __bool__(self):
        return bool(self._pairs)

    def get(self, name, otherwise=""):
        return self._last.get(name, otherwise)

    def get_all(self, name):
        return [value for key, value in self._pairs if key == name]

    def number(self, name):
        value = self._last.get(name)
        return None if value is None else int(value)


def block(fields):
    return b"".join(os.fsencode("%s=%s\0" % field) for field in fields)


class Parked:
    """A task's process that waits for its task, as its supervisor sees it."""

    def __init__(self, pid, order, stdin, stdout, stderr):
        self.pid, self.order, self.stdin, self.stdout, self.stderr = pid, order, stdin, stdout, stderr

    def hand_over(self, order):
        """Gives it its task; False if it has died while it waited."""
        try:
            while order:
                order = order[os.write(self.order, order) :]
            return True
        except OSError:
            return False

    def trouble(self):
        """Why it could not become its task, once it has ended; empty if it could."""
        try:
            return os.read(self.order, CHUNK)
        except OSError:
            return b""

    def close(self):
        for fd in (self.order, self.stdin, self.stdout, self.stderr):
            if fd is not None:
                os.close(fd)


class Watch:
    """One task, from its start to the end of the last process that it leaves behind."""

    def __init__(self, supervisor, parked, task):
        self.link, self.walls, self.poller = supervisor.link, supervisor.walls, supervisor.poller
        self.parked, self.pid = parked, parked.pid
        self.ending = supervisor.watch_end(parked.pid)  # becomes readable when the task's main process has ended
        self.stdin = task.stdin
        self.room = {parked.stdout: task.output_bytes, parked.stderr: task.output_bytes}
        self.total = {parked.stdout: 0, parked.stderr: 0}
        self.kinds = {parked.stdout: b"O", parked.stderr: b"E"}
        self.streams = parked.stdout, parked.stderr
        self.polled = {}  # what of it all is polled, and for what
        self.began = time.monotonic()
        self.hush_until = self.began + HUSH
        self.deadline = self.began + task.timeout
        self.ended = self.kill_at = self.why = self.status = self.usage = None
        self.leftover = 0
        self.clean = False  # whether no process of it is left
        self.oom_before = self.walls.oom_kills()

    def run(self):
        self._poll_for(self.ending, select.POLLIN)
        self._poll_for(self.link.fd_in, select.POLLIN)
        if self.stdin:
            os.set_blocking(self.parked.stdin, False)
            self._poll_for(self.parked.stdin, select.POLLOUT)
        else:
            self._close_stdin()
        self._wait(self.hush_until)  # most tasks are over by then, and all that they wrote is read in one go
        os.set_blocking(self.parked.stdout, False)
        os.set_blocking(self.parked.stderr, False)
        while not self._over():
            self._wait(self._arrange())
        self.ended = time.monotonic()
        self.leftover = len(self._sweep())
        self._drain()
        for fd in [fd for fd in self.polled if self.polled[fd]]:
            self._poll_for(fd, 0)

    def _over(self):
        """Collects the dead and looks at the time; returns whether the main process has ended."""
        self._reap()
        if self.status is not None:
            return True
        now = time.monotonic()
        if self.why is None:
            if self.link.gone or self.link.cancelled:
                self._terminate(b"cancelled", now + (ORPHAN_GRACE if self.link.gone else TERM_GRACE))
            elif now >= self.deadline:
                self._terminate(b"timeout", now + TERM_GRACE)
        elif self.link.gone and self.kill_at is not None:
            self.kill_at = min(self.kill_at, now + ORPHAN_GRACE)
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            self._sweep()
        return self.status is not None

    def _arrange(self):
        """Sees to it that everything is polled that there is something to do for now; returns until when."""
        now, link = time.monotonic(), self.link
        if link.unsent and not link.stuck and now - link.oldest_unsent >= LINGER:
            link.flush()
        # What cannot be sent is not read either: then the pipes fill, and the task waits.
        reading = select.POLLIN if link.gone or len(link.unsent) < BACKLOG else 0
        for fd in self.kinds:
            self._poll_for(fd, reading)
        hearing = 0 if link.gone else select.POLLIN
        writing = select.POLLOUT if link.stuck and not link.gone else 0
        if link.fd_in == link.fd_out:
            self._poll_for(link.fd_in, hearing | writing)
        else:
            self._poll_for(link.fd_in, hearing)
            self._poll_for(link.fd_out, writing)
        if link.unsent and not link.stuck:
            return now + LINGER
        until = self.kill_at if self.kill_at is not None else self.deadline if self.why is None else now + REAP
        return min(until, now + REAP)

    def _wait(self, until):
        for fd, events in self.poller.poll(max(0, (until - time.monotonic()) * 1000 + 0.5)):
            if fd in self.kinds:
                self._pump(fd)
            elif fd == self.parked.stdin:
                self._feed()
            elif fd != self.ending:
                if events & select.POLLOUT:
                    self.link.flush()
                if events & ~select.POLLOUT and fd == self.link.fd_in:
                    self.link.listen()

    def _poll_for(self, fd, events):
        if self.polled.get(fd, 0) != events:
            if events:
                self.poller.register(fd, events)
            else:
                self.poller.unregister(fd)
            self.polled[fd] = events

    def _pump(self, fd):
        """Moves one chunk of output; returns whether there was one."""
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._poll_for(fd, 0)
            del self.kinds[fd]
            return False
        self.total[fd] += len(chunk)
        kept = chunk[: self.room[fd]]
        if kept:
            self.room[fd] -= len(kept)
            self.link.say(self.kinds[fd], kept)
        return True

    def _feed(self):
        try:
            self.stdin = self.stdin[os.write(self.parked.stdin, self.stdin[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self.stdin = b""  # the task closed its stdin
        if not self.stdin:
            self._close_stdin()

    def _close_stdin(self):
        self._poll_for(self.parked.stdin, 0)
        os.close(self.parked.stdin)
        self.parked.stdin = None

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
            self.clean = True
            return False

    def _tree(self):
        """Every process of the task that still runs: our descendants, and whoever is in its session."""
        me, parents, found, dead = os.getpid(), {}, set(), set()
        for pid, state, parent, session in processes():
            parents[pid] = parent
            if session == self.pid or (self.walls.alone and pid != me):
                found.add(pid)
            if state in (b"Z", b"X"):
                dead.add(pid)  # still a link in the tree, but no process to end
        for pid in parents:
            ancestor, steps = parents[pid], 0
            while ancestor > 1 and ancestor != me and steps < 1000:  # pids are reused: a snapshot may hold a ring
                ancestor, steps = parents.get(ancestor, 0), steps + 1
            if ancestor == me:
                found.add(pid)
        return found - dead

    def _signal_all(self, number):
        targets = self._tree()
        if self.walls.alone:
            _kill(-1, number)  # all in one go, so that nothing can fork its way around it
            return targets
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
        killed = set()
        if self.clean:
            return killed
        give_up = time.monotonic() + SWEEP
        while self._reap() and time.monotonic() < give_up:
            killed |= self._signal_all(_signal.SIGKILL)
            if self._reap():
                time.sleep(0.0005)
        return killed

    def _drain(self):
        until = time.monotonic() + DRAIN
        while self.kinds:
            for fd in list(self.kinds):
                while self._pump(fd):
                    if len(self.link.unsent) >= BACKLOG and not self.link.gone:
                        self.link.finish()
            # What is open still is held by a process beyond our reach.
            if not self.kinds or time.monotonic() >= until:
                return
            select.select(list(self.kinds), [], [], max(0, until - time.monotonic()))

    def verdict(self):
        usage, status = self.usage, self.status
        verdict = b"wall_us=%d\0user_us=%d\0system_us=%d\0rss_bytes=%d\0stdout_bytes=%d\0stderr_bytes=%d\0leftover=%d\0" % (
            (self.ended - self.began) * 1e6,
            usage.ru_utime * 1e6,
            usage.ru_stime * 1e6,
            usage.ru_maxrss * RSS_UNIT,
            self.total[self.streams[0]],
            self.total[self.streams[1]],
            self.leftover,
        )
        if status:
            verdict += b"oom=%d\0" % (self.walls.oom_kills() - self.oom_before)
        if os.WIFSIGNALED(status):
            verdict += b"signal=%d\0" % os.WTERMSIG(status)
        else:
            verdict += b"exit=%d\0" % os.WEXITSTATUS(status)
        if self.why:
            verdict += b"why=%s\0" % self.why
        return verdict + self.walls.report()


class Order:
    """A task as it comes over the link: how long it may run, what of its output is kept, the order for its process and
    its standard input. The order is all that the process itself needs: u32 and u32 length, header, source."""

    def __init__(self, payload):
        self.timeout = int.from_bytes(payload[:8], "big") / 1e6
        self.output_bytes = int.from_bytes(payload[8:16], "big")
        head = 24 + int.from_bytes(payload[16:20], "big")
        end = head + int.from_bytes(payload[20:24], "big")
        self.header = Pairs(payload[24:head])
        self.order, self.stdin = payload[16:end], payload[end:]


class Supervisor:
    """Serves one task after the other. Runs no code of theirs, so it may outlive them."""

    def __init__(self, link, walls):
        self.link, self.walls = link, walls
        self.once = walls.config.get("mode") == "task"
        _signal.pthread_sigmask(_signal.SIG_BLOCK, DEAF_TO)
        self.poller = select.poll()
        try:
            os.close(os.pidfd_open(os.getpid()))
            self.wake = None
            sleep_on_child()
        except (AttributeError, OSError):
            self.wake = wake_on_child()
        # Without us a task is ended by the kernel in a namespace of ours, and by the agent that nobody has walled off.
        self.orphans_live = not walls.alone and (walls.contained() or self.once)
        self.started = block([("python", sys.version.split()[0])])
        self.served = 0
        self.most_pages = (walls.config.number("memory") or 0) // resource.getpagesize() if resource else 0

    def watch_end(self, pid):
        """Returns what becomes readable when a child ends."""
        return os.pidfd_open(pid) if self.wake is None else self.wake

    def serve(self):
        """Returns in a task's process only, with its order."""
        task = None
        while True:
            parked = self._park()
            if type(parked) is bytes:
                return parked
            again, task = task, task or self.link.task()
            if task is None:
                os._exit(0)  # the kernel ends the parked process: as ours in a namespace, as its parent's death elsewhere
            trouble = self._refusal(task)
            if trouble:
                _kill(parked.pid, _signal.SIGKILL)
                os.waitpid(parked.pid, 0)
            else:
                # Before the order: a task of which the slave has not heard that it started has certainly not started.
                # Whom nobody else would end without us: the kernel does in a namespace of ours, and elsewhere the agent.
                pid = b"pid=%d\0" % parked.pid if self.once and not self.walls.alone else b""
                self.link.say(b"A", self.started + pid)
                self.link.flush()
                if parked.hand_over(task.order):
                    trouble = self._watch(parked, task)
                elif again is None:
                    os.waitpid(parked.pid, 0)
                    parked.close()
                    continue  # somebody has killed what waited; once more, and then it is no accident
                else:
                    os.waitpid(parked.pid, 0)
                    trouble = "the process that waited for the task was killed, twice"
            if trouble:
                self.link.say(b"F", os.fsencode(trouble))
            task = None
            parked.close()
            self.link.finish()
            if self.once or self._worn():
                os._exit(0)

    def _worn(self):
        """Whether a fresh supervisor should take our place: we are forked anew for little, and never shrink."""
        self.served += 1
        if self.served % 64 or not self.most_pages:
            return False
        return int(_text("/proc/self/statm").split()[1]) > self.most_pages

    def _refusal(self, task):
        """Why a task cannot be started, before anything of it has run."""
        if self.link.cancelled:
            return "cancelled before it started"
        if not task.header:
            return None
        directory = task.header.get("working_dir")
        if directory:
            here = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.chdir(directory)
                entered = os.stat(".")
                os.fchdir(here)
            except OSError as error:
                return "working_dir: %s: %s" % (directory, error.strerror)
            finally:
                os.close(here)
            # Whoever mounted it by its name may have followed a link that came later than the look at where it leads.
            if task.header.get("working_dir_is", None) not in (None, "%d:%d" % (entered.st_dev, entered.st_ino)):
                return "working_dir: %s: changed while it was mounted, or is not the slave's" % directory
        return self.walls.raise_for(task.header)

    def _watch(self, parked, task):
        """Sees a task to its end and tells the verdict; returns why it could not become its task, if it could not."""
        watch = Watch(self, parked, task)
        watch.run()
        if self.wake is None:
            os.close(watch.ending)
        trouble = parked.trouble()
        if not trouble:
            self.link.say(b"X", watch.verdict())
        self.walls.lower()
        if not watch.clean:
            self.link.finish()
            os._exit(0)  # a process that cannot be killed is no company for the next task
        return os.fsdecode(trouble)

    def _park(self):
        """Forks the next task's process. Returns a Parked; in that process, once there is one, its order."""
        ours, theirs = [end.detach() for end in _socket.socketpair()]
        (stdin_r, stdin_w), (stdout_r, stdout_w), (stderr_r, stderr_w) = os.pipe(), os.pipe(), os.pipe()
        supervisor, pid = os.getpid(), os.fork()
        if pid:
            for fd in (theirs, stdin_r, stdout_w, stderr_w):
                os.close(fd)
            return Parked(pid, ours, stdin_w, stdout_r, stderr_r)
        # Each page that is touched from here on costs a fault and a copy, 2 to 3 us; they are most of a small task's time.
        os.setsid()
        if self.orphans_live:
            KERNEL.die_with(supervisor)
        if self.walls.guarded():
            KERNEL.set_dumpable(1)
        os.dup2(stdin_r, 0)
        os.dup2(stdout_w, 1)
        os.dup2(stderr_w, 2)
        os.dup2(theirs, ORDER, False)
        os.closerange(ORDER + 1, HIGHEST_FD)
        if self.wake is not None:
            sleep_on_child()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        order = os.read(ORDER, CHUNK)
        if len(order) < 8:
            os._exit(0)  # the supervisor is gone
        missing = 8 + int.from_bytes(order[:4], "big") + int.from_bytes(order[4:8], "big") - len(order)
        return order + _read_exactly(ORDER, missing) if missing else order


def become(order, walls):
    """Makes this process the task's, as the header of the order asks; returns the source."""
    end = 8 + int.from_bytes(order[:4], "big")
    try:
        if walls.user:
            walls.change_user()
        if end > 8 or "user_ns" in walls.names:
            header = Pairs(order[8:end])
            prepare(header, walls)
            if "fresh" in header:
                start_anew(order)
    except OSError as error:
        os.write(ORDER, os.fsencode(str(error)))
        os._exit(1)
    os.close(ORDER)
    if not KEEPS_RESOURCE:
        sys.modules.pop("resource", None)  # os.wait4 imports it, so a supervisor keeps it at hand
    sys.path[:] = TASK_PATH
    return order[end:]


ANEW = """import marshal
with open(%d,'rb') as f: p,o=f.read(%d),f.read()
exec(marshal.loads(p[1:]) if p[:1]==b'c' else compile(p[1:],'<d8-agent>','exec'),{'__name__':'d8_agent','inherited':o})
"""


def start_anew(order):
    """Has an interpreter take our place that reads the task's variables while it starts. Only here, behind the walls: what
    they name is code of the task's."""
    data = PROGRAM + order
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("d8")
    else:
        import tempfile

        fd, name = tempfile.mkstemp()
        os.unlink(name)
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    os.dup2(fd, ORDER)
    os.execv(sys.executable, [sys.executable, "-c", ANEW % (ORDER, len(PROGRAM))])


def take_over():
    """Becomes the task that our process was about to become before us; returns the source."""
    end = 8 + int.from_bytes(INHERITED[:4], "big")
    take_arguments(Pairs(INHERITED[8:end]))
    sys.path[:] = TASK_PATH
    return INHERITED[end:]


def take_arguments(header):
    arguments = header.get_all("arg")
    sys.argv += arguments
    ORIGINAL_ARGUMENTS.extend(arguments)


def prepare(header, walls):
    walls.limit(header)
    for variable in header.get_all("env"):
        name, _, value = variable.partition("=")
        os.environ[name] = value
    take_arguments(header)
    directory = header.get("working_dir")
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise OSError("working_dir: %s: %s" % (directory, error.strerror)) from None


def compile_task(source):
    text = source.decode("utf-8", "surrogateescape")
    ORIGINAL_ARGUMENTS[2] = text
    # From 3.13 on tracebacks of -c show source lines: the task's, not those that read us.
    ours = LINECACHE and LINECACHE.cache.pop("<string>", None)
    code = compile(text + "\n", "<string>", "exec", dont_inherit=True)
    if LINECACHE:
        LINECACHE._register_code("<string>" if ours else code, text, "<string>")  # by name in the first releases
    return code


def look_like_python_c():
    """Makes this interpreter look as `python -c` leaves it to a program; returns the names that the program starts with."""
    for name in list(sys.modules):
        if name not in BASE_MODULES and name not in PRELOADED and name != "resource":
            del sys.modules[name]
    sys.argv = ["-c"]
    names = sys.modules["__main__"].__dict__
    return {name: value for name, value in names.items() if name.startswith("__") and name.endswith("__")}


def new_main():
    """Returns the module that the program becomes. Not the one of -c, which the frames that read us hold, and not one made
    before the fork, which the collector leaves alone: at the end of the program it has to go."""
    main = type(sys)("__main__")
    main.__dict__.update(MAIN_NAMES)
    if "__annotations__" in MAIN_NAMES:
        main.__dict__["__annotations__"] = {}
    sys.modules["__main__"] = main
    return main.__dict__


class Agent:
    """The loaded interpreter that forks supervisors. It runs no task, connects them to the slave, and reaps."""

    def __init__(self, config, secret, control):
        self.config, self.secret, self.control = config, secret, control
        self.supervisors = {}
        self.count = 0
        self.namespaces = config.get("namespaces") == "auto"
        self.places, self.version = Cgroup.find() if config.get("isolation") == "contained" else ({}, 0)
        self.group = Cgroup.name()
        Cgroup.sweep(self.places)
        self.wake = wake_on_child()
        _signal.pthread_sigmask(_signal.SIG_BLOCK, DEAF_TO)
        KERNEL.adopt_orphans()
        KERNEL.set_dumpable(0)

    def serve(self):
        """Returns in a supervisor's process only, with that."""
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.wake, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                if fd == self.wake:
                    os.read(fd, CHUNK)
                    self._reap()
                    continue
                orders = os.read(fd, CHUNK)
                if not orders:
                    self._close()
                for _ in orders:
                    supervisor = self._fork()
                    if supervisor is not None:
                        return supervisor

    def _fork(self):
        self.count += 1
        cgroup = Cgroup.make(self.places, self.version, "%s/%d" % (self.group, self.count))
        link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            link.connect(self.config.get("socket"))
            link.sendall(self.secret)
        except OSError:
            cgroup.remove()
            return None  # the slave is about to stop; the end of our standard input follows
        walls = Walls(self.config, cgroup)
        told_r, told_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told_r)
            for index in range(len(self.secret)):
                self.secret[index] = 0  # what runs in a child of ours must not find it
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, self.control)  # not closed: 0 to 2 are never another descriptor's numbers
            os.close(nothing)
            cgroup.join()
            fd = link.detach()
            if self.namespaces and walls.unshare():
                inner = os.fork()
                if inner:
                    os.write(told_w, b"%d" % inner)
                    os._exit(0)
                walls.settle()
            else:
                os.write(told_w, b"0")
            os.close(told_w)
            walls.finish()
            return Supervisor(Link(fd, fd), walls)
        os.close(told_w)
        inner = int(os.read(told_r, 32) or b"-1")
        os.close(told_r)
        link.close()
        if inner > 0:
            self.supervisors[inner] = cgroup
            os.waitpid(pid, 0)
        elif inner == 0:
            self.supervisors[pid] = cgroup
        else:
            os.waitpid(pid, 0)
            cgroup.remove()
            self.namespaces = False  # they can be made, but not lived in
            return self._fork()
        return None

    def _reap(self):
        try:
            while True:
                pid, status, _ = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    break
                cgroup = self.supervisors.pop(pid, None)
                if cgroup:
                    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 3:
                        self.namespaces = False
                    self._end_orphans()
                    cgroup.remove()
        except ChildProcessError:
            pass

    def _end_orphans(self):
        """Ends what a supervisor left that died before its task: it is our child now, and no supervisor."""
        me = os.getpid()
        for pid, _, parent, _ in processes():
            if parent == me and pid not in self.supervisors:
                _kill(pid, _signal.SIGKILL)

    def _close(self):
        """The slave is gone: the supervisors have noticed, too, and end their tasks; one that was stopped is ended."""
        until = time.monotonic() + ORPHAN_GRACE + 0.5
        while self.supervisors and time.monotonic() < until:
            select.select([self.wake], [], [], max(0, until - time.monotonic()))
            try:
                os.read(self.wake, CHUNK)
            except BlockingIOError:
                pass
            self._reap()
        until = time.monotonic() + SWEEP
        while time.monotonic() < until:
            for pid in list(self.supervisors):
                _kill(pid, _signal.SIGKILL)
            self._end_orphans()
            self._reap()
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.005)
            except ChildProcessError:
                break
        for cgroup in self.supervisors.values():
            cgroup.remove()
        Cgroup.sweep(self.places)
        Cgroup({name: place + "/" + self.group for name, place in self.places.items()}, self.version).remove()
        os._exit(0)


def wake_on_child():
    """Returns a descriptor that becomes readable whenever a child has ended."""
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    _signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, lambda number, frame: None)
    return readable


def sleep_on_child():
    """Undoes `wake_on_child`, which a fork inherits."""
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)


def processes():
    """Every process of this machine, or of this namespace: pid, state, parent, session."""
    for name in _names("/proc"):
        if name.isdigit():
            try:
                fd = os.open("/proc/" + name + "/stat", os.O_RDONLY)
                try:
                    stat = os.read(fd, 4096)
                finally:
                    os.close(fd)
            except OSError:
                continue
            state, parent, _, session = stat[stat.rindex(b")") + 2 :].split()[:4]
            yield int(name), state, int(parent), int(session)


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass


def _names(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _text(path):
    with open(path, "rb", 0) as file:
        return os.fsdecode(file.read())


def _lines(path):
    return _text(path).splitlines()


def _write(path, value):
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _below(root, path):
    """Where a cgroup is below a mount that shows only a part of the tree."""
    path = path[len(root) :] if root != "/" and path.startswith(root) else path
    return "" if path == "/" else path


def _oom_kills(text):
    for line in text.splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


def _read_exactly(fd, count):
    data = b""
    while len(data) < count:
        chunk = os.read(fd, count - len(data))
        if not chunk:
            os._exit(0)  # who would have written it is gone
        data += chunk
    return data


def exit_code(error, code):
    """Does what `python -c` does with an exception that nobody caught; `code` is the task's, the rest of the trace ours.
    Returns the exit status; None stands for an end by SIGINT."""
    if isinstance(error, SystemExit):
        KERNEL.flush()
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
    if sys.version_info >= (3, 12):
        sys.last_exc = error
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
    return None if isinstance(error, KeyboardInterrupt) else 1


def finish(status):
    """Ends the process as the interpreter does, in all that a program can see of that, without the rest, which costs ten
    times as much. The order is that of Py_FinalizeEx and finalize_modules in CPython 3.11."""
    modules, weak = sys.modules, []
    at_exit = modules.get("atexit", atexit)  # before 3.10 each instance of the module has callbacks of its own
    if len(modules) == MODULES and not atexit._ncallbacks() and not any(map(_may_run_code, gc.get_objects())):
        end(status, _flush(), os._exit)  # nothing is there that could run, and no C code that could have buffered
    threading = modules.get("threading")
    if threading:
        try:
            threading._shutdown()
        except BaseException as error:
            _unraisable(error, threading)
    try:
        at_exit._run_exitfuncs()
    except BaseException:
        pass  # told already; 3.9 throws it again
    at_exit = None
    whole = _flush()
    sys.is_finalizing = lambda: True
    if threading and len(threading._active) > 1:
        sys.setswitchinterval(1000)  # daemon threads have had their time
    threading = None
    gc.collect()
    for name in SYS_DELETES:
        sys.__dict__[name] = None
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    for name, module in list(modules.items()):
        if name not in BASE_MODULES or name == "__main__":
            try:
                weak.append(_weakref.ref(module))
            except TypeError:
                pass  # anything may stand in sys.modules
        modules[name] = None
    module = None
    modules.clear()
    for name in [name for name in BUILTINS if name not in BUILTINS_BEFORE]:
        del BUILTINS[name]
    gc.collect()
    for reference in reversed(weak):
        module = reference()
        if isinstance(module, type(sys)):
            _clear(module.__dict__)
        module = None
    _flush(quiet=True)
    end(status, whole, KERNEL.exit)


def end(status, whole, leave):
    if status is None:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
    leave(status & 0xFF if whole else 120)


SYS_DELETES = (
    "path argv ps1 ps2 last_exc last_type last_value last_traceback path_hooks path_importer_cache meta_path".split()
)
BUILTINS = sys.modules["builtins"].__dict__
BUILTINS_BEFORE = frozenset(BUILTINS)


# Objects of these types run no code when they go; a task with others, or with modules, is ended by the long way.
PASSIVE = frozenset((dict, list, tuple, set, frozenset, type(look_like_python_c), type(KERNEL.exit), type(sys)))


def _may_run_code(thing):
    return type(thing) not in PASSIVE


def _clear(names):
    for private in (True, False):
        for name, value in list(names.items()):
            if value is not None and name != "__builtins__" and (name[:1] == "_" != name[1:2]) == private:
                names[name] = value = None


def _flush(quiet=False):
    """Flushes both outputs as the interpreter does at its end; returns whether all of it could be written."""
    whole = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except BaseException as error:
            whole = False
            if stream is sys.stdout and not quiet:
                if sys.version_info >= (3, 13):
                    _unraisable(error, None, "Exception ignored on flushing sys.stdout")
                else:
                    _unraisable(error, stream)
    return whole


def unraisable_type():
    """Returns what `sys.unraisablehook` is called with, which has no public name."""
    seen = []

    class Culprit:
        def __del__(self):
            raise ValueError

    before, sys.unraisablehook = sys.unraisablehook, lambda unraisable: seen.append(type(unraisable))
    Culprit()
    sys.unraisablehook = before
    return seen[0]


UNRAISABLE = unraisable_type()


def _unraisable(error, about, message=None):
    sys.unraisablehook(UNRAISABLE((type(error), error, None, message, about)))


def start():
    """Reads the configuration and becomes what it says. Returns in a supervisor's process only, with that."""
    global PRELOADED, KEEPS_RESOURCE, MAIN_NAMES, FAST, MODULES
    if INHERITED is not None:
        PRELOADED, KEEPS_RESOURCE, FAST = frozenset(), "resource" in BASE_MODULES, False
        if not KEEPS_RESOURCE:
            sys.modules.pop("resource", None)
        MAIN_NAMES, MODULES = look_like_python_c(), len(BASE_MODULES)
        return None
    head = _read_exactly(0, 5)
    config = Pairs(_read_exactly(0, int.from_bytes(head[:4], "big")))
    FAST = config.get("finalize") != "full"
    PRELOADED = preload(config.get_all("preload"))
    KEEPS_RESOURCE = "resource" in BASE_MODULES or "resource" in PRELOADED
    MAIN_NAMES = look_like_python_c()
    MODULES = len(BASE_MODULES | PRELOADED)
    if config.get("mode") == "task":
        return serve_one(config)
    secret = bytearray(32)
    if os.readv(0, [secret]) < len(secret):
        os._exit(0)
    compile("0", "", "exec")  # makes the compiler's types, which every task would else make anew
    return Agent(config, secret, 0).serve()


def serve_one(config):
    """Serves the one task that comes on standard input; as in an agent, but with nobody else to put up the walls."""
    walls = Walls(config, Cgroup({}, 0))
    if walls.contained():
        places, version = Cgroup.find()
        Cgroup.sweep(places)
        walls.cgroup = Cgroup.make(places, version, Cgroup.name())
        walls.cgroup.join()
        unshared = config.get("namespaces") == "auto" and walls.unshare()
        inner = os.fork()
        if inner:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, DEAF_TO)
            KERNEL.set_dumpable(0)
            walls.cgroup.leave()
            os.waitpid(inner, 0)
            walls.cgroup.remove()
            os._exit(0)
        KERNEL.die_with_parent()
        if unshared:
            walls.settle()
    walls.finish()
    return Supervisor(Link(0, 1, config.number("patience")), walls)


def preload(names):
    """Imports modules that every task then finds loaded; returns all that this has loaded."""
    before = set(sys.modules)
    sys.path[:] = TASK_PATH[1:]  # without the working directory, whose modules are a task's
    for name in names:
        __import__(name)
        if len(os.listdir("/proc/self/task")) > 1:
            raise SystemExit("%s starts a thread, so it cannot be preloaded: threads do not survive a fork" % name)
    return frozenset(sys.modules) - before


supervisor, order = start(), None
if supervisor:
    gc.collect()
    gc.freeze()
    order = supervisor.serve()  # returns in a process that a task shall have
names, code, status = None, None, 0
try:
    source = become(order, supervisor.walls) if supervisor else take_over()
    names = new_main()
    code = compile_task(source)
    exec(code, names)
except BaseException as uncaught:
    status = exit_code(uncaught, code)
names = code = None
if FAST or status is None:
    finish(status)
if status:
    raise SystemExit(status)
