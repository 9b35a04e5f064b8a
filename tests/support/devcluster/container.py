"""One machine of a development cluster: a process tree in namespaces of its own (net, mount, pid, ipc, uts, time).

Its process 1 is kagami-node-init. DIR/NAME/{etc,var} are the machine's disk (/etc/kagami, /var/lib/kagami) and survive a
loss of power; /run and /dev/shm are new at every boot, and so are the boot id and the clocks: BOOTTIME and MONOTONIC start
near zero, with another offset on every machine, so that stamps compared across machines or boots show as nonsense.
"""

import json
import os
import pathlib
import random
import select
import shutil
import signal
import subprocess
import time
import uuid

from . import layout, mirrors
from .cgroup import Cgroup
from .errors import DevClusterError
from .run import NSENTER, PYTHON, SETPRIV, SHELL, UNSHARE
from .wait import wait_until

WATCHDOG = "/run/kagami/watchdog.sock"
NAMESPACES = ["--net", "--mount", "--pid", "--ipc", "--uts", "--time"]
IN_CGROUP = [SHELL, "-c", 'echo 0 >"$0" && exec "$@"']  # followed by a cgroup.procs and the command
DEATH_S = 10


class Container:
    """Handle on a machine. `identity` is {"pid", "start"} of its process 1 as kept in the state file, or None."""

    def __init__(self, paths, name, bin_directory, environment, identity=None):
        self.paths = paths
        self.name = name
        self.bin = pathlib.Path(bin_directory)
        self.cgroup = Cgroup(paths.cluster_name, name)
        self.extra_environment = environment
        self.identity = identity
        self._launcher = None

    def environment(self):
        return {
            "PATH": f"{self.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "KAGAMI_CGROUP_ROOT": str(self.cgroup.groups),
            "KAGAMI_WATCHDOG": WATCHDOG,
            **self.extra_environment,
        }

    # --- life ---

    def start(self, init_arguments):
        """Makes the namespaces. The machine waits for its cables; release() lets it go on."""
        for path in (self.paths.etc(self.name), self.paths.var(self.name), self.paths.log(self.name)):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.paths.boot_id(self.name).write_text(f"{uuid.uuid4()}\n")
        self.cgroup.create()
        # Programs enter the cgroup through the bind of the host's /sys, which every machine shares.
        argv = [str(self.bin / "kagami-node-init"), "--log", "/run/kagami/log", "--cgroup", str(self.cgroup.system)]
        plan = {
            "name": self.name,
            "etc": str(self.paths.etc(self.name)),
            "var": str(self.paths.var(self.name)),
            "log": str(self.paths.log(self.name)),
            "disks": str(self.paths.disks(self.name)) if self.paths.disks(self.name).exists() else "",
            "disk_directory": layout.DISK_DIRECTORY,
            "boot_id": str(self.paths.boot_id(self.name)),
            "first_pid": self._first_pid(),
            "argv": argv + init_arguments,
            "environment": self.environment(),
        }
        words = IN_CGROUP + [str(self.cgroup.init / "cgroup.procs"), UNSHARE, *NAMESPACES, *self._clock_arguments()]
        words += ["--fork", "--", PYTHON, "-I", str(pathlib.Path(__file__).with_name("inside.py")), json.dumps(plan)]
        with open(self._launch_log(), "wb") as log:
            self._launcher = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                              start_new_session=True)
        line = self._launcher.stdout.readline()
        if not line:
            raise DevClusterError(f"{self.name} could not be started: {self._launch_log().read_text().strip()}")
        pid = int(line)
        self.identity = {"pid": pid, "start": start_stamp(pid)}
        return self.identity

    def release(self):
        """Cables are in: becomes process 1. Returns when the watchdog's socket is there."""
        self._launcher.stdin.write("go\n")
        self._launcher.stdin.close()
        self._launcher.stdout.close()
        socket_path = pathlib.Path(f"/proc/{self.identity['pid']}/root{WATCHDOG}")
        wait_until(lambda: socket_path.exists() or not self.is_running(), 10, f"process 1 of {self.name}", 0.002)
        if not self.is_running():
            log = self.paths.log(self.name, "node-init")
            text = (log.read_text() if log.exists() else "") + self._launch_log().read_text()
            raise DevClusterError(f"process 1 of {self.name} ended at once: {text.strip()[-2000:]}")

    def cut_power(self):
        """SIGKILL for process 1: the kernel ends the whole tree. Returns at once."""
        if self.is_running():
            served = mirrors.connections([self.identity["pid"]])
            os.kill(self.identity["pid"], signal.SIGKILL)
            mirrors.abort(served)

    def start_service(self):
        """Process 1 starts the programs that ended on purpose."""
        os.kill(self.identity["pid"], signal.SIGUSR1)

    def bury(self):
        """Waits for the end after cut_power() and removes what is left outside. The cgroup goes first: the kernel keeps
        process 1 until every process inside is reaped, and a stopped nsenter does not reap its own."""
        self.cgroup.remove()
        if self.identity:
            wait_for_end(self.identity, DEATH_S, self.name)
        if self._launcher:
            self._launcher.wait(DEATH_S)
        self.identity = None

    def is_running(self):
        return self.identity is not None and start_stamp(self.identity["pid"]) == self.identity["start"]

    def erase(self):
        shutil.rmtree(self.paths.machine(self.name), ignore_errors=True)

    # --- commands inside ---

    def command(self, argv):
        """The words that run argv inside. The inner process dies with the outer one (nsenter forwards no signals)."""
        if not self.is_running():
            raise DevClusterError(f"{self.name} is off; boot it first")
        enter = [NSENTER, "--target", str(self.identity["pid"]), *NAMESPACES, "--wd=/", "--"]
        inner = [SETPRIV, "--pdeathsig", "KILL", "--", *[str(word) for word in argv]]
        return IN_CGROUP + [str(self.cgroup.system / "cgroup.procs")] + enter + inner

    def _launch_log(self):
        return self.paths.machine(self.name) / "launch.log"

    def _first_pid(self):
        return 2000 + 2000 * (list(layout.HOST_OF).index(self.name)) + random.randrange(1000)

    def _clock_arguments(self):
        start_s = 100 * (1 + list(layout.HOST_OF).index(self.name)) + random.randrange(50)
        boot = start_s - int(time.clock_gettime(time.CLOCK_BOOTTIME))
        monotonic = start_s - int(time.clock_gettime(time.CLOCK_MONOTONIC))
        return ["--boottime", str(boot), "--monotonic", str(monotonic)]


PF_EXITING = 4  # linux/sched.h; process 1 in this state has killed everything inside already


def start_stamp(pid):
    """With the process id it names one process for ever; None when it has ended or is ending."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    ended = fields[0] in "ZX" or int(fields[6]) & PF_EXITING
    return None if ended else int(fields[19])


def wait_for_end(identity, timeout_s, name):
    try:
        handle = os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return
    try:
        if start_stamp(identity["pid"]) not in (None, identity["start"]):
            return
        if not select.select([handle], [], [], timeout_s)[0]:
            raise DevClusterError(f"{name}: process 1 ({identity['pid']}) did not end within {timeout_s} s")
    finally:
        os.close(handle)
