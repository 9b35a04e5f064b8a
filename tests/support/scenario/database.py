"""The demo's group `db` (devcluster/config.py): a client that commits rows and knows which were acknowledged (dbclient.py),
and operations on the group, its mirror disk md1 and its PostgreSQL.

All times are seconds since 1970: the machines have one wall clock.
"""

import bisect
import json
import os
import pathlib
import signal
import subprocess
import time

from devcluster import wait_until
from devcluster.config import DB_FLOATING
from devcluster.layout import CLIENT

from .records import Records
from .watch import group_of

GROUP = "db"
RESOURCE = "postgres"
MIRROR = "md1"
PROGRAM = pathlib.Path(__file__).with_name("dbclient.py")
PYTHON = "/usr/bin/python3"


class Committer(Records):
    """The client. Use as a context manager."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.acknowledged = []  # {"n", "wall", "ms", "server"} in the order of their arrival
        self.walls = []
        self.errors = []
        program = [PYTHON, "-B", str(PROGRAM), DB_FLOATING]
        super().__init__(cluster, CLIENT, program, cluster.paths.log(CLIENT) / "commits.jsonl")

    def take(self, record):
        if "n" in record:
            self.acknowledged.append(record)
            self.walls.append(record["wall"])
        else:
            self.errors.append(record)

    def after(self, since):
        self.read()
        return self.acknowledged[bisect.bisect_right(self.walls, since):]

    def wait_commit(self, timeout_s, by=None, since=0.0):
        """The first commit acknowledged after `since`, by one node or by any."""
        def first():
            self.check()
            return next((c for c in self.after(since) if by in (None, c["server"])), None)

        return wait_until(first, timeout_s, f"a commit acknowledged by {by or 'PostgreSQL'} on {DB_FLOATING}", 0.02)

    def gap(self, since, until=None):
        """The longest time without an acknowledged commit, from the last one before `since` on."""
        self.read()
        first = max(bisect.bisect_right(self.walls, since) - 1, 0)
        walls = [wall for wall in self.walls[first:] if until is None or wall <= until] + [until or time.time()]
        return max((later - earlier for earlier, later in zip(walls, walls[1:])), default=0.0)

    def longest_stall(self, since):
        """Of a single commit, seconds."""
        return max((commit["ms"] for commit in self.after(since)), default=0.0) / 1000

    def serving(self):
        """The server of the newest acknowledged commit."""
        self.read()
        return self.acknowledged[-1]["server"] if self.acknowledged else None

    def servers(self, since):
        return {commit["server"] for commit in self.after(since)}

    def lost(self):
        """The acknowledged numbers that the table does not hold."""
        self.read()
        numbers = {commit["n"] for commit in self.acknowledged}
        return sorted(numbers - present(self.cluster))


def present(cluster):
    done = cluster.exec(CLIENT, [PYTHON, "-B", str(PROGRAM), DB_FLOATING, "present"], check=True)
    return {int(line) for line in done.stdout.split()}


def is_online(status):
    group = group_of(status, GROUP)
    return group is not None and group["state"] == "Online"


def move(cluster, to):
    moment = time.time()
    cluster.kagami(to, "group", "move", GROUP, "--to", to, "--wait", "--timeout", "120s")
    return moment


def kill_service(cluster, node):
    """SIGKILL for all of PostgreSQL. Returns the moment."""
    procs = cluster.group_cgroup(node) / GROUP / RESOURCE / "cgroup.procs"
    moment = time.time()
    for pid in procs.read_text().split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass  # a backend whose postmaster was faster
    return moment


def kill_driver(cluster, node):
    """SIGKILL for the mirror driver of a node. Returns the moment."""
    moment = time.time()
    cluster.exec(node, ["/usr/bin/pkill", "-KILL", "-x", "kagami-mirrord"], check=True)
    return moment


def postmaster(cluster, node):
    """The process id of PostgreSQL's first process on the node."""
    procs = cluster.group_cgroup(node) / GROUP / RESOURCE / "cgroup.procs"
    return min(map(int, procs.read_text().split()), default=None)


# --- the mirror ---

def mirror_status(cluster, node, name=MIRROR):
    """The entry of `kagami mirror status NAME --json`; None while there is none."""
    done = cluster.exec(node, ["kagami", "mirror", "status", name, "--json"])
    if not done.stdout.startswith("{"):
        return None
    return next((mirror for mirror in json.loads(done.stdout)["mirrors"] if mirror["name"] == name), None)


def standing(cluster, node, of):
    """What the register says of a node's copy, as `node` tells it."""
    mirror = mirror_status(cluster, node)
    return next((copy["standing"] for copy in mirror["copies"] if copy["node"] == of), None) if mirror else None


def in_sync(mirror):
    """Both copies current and connected, nothing to copy."""
    return (mirror is not None and mirror["state"] == "Normal" and mirror["connected"] and mirror["resync"] is None
            and all(copy["standing"] == "current" and copy["dirty_bytes"] == 0 for copy in mirror["copies"]))


def own_copy(cluster, node, name=MIRROR):
    """What the driver of a node says of itself; None while it does not answer."""
    mirror = mirror_status(cluster, node, name)
    return next((copy for copy in mirror["copies"] if copy["node"] == node), None) if mirror else None


def wait_in_sync(cluster, node, timeout_s, name=MIRROR):
    return wait_until(lambda: in_sync(status := mirror_status(cluster, node, name)) and status, timeout_s,
                      f"mirror {name} in sync; see `kagami mirror status` on {node}", 0.1)


def copied_bytes(cluster, node):
    """What the driver of a node has copied in resyncs since it was started."""
    own = own_copy(cluster, node)
    return own["counters"]["copied_bytes"] if own and own["counters"] else 0


def differing_blocks(cluster):
    """Blocks of 4 KiB in which the two replicas differ. Only while nobody writes."""
    paths = [cluster.paths.disks(node) / "md1.data" for node in cluster.node_names]
    differing = 0
    with open(paths[0], "rb") as one, open(paths[1], "rb") as other:
        while True:
            a, b = one.read(1 << 22), other.read(1 << 22)
            if not a and not b:
                return differing
            if a != b:
                differing += sum(a[i:i + 4096] != b[i:i + 4096] for i in range(0, max(len(a), len(b)), 4096))


def take_backup(cluster, node):
    """Copies the disks and the state of a node that is off: what an administrator's image holds."""
    where = cluster.paths.machine(node)
    for part in ("disks", "var"):
        subprocess.run(["/bin/cp", "-a", "--sparse=always", where / part, where / f"backup-{part}"], check=True)


def restore_backup(cluster, node):
    """Puts the copy back while the node is off: onto the same disks, as a person writes an image back."""
    where = cluster.paths.machine(node)
    subprocess.run(["/bin/rm", "-rf", where / "var"], check=True)
    subprocess.run(["/bin/cp", "-a", where / "backup-var", where / "var"], check=True)
    for disk in sorted((where / "disks").iterdir()):
        subprocess.run(["/bin/cp", "--sparse=always", where / "backup-disks" / disk.name, disk], check=True)
