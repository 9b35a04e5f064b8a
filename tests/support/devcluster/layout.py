"""Names, addresses and paths of a development cluster. Nothing here touches the machine.

Machines: node1 .. node16, "witness", "client". Networks: net1 10.77.1.0/24, net2 10.77.2.0/24, on request mirror
10.77.3.0/24 (nodes only). Host parts: nodes .1 to .8 and .19 to .26, witness .9, client .200; IPv6 fd77:NETWORK::HOST/64.
MAC addresses are fixed, as those of a real machine are: a node that boots again keeps the neighbours' caches valid.
"""

import hashlib
import pathlib
import re

from .errors import DevClusterError

MAX_NODES = 16
NETWORKS = {"net1": 1, "net2": 2, "mirror": 3}
WITNESS = "witness"
DISK_DIRECTORY = "/srv"  # in a node: where the files of its mirror disks lie
CLIENT = "client"
HOST_OF = {**{f"node{n}": n if n < 9 else n + 10 for n in range(1, MAX_NODES + 1)}, WITNESS: 9, CLIENT: 200}


def machine_names(nodes, witness, client):
    if not 2 <= nodes <= MAX_NODES:
        raise DevClusterError(f"{nodes} nodes: a development cluster has 2 to {MAX_NODES}")
    return node_names(nodes) + [WITNESS] * bool(witness) + [CLIENT] * bool(client)


def node_names(nodes):
    return [f"node{n}" for n in range(1, nodes + 1)]


def is_node(machine):
    return machine.startswith("node")


def networks_of(machine, mirror):
    names = ["net1", "net2"]
    return names + ["mirror"] if mirror and is_node(machine) else names


def address(machine, network):
    return f"10.77.{NETWORKS[network]}.{HOST_OF[machine]}"


def address6(machine, network):
    return f"fd77:{NETWORKS[network]}::{HOST_OF[machine]:x}"


def mac(machine, network):
    return f"02:4b:47:{NETWORKS[network]:02x}:00:{HOST_OF[machine]:02x}"


def port(machine, network):
    """The machine's end in the switch; inside the machine the interface has the network's name."""
    return f"{machine}-{network}"


def bridge(network):
    return f"br-{network}"


class Paths:
    """DIR and what lies in it."""

    def __init__(self, directory):
        self.top = pathlib.Path(directory).resolve()
        for hidden in ("/run", "/dev", "/proc", "/sys", "/etc/kagami", "/var/lib/kagami"):
            if self.top.is_relative_to(hidden):
                raise DevClusterError(f"{self.top}: {hidden} looks different inside a node; choose another --dir")
        self.state = self.top / "devcluster.json"
        self.lock = self.top / "lock"
        self.switch = self.top / "switch.netns"

    @property
    def cluster_name(self):
        """Unique on this machine: names the cgroup of the cluster."""
        digest = hashlib.sha256(str(self.top).encode()).hexdigest()[:8]
        return re.sub(r"[^A-Za-z0-9_-]", "_", self.top.name) + "-" + digest

    def machine(self, name):
        return self.top / name

    def etc(self, name):
        return self.top / name / "etc"

    def var(self, name):
        return self.top / name / "var"

    def disks(self, name):
        return self.top / name / "disks"

    def log(self, name, program=None):
        directory = self.top / name / "log"
        return directory / f"{program}.log" if program else directory

    def boot_id(self, name):
        return self.top / name / "boot_id"
