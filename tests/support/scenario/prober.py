"""A running kagami-prober in the client machine, and what its answers say (tests/support/prober/report.h).

All times are seconds since 1970, as time.time() gives them: the machines have clocks of their own, but one wall clock.
"""

import bisect
import time

from devcluster import wait_until
from devcluster.config import FLOATING

from .records import Records

SERVICE = "service"
PORT = 80


# A machine that goes on after a pause runs for T_guard before its guard stops the group (assumption A4): what was asked until then
# may be answered. When the answer arrives does not matter, the network may hold it up.
GUARD_S = 0.05


def thawed(cluster, node):
    """Lets the machine go on; (node, before, after), between which it did."""
    before = time.time()
    cluster.thaw(node)
    return node, before, time.time()


class Prober(Records):
    """Asks the floating address and every node's own address (net1). Use as a context manager."""

    def __init__(self, cluster, machine="client", interval_ms=10):
        self.answers = []  # of the floating address, in the order of their arrival: {"wall", "ok", "server" or "error", "ms"}
        self.walls = []  # of the same
        self.sightings = []  # {"wall", "both_sides": [names]}
        self.direct = {node: [] for node in cluster.node_names}  # the good answers on the nodes' own addresses
        self.summary = None
        targets = {SERVICE: FLOATING, **{node: cluster.address(node) for node in cluster.node_names}}
        words = [f"{name}={address}:{PORT}" for name, address in targets.items()]
        program = ["kagami-prober", "--until-eof", "--interval", str(interval_ms), *words]
        super().__init__(cluster, machine, program, cluster.paths.log(machine) / "prober.jsonl")

    def take(self, record):
        if "summary" in record:
            self.summary = record["summary"]
        elif "both_sides" in record:
            self.sightings.append(record)
        elif record["target"] == SERVICE:
            self.answers.append(record)
            self.walls.append(record["wall"])
        elif record["ok"]:
            self.direct[record["target"]].append(record)

    def after(self, since):
        """The answers that came after a moment."""
        return self.answers[bisect.bisect_right(self.walls, since):]

    def wait_served(self, timeout_s, by=None, since=0.0, what=None):
        """The first good answer after `since`, from the node `by` or from any."""
        def first():
            self.check()
            return next((a for a in self.after(since) if a["ok"] and by in (None, a["server"])), None)

        return wait_until(first, timeout_s, what or f"an answer of {by or 'the service'} on {FLOATING}", 0.02)

    def wait_seen_until(self, wall, timeout_s=5):
        """Until the client's answers reach past a moment, so that a verdict about the time before it is possible."""
        def reached():
            self.check()
            return self.walls and self.walls[-1] >= wall

        wait_until(reached, timeout_s, "the client's answers", 0.02)

    def serving(self):
        """The server of the newest good answer."""
        self.read()
        return next((a["server"] for a in reversed(self.answers) if a["ok"]), None)

    def gap(self, since, until=None):
        """The longest time without a good answer: (seconds, its start). It may start with the last good answer before
        `since`, and last until now."""
        self.read()
        first = bisect.bisect_right(self.walls, since)
        while first > 0 and not self.answers[first - 1]["ok"]:
            first -= 1
        good = [a["wall"] for a in self.answers[max(first - 1, 0):] if a["ok"] and (until is None or a["wall"] <= until)]
        if self.walls and until is None:
            good.append(self.walls[-1])
        return max(((later - earlier, earlier) for earlier, later in zip(good, good[1:])), default=(0.0, since))

    def servers(self, since):
        self.read()
        return {a["server"] for a in self.after(since) if a["ok"]}

    def both_sides(self, since=0.0, thaws=()):
        """How often two sides began to serve at once. `thaws`: thawed() of each pause that ended."""
        self.read()
        return sum(1 for s in self.sightings if s["wall"] > since and not any(self.in_last_moment(s["wall"], *t) for t in thaws))

    def in_last_moment(self, wall, node, begun, ended):
        """Whether what the node had answered last was asked before its guard had to have stopped it."""
        answer = next((a for a in reversed(self.direct[node]) if a["wall"] <= wall), None)
        return wall >= begun and answer is not None and answer["wall"] - answer["ms"] / 1000 <= ended + GUARD_S

    def complaints(self):
        """A sentence for each time that two sides began to serve at once."""
        self.read()
        return [f"{' and '.join(s['both_sides'])} served at once at {s['wall']:.3f}" for s in self.sightings]
