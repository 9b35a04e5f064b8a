"""Operations on the demo's group `web` (devcluster/config.py): floating address, nginx, process monitor."""

import os
import signal
import statistics
import time

from devcluster import DevClusterError
from devcluster.config import WEB_START, WEB_STOP
from devcluster.layout import CLIENT

from .watch import group_of, node_of

GROUP = "web"
RESOURCE = "nginx"


def service_pids(cluster, node, group=GROUP, resource=RESOURCE):
    """Process ids of a resource on the node (nginx), as the host counts them."""
    procs = cluster.group_cgroup(node) / group / resource / "cgroup.procs"
    try:
        return [int(pid) for pid in procs.read_text().split()]
    except OSError:  # the cgroup comes and goes with the resource
        return []


def kill_service(cluster, node):
    """SIGKILL for all of nginx. Returns the moment."""
    pids = service_pids(cluster, node)
    if not pids:
        raise DevClusterError(f"no process of {GROUP}/{RESOURCE} on {node}")
    moment = time.time()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # a worker whose master was faster
    return moment


def move(cluster, to):
    """`kagami group move`, waiting for its end. Returns the moment of the command."""
    moment = time.time()
    cluster.kagami(to, "group", "move", GROUP, "--to", to, "--wait", "--timeout", "60s")
    return moment


def stop_cluster(cluster, node):
    cluster.kagami(node, "cluster", "stop", "--yes", "--wait", "--timeout", "60s")


def daemon_runs(cluster, machine):
    return cluster.exec(machine, ["/usr/bin/pgrep", "-x", "kagamid"]).returncode == 0


def other_node(cluster, node):
    return next(name for name in cluster.node_names if name != node)


def path_is_bad(status, other, network):
    """Whether the answering node reports the path to `other` on a network as not Normal."""
    node = node_of(status, other)
    paths = [path for path in node["paths"] if path["network"] == network] if node else []
    return any(path["state"] != "Normal" for path in paths)


def is_online(status):
    group = group_of(status, GROUP)
    return group is not None and group["state"] == "Online"


OWN_TIMES = """
for run in 1 2 3 4 5; do
    a=$EPOCHREALTIME
    /bin/sh -c "$START" & pid=$!
    until (exec 3<>/dev/tcp/127.0.0.1/80) 2>/dev/null; do :; done
    b=$EPOCHREALTIME
    /bin/sh -c "$STOP"
    wait $pid
    echo "$a $b $EPOCHREALTIME"
done
"""


def own_times(cluster):
    """Seconds that nginx needs by itself, without a cluster: (to answer after its start, to be gone after its stop), medians
    of five runs in the client machine."""
    environment = {"START": WEB_START, "STOP": WEB_STOP}
    done = cluster.exec(CLIENT, ["/bin/bash", "-c", OWN_TIMES], check=True, env=environment)
    stamps = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    return statistics.median(b - a for a, b, _ in stamps), statistics.median(c - b for _, b, c in stamps)


def runs_unsuspended(cluster, node, group=GROUP, resource=RESOURCE):
    """Whether a resource (nginx) lives on the node and is not frozen."""
    top = cluster.group_cgroup(node) / group
    frozen = [path for path in (top, top / resource) if (path / "cgroup.events").exists()
              and "frozen 1" in (path / "cgroup.events").read_text()]
    return bool(service_pids(cluster, node, group, resource)) and not frozen
