"""`scripts/bench calm`: a loaded machine is no reason to suspend or move anything (goal G18)."""

import subprocess
import time

from . import figures
from .failover import NODES, WAIT_S, pause
from .prober import Prober
from .watch import all_well, group_of, log_entries, wait_status

PYTHON = "/usr/bin/python3"
MEMORY = "import os\nblock = bytearray(512 << 20)\nwhile True:\n for at in range(0, len(block), 4096): block[at] ^= 1"
FSYNC = "import os\nf = os.open('/var/lib/kagami/load', os.O_WRONLY | os.O_CREAT, 0o600)\n" \
        "while True: os.pwrite(f, b'x' * (1 << 20), 0); os.fsync(f)"
BUSY = "while True: pass"
COUNTED = {"suspended": "suspensions", "group-failover": "moves", "group-move-started": "moves", "elected": "elections",
           "lease-lost": "leases_lost"}  # codes of decisions


def is_settled(status):
    """Complete, and the leadership has gone to the node that serves: a planned hand-over is no sign of unrest."""
    return all_well(status) and status["leader"] == group_of(status)["current_node"]


def load(cluster):
    """4 busy loops, one process that touches 512 MiB, one that writes and syncs; half of it on each node."""
    programs = [("node1", BUSY), ("node1", BUSY), ("node2", BUSY), ("node2", BUSY), ("node1", MEMORY), ("node1", FSYNC),
                ("node2", FSYNC)]
    return [cluster.popen(node, [PYTHON, "-c", text], stdin=subprocess.DEVNULL) for node, text in programs]


def measure(cluster, screen, seconds):
    """(rows, failures)"""
    screen.passing("  the cluster comes up ...")
    cluster.up()
    wait_status(cluster, "node1", is_settled, WAIT_S, "the cluster complete, led by the node that serves")
    with Prober(cluster) as prober:
        prober.wait_served(WAIT_S)
        begin = time.time()
        running = load(cluster)
        try:
            for past in range(0, seconds, 5):
                screen.passing(f"  under load {past}/{seconds} s ...")
                pause(min(5, seconds - past))
        finally:
            for process in running:
                process.kill()
                process.wait(10)
        gap_s, _ = prober.gap(begin)
        entries = [entry for node in NODES for entry in log_entries(cluster, node, begin)]
    counts = {name: 0 for name in COUNTED.values()}
    for entry in entries:
        if entry["code"] in COUNTED:
            counts[COUNTED[entry["code"]]] += 1
    rows = [figures.row("calm", name, "times", count, goal="0") for name, count in counts.items()]
    rows.append(figures.row("calm", "longest_gap", "s", gap_s))
    rows.append(figures.row("calm", "two_sides_served", "times", prober.both_sides(), goal="0"))
    wrong = [f"{counts[name]} {name} under load" for name in ("suspensions", "moves") if counts[name]]
    return rows, wrong + prober.complaints()
