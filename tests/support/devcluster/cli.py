"""The command line of scripts/devcluster."""

import argparse
import json
import os
import sys

from .cluster import SOURCE, DevCluster
from .errors import DevClusterError

DEFAULT_DIR = os.environ.get("KAGAMI_DEV_DIR", "/var/tmp/kagami-dev")

DESCRIPTION = """\
Runs a whole Kagami cluster on this machine: every node is a container with its own network, processes, host name, clocks
and disk. Needs root and what scripts/setup installs. Machines: node1 .. nodeN, witness, client. Networks: net1, net2."""

EPILOG = f"""\
examples:
  scripts/devcluster up 2                       # two nodes and a witness
  scripts/devcluster exec node1 -- kagami status
  scripts/devcluster kill node1                 # loss of power
  scripts/devcluster boot node1
  scripts/devcluster cut node1 node2 --net net1
  scripts/devcluster down
Directory of the cluster: --dir, else $KAGAMI_DEV_DIR, else {DEFAULT_DIR}. Logs of a node: DIR/NODE/log.
Binaries: $KAGAMI_BIN, else build/release/bin."""


def parser():
    top = argparse.ArgumentParser(prog="devcluster", description=DESCRIPTION, epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, text, function):
        sub = verbs.add_parser(name, help=text, description=text)
        sub.add_argument("--dir", default=DEFAULT_DIR, help=f"directory of the cluster (default {DEFAULT_DIR})")
        sub.set_defaults(function=function)
        return sub

    up = verb("up", "build and start a cluster", do_up)
    up.add_argument("nodes", nargs="?", type=int, choices=range(2, 17), default=2, metavar="N", help="2 to 16 nodes (default 2)")
    up.add_argument("--profile", default="lan", choices=("fast", "lan", "vm", "san", "test"), help="timing profile (default lan)")
    up.add_argument("--no-witness", action="store_true", help="two nodes alone: arbitration option tie")
    up.add_argument("--config", metavar="FILE", help="cluster.toml to use instead of the built-in one")
    up.add_argument("--scripts", metavar="DIR", help="scripts to put under /etc/kagami/scripts: DIR/GROUP/RESOURCE/start.sh ...")
    up.add_argument("--mirror", action="store_true", help="a third network, mirror, between the nodes")
    up.add_argument("--bare", action="store_true", help="machines without cluster software")

    status = verb("status", "show machines, cuts and what the cluster says", do_status)
    status.add_argument("--json", action="store_true", help="machine-readable, without the cluster's own status")

    run = verb("exec", "run a command in a machine: exec NODE -- COMMAND", do_exec)
    run.add_argument("node", metavar="NODE")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")

    for name, text in (("kill", "loss of power, at once"), ("boot", "power on"), ("thaw", "let a frozen machine go on"),
                       ("freeze", "stop a whole machine, as a paused virtual machine")):
        verb(name, text, do_power).add_argument("node", metavar="NODE")

    cut = verb("cut", "lose all frames between two machines", do_cut)
    cut.add_argument("a", metavar="A")
    cut.add_argument("b", metavar="B")
    cut.add_argument("--net", metavar="NAME", help="only on this network")
    cut.add_argument("--one-way", action="store_true", help="only frames from A to B")
    verb("heal", "take back all cuts", do_heal)
    verb("down", "end the cluster and remove its files", do_down).add_argument(
        "--keep-files", action="store_true", help="leave the machines' disks and logs")
    return top


def scripts_under(directory):
    found = {}
    for path, _, names in os.walk(directory):
        for name in names:
            full = os.path.join(path, name)
            with open(full) as script:
                found[os.path.relpath(full, directory)] = script.read()
    return found


def read_text(path):
    with open(path) as file:
        return file.read()


def do_up(args):
    cluster = DevCluster(args.dir, nodes=args.nodes, witness=not args.no_witness, profile=args.profile, mirror=args.mirror,
                         bare=args.bare, config_text=read_text(args.config) if args.config else None,
                         scripts=scripts_under(args.scripts) if args.scripts else None)
    cluster.up()
    print(f"up: {', '.join(cluster.machine_names)} in {cluster.paths.top}")
    print(f"try: {SOURCE / 'scripts' / 'devcluster'} exec node1 -- kagami status")


def do_status(args):
    cluster = DevCluster.open(args.dir)
    status = cluster.status()
    if args.json:
        print(json.dumps(status, indent=2))
        return
    print(f"{status['dir']}  profile {status['profile']}")
    for name, machine in status["machines"].items():
        addresses = "  ".join(f"{n} {a}" for n, a in machine["addresses"].items())
        print(f"  {name:<8} {machine['state']:<8} {addresses}")
    for a, b, network in status["cuts"]:
        print(f"  cut: {a} -> {b} on {network}")
    if not cluster.setup["bare"]:
        show_cluster_status(cluster, status)


def show_cluster_status(cluster, status):
    for node in cluster.node_names:
        if status["machines"][node]["state"] == "running":
            done = cluster.exec(node, ["kagami", "status"])
            print(f"\n{node}: kagami status\n{done.stdout}{done.stderr}", end="")
            return


def do_exec(args):
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise DevClusterError("exec: no command given; write: devcluster exec NODE -- COMMAND")
    words, environment = DevCluster.open(args.dir).command(args.node, command)
    sys.stdout.flush()
    os.execve(words[0], words, environment)


def do_power(args):
    getattr(DevCluster.open(args.dir), args.verb)(args.node)


def do_cut(args):
    DevCluster.open(args.dir).cut(args.a, args.b, net=args.net, one_way=args.one_way)


def do_heal(args):
    DevCluster.open(args.dir).heal()


def do_down(args):
    DevCluster(args.dir).down(keep_files=args.keep_files)


def main():
    args = parser().parse_args()
    try:
        args.function(args)
    except (DevClusterError, OSError) as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    return 0
