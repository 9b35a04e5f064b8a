"""`scripts/bench mirror`: fio on the raw file, on the mirror's device while the node is alone (front end, log and bitmap, no peer),
and on the device with its peer. Each round measures all three one after the other, so that the ratios belong to one run."""

import json
import statistics

from devcluster import DevClusterError, config, wait_until
from devcluster.layout import DISK_DIRECTORY

from . import database, figures
from .watch import group_of, wait_status

NODES = ["node1", "node2"]
DISK_BYTES = 1 << 30
DISKS = {"md1.data": DISK_BYTES, "md1.meta": config.METADATA_BYTES, "raw.data": DISK_BYTES}
WAIT_S = 120
# name: fio's words, and which of its figures counts
CASES = {
    "write 4 KiB qd1": (["--rw=randwrite", "--bs=4k", "--iodepth=1"], "write"),
    "write 4 KiB qd32": (["--rw=randwrite", "--bs=4k", "--iodepth=32"], "write"),
    "write 1 MiB": (["--rw=write", "--bs=1m", "--iodepth=4"], "write"),
    "write 4 KiB + fsync": (["--rw=randwrite", "--bs=4k", "--iodepth=1", "--fsync=1"], "write"),
    "read 4 KiB qd32": (["--rw=randread", "--bs=4k", "--iodepth=32"], "read"),
}
# mirror.md 8, TLS on: against the same front end without a peer
GOALS = {"write 4 KiB qd1": ">= 0.50", "write 4 KiB qd32": ">= 0.55", "write 1 MiB": ">= 0.30", "write 4 KiB + fsync": ">= 0.60",
         "read 4 KiB qd32": ">= 0.95"}
GROUP = """
[[group]]
name = "db"
nodes = ["node1", "node2"]
[[group.resource]]
type = "md"
name = "md1"
filesystem = "none"
data = "DISKS/md1.data"
metadata = "DISKS/md1.meta"
"""


def configuration(profile):
    return config.base(NODES, True, profile, mirror=True) + GROUP.replace("DISKS", DISK_DIRECTORY)


def fio(cluster, path, words, key, seconds):
    """Bytes a second."""
    common = ["--name=bench", f"--filename={path}", "--ioengine=libaio", "--direct=1", "--time_based", f"--runtime={seconds}",
              "--output-format=json", f"--size={DISK_BYTES}", "--randrepeat=0", "--norandommap"]
    done = cluster.exec("node1", ["/usr/bin/fio", *common, *words], check=True)
    return json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0][key]["bw_bytes"]


def fill(cluster, path):
    """So that no later write pays for new blocks of the file underneath."""
    cluster.exec("node1", ["/usr/bin/dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={DISK_BYTES >> 20}", "oflag=direct",
                           "conv=notrunc,fsync"], check=True)


def device(cluster):
    return wait_until(lambda: (own := database.own_copy(cluster, "node1")) and own["device"], WAIT_S,
                      "the device of md1 on node1")


def on_node1(status):
    group = group_of(status, database.GROUP)
    return group["state"] == "Online" and group["current_node"] == "node1"


def with_peer(cluster, wanted):
    if wanted and not cluster.is_running("node2"):
        cluster.boot("node2")
    if not wanted and cluster.is_running("node2"):
        cluster.kill("node2")
        wait_until(lambda: database.own_copy(cluster, "node1")["mode"] == "solo", WAIT_S, "md1 alone on node1")
    if wanted:
        database.wait_in_sync(cluster, "node1", WAIT_S)


def measure(cluster, screen, rounds, seconds):
    screen.passing("  the cluster comes up ...")
    cluster.up()
    wait_status(cluster, "node1", on_node1, WAIT_S, "db Online on node1")
    raw, mirror = f"{DISK_DIRECTORY}/raw.data", device(cluster)
    for path in (raw, mirror):
        fill(cluster, path)
    results = {name: {"raw": [], "alone": [], "mirrored": []} for name in CASES}
    for n in range(1, rounds + 1):
        for target in ("raw", "mirrored", "alone"):
            with_peer(cluster, target != "alone")
            for name, (words, key) in CASES.items():
                screen.passing(f"  round {n}/{rounds}: {target}, {name} ...")
                results[name][target].append(fio(cluster, raw if target == "raw" else mirror, words, key, seconds))
    if not results:
        raise DevClusterError("nothing was measured")
    return [row for name, series in results.items() for row in rows(name, series)]


def rows(name, series):
    """Throughput of each target, and the ratios of the same round."""
    for target, values in series.items():
        yield figures.row(name, target, "MiB/s", [value / (1 << 20) for value in values])
    ratios = {"alone / raw": ("alone", "raw", ""), "mirrored / raw": ("mirrored", "raw", ""),
              "mirrored / alone": ("mirrored", "alone", GOALS[name])}
    for what, (upper, lower, goal) in ratios.items():
        values = [a / b for a, b in zip(series[upper], series[lower])]
        yield figures.row(name, what, "x", statistics.median(values), goal=goal)
