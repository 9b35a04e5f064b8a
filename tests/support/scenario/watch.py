"""What the cluster says about itself: `kagami status --json --watch` of one node, and its decision log."""

import json
import subprocess
import threading
import time

from devcluster import DevClusterError


def node_of(status, name):
    return next((node for node in status["nodes"] if node["name"] == name), None)


def group_of(status, name="web"):
    return next((group for group in status["groups"] if group["name"] == name), None)


def is_member(status, name):
    node = node_of(status, name)
    return node is not None and node["member_state"] == "MEMBER" and node["state"] == "Online" and node["lease"]


def all_well(status):
    """Every node a member with a lease, the witness counted, every group Online."""
    witness = status["witness"]
    return (status["quorum"] and all(is_member(status, node["name"]) for node in status["nodes"])
            and (not witness or (witness["state"] == "Normal" and witness["weight"] > 0))
            and all(group["state"] == "Online" for group in status["groups"]))


def describe(status):
    """One line for an error message."""
    if status is None:
        return "no status yet"
    nodes = ", ".join(f"{n['name']} {n['member_state']}/{n['state']}{'' if n['lease'] else ' (no lease)'}" for n in status["nodes"])
    groups = ", ".join(f"{g['name']} {g['state']}{' on ' + g['current_node'] if g['current_node'] else ''}" for g in status["groups"])
    witness = status["witness"] or {}
    return f"{nodes}; witness {witness.get('state', 'none')} weight {witness.get('weight', 0)}; {groups}"


class StatusStream:
    """The status of one node's daemon as it changes. Use as a context manager."""

    def __init__(self, cluster, node):
        self.node = node
        self.status = None
        self._changed = threading.Condition()
        self._ended = False
        self._process = cluster.popen(node, ["kagami", "status", "--json", "--watch"], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self.status = json.loads(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self._process.kill()
        self._process.wait(10)
        self._thread.join(10)
        self._process.stdout.close()
        self._process.stderr.close()

    def wait(self, check, timeout_s, what):
        """time.time() of the moment in which check(status) was first seen to be true."""
        def seen():
            return self._ended or (self.status is not None and check(self.status))

        with self._changed:
            self._changed.wait_for(seen, timeout_s)
            if self.status is not None and check(self.status):
                return time.time()
            status = self.status
        ended = f"; the daemon of {self.node} ended the answer" if self._ended else ""
        raise DevClusterError(f"not seen within {timeout_s:g} s: {what}{ended}. Status on {self.node}: {describe(status)}")


def wait_status(cluster, node, check, timeout_s, what):
    """As StatusStream.wait, with a stream of its own; waits for the daemon of the node too."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with StatusStream(cluster, node) as stream:
                return stream.wait(check, max(deadline - time.monotonic(), 0.1), what)
        except DevClusterError:
            if time.monotonic() >= deadline:
                raise
            threading.Event().wait(0.05)


def log_entries(cluster, node, since=0.0):
    """The node's decisions since a moment (time.time()), oldest first."""
    done = cluster.exec(node, ["kagami", "log", "--json", "--limit", "100000"], check=True)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [entry for entry in entries if entry["time_unix_ms"] / 1000 >= since]
