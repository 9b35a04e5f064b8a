"""The control groups of a machine: <cgroup2 mount>/kagami.dev/CLUSTER/MACHINE/{init,system,groups}.

init holds process 1 and the launcher, system the node's programs and what `exec` runs, groups is KAGAMI_CGROUP_ROOT.
Only cgroup2 is used: the version 1 freezer cannot kill what it froze.
"""

import errno
import os
import pathlib

from . import mirrors
from .errors import DevClusterError
from .wait import wait_until


def mount_point():
    for candidate in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(f"{candidate}/cgroup.procs") and os.path.exists(f"{candidate}/cgroup.controllers"):
            return pathlib.Path(candidate)
    raise DevClusterError("no cgroup2 mount at /sys/fs/cgroup/unified or /sys/fs/cgroup; mount -t cgroup2 none PATH")


def state_of(pid):
    """The kernel's letter for it; None when it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


class Cgroup:
    def __init__(self, cluster, machine):
        self.top = mount_point() / "kagami.dev" / cluster / machine
        self.init = self.top / "init"
        self.system = self.top / "system"
        self.groups = self.top / "groups"

    def create(self):
        self.remove()
        for path in (self.init, self.system, self.groups):
            self._make(path)

    def remove(self):
        """Ends whatever is left in it."""
        if not self.top.exists():
            return
        served = mirrors.connections(self._processes())
        (self.top / "cgroup.kill").write_text("1")
        mirrors.abort(served)
        wait_until(lambda: self._event("populated") == "0", 10, f"{self.top} to be empty")
        for path, _, _ in os.walk(self.top, topdown=False):
            os.rmdir(path)
        self._remove_if_empty(self.top.parent)
        self._remove_if_empty(self.top.parent.parent)

    def freeze(self, watchdog_runs):
        """Everything stops, process 1 (the watchdog) only if it is not to run on."""
        for path in (self.system, self.groups) if watchdog_runs else (self.top,):
            (path / "cgroup.freeze").write_text("1")
        if not watchdog_runs:
            # Who waits for a disk whose driver stands still already is not frozen, and does nothing either.
            wait_until(lambda: self._event("frozen") == "1" or self._waits_for_disk(), 5, f"{self.top} to be frozen")

    def thaw(self):
        for path in (self.top, self.system, self.groups):
            (path / "cgroup.freeze").write_text("0")

    def is_frozen(self):
        paths = (self.top, self.system)
        return any(p.exists() and (p / "cgroup.freeze").read_text().strip() == "1" for p in paths)

    def _processes(self):
        return [pid for procs in self.top.rglob("cgroup.procs") for pid in procs.read_text().split()]

    def _waits_for_disk(self):
        return any(state_of(pid) == "D" for pid in self._processes())

    def _event(self, key):
        words = dict(line.split() for line in (self.top / "cgroup.events").read_text().splitlines())
        return words[key]

    @staticmethod
    def _make(path, tries=100):
        """Another cluster that goes may take kagami.dev away in the moment before something is in it."""
        try:
            path.mkdir(parents=True)
        except FileNotFoundError:
            if tries == 0:
                raise
            Cgroup._make(path, tries - 1)

    @staticmethod
    def _remove_if_empty(path):
        try:
            path.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT):
                raise
