"""scripts/bench: measures a real cluster on this machine against the goals of docs (P1, P2, P3, P4, P8, P10, P11, P13; G18)."""

import argparse
import signal
import sys

from devcluster import DevCluster, DevClusterError

from . import calm, failover, figures, mirror_bench, sizes
from .prepare import prepare, show_logs
from .screen import BOLD, Screen

DEFAULT_DIR = "/var/tmp/kagami-bench"

DESCRIPTION = """\
Measures a real cluster of two nodes and a witness, each in a container of its own on this machine. A client asks the
floating address every 10 ms with a new connection. Installs and builds what it needs first; needs root."""

FAILOVER = """\
Cases: node_kill (power loss of the serving node: gap until the other answers) and rejoin (until the dead node is a member
again), service_kill (nginx killed: until the monitor says so, and gap), planned_move (gap), cold_start (clean start of the
whole cluster until the first answer), idle (CPU and memory of all our processes on each node). With --mirror there is a
mirror disk in the group, beside it a second group with PostgreSQL on another one, and one case more: standby_kill (power loss
of the other node: the longest time without an acknowledged commit)."""

MIRROR = """\
fio on the raw file, on the mirror's device without its peer, and with it: throughput, and the ratios of each round."""

SIZE = """\
Two nodes with one group and with many groups of dummy resources: from the start of the daemons, from a node's leaving and from its
loss of power until every group is Online. Then clusters of 2, 4, 8 ... nodes: forming, the leader's loss of power, cost of a node
while nothing happens."""

CALM = """\
Loads the machine (4 busy loops, memory and fsync pressure) and counts suspensions and moves: both must be 0."""


def parser():
    top = argparse.ArgumentParser(prog="scripts/bench", description=DESCRIPTION,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="failover|calm|mirror|size")

    def verb(name, text, profiles):
        sub = verbs.add_parser(name, help=text.splitlines()[0], description=text,
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.add_argument("--profile", default="lan", choices=profiles, help="timing profile (default lan)")
        sub.add_argument("--json", metavar="FILE", help="write the figures")
        sub.add_argument("--dir", default=DEFAULT_DIR, help=f"directory of the cluster (default {DEFAULT_DIR})")
        return sub

    fail = verb("failover", FAILOVER, ("fast", "lan", "vm"))
    fail.add_argument("--runs", type=count, default=20, metavar="N", help="runs of each case (default 20; cold_start: a quarter)")
    fail.add_argument("--case", action="append", choices=failover.CASES, metavar="CASE", help="only this case; may be repeated")
    fail.add_argument("--idle-seconds", type=count, default=60, metavar="N", help="length of the idle case (default 60)")
    fail.add_argument("--mirror", action="store_true", help="with mirror disks and PostgreSQL")
    speed = verb("mirror", MIRROR, ("fast", "lan"))
    speed.add_argument("--rounds", type=count, default=3, metavar="N", help="(default 3)")
    speed.add_argument("--seconds", type=count, default=3, metavar="N", help="of each measurement (default 3)")
    size = verb("size", SIZE, ("fast", "lan"))
    size.add_argument("--groups", type=count, default=100, metavar="N", help="(default 100)")
    size.add_argument("--nodes", type=int, choices=range(2, 17), default=16, metavar="N", help="(default 16)")
    size.add_argument("--seconds", type=count, default=20, metavar="N", help="of the idle measurement (default 20)")
    verb("calm", CALM, ("fast", "lan", "vm")).add_argument("--seconds", type=count, default=60, metavar="N",
                                                            help="how long (default 60)")
    return top


def count(text):
    if not text.isdigit() or not 1 <= int(text) <= 10000:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 10000")
    return int(text)


def cells(row):
    name = " ".join(filter(None, (row["figure"], row.get("node"))))
    goal = row.get("goal", "")
    if "value" in row:
        return (row["case"], name, "1", "", figures.text(row["value"], row["unit"]), "", "", goal)
    spread = [figures.text(row[key], row["unit"]) for key in ("min", "median", "p99", "max")]
    return (row["case"], name, row["n"], *spread, goal)


def show(screen, rows):
    screen.line()
    screen.line(figures.table(("case", "figure", "n", "min", "median", "p99", "max", "goal"), [cells(row) for row in rows]))


def make_cluster(args):
    if args.verb == "mirror":
        text, scripts, disks = mirror_bench.configuration(args.profile), {}, mirror_bench.DISKS
    else:
        text, scripts, disks = failover.configuration(args.profile, getattr(args, "mirror", False))
    return DevCluster(args.dir, nodes=2, profile=args.profile, config_text=text, scripts=scripts, mirror=bool(disks), disks=disks)


def measure(cluster, args, screen):
    if args.verb == "mirror":
        return mirror_bench.measure(cluster, screen, args.rounds, args.seconds), []
    if args.verb == "calm":
        return calm.measure(cluster, screen, args.seconds)
    wanted = args.case or list(failover.CASES)
    return failover.measure(cluster, screen, wanted, args.runs, args.idle_seconds)


def main():
    args = parser().parse_args()
    screen = Screen()
    prepare(screen)
    if args.verb == "size":
        return sizes.run(args, screen, show)
    cluster = make_cluster(args)
    cluster.down()
    screen.line(screen.paint(f"bench {args.verb}", BOLD) + f", profile {args.profile}")
    failed = False
    try:
        rows, failures = measure(cluster, args, screen)
    except DevClusterError as error:
        failed = True
        screen.line(f"bench: {error}")
        show_logs(screen, cluster)
    finally:
        cluster.down(keep_files=failed)
    if failed:
        return 1
    show(screen, rows)
    for text in failures:
        screen.line(f"bench: {text}")
    if args.json:
        figures.write(args.json, f"bench {args.verb}", args.profile, rows)
    return 1 if failures else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nbench: interrupted; the cluster is ended", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (DevClusterError, OSError) as error:
        sys.exit(f"bench: {error}")
