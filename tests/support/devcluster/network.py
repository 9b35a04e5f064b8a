"""The switch of a cluster: a network namespace of its own with one bridge a network, held by DIR/switch.netns.

Every machine has one veth pair a network; the outer end is a port of the bridge. An nftables table of the bridge family
drops whole frames (ARP and neighbour discovery included) on their way from port to port:
  cuts  pairs (from, to) that are cut, one direction an element
  dark  ports whose machine is frozen or has lost power: its kernel would go on answering ARP and SYN
The carrier stays up, as it does behind a real switch. IPv6 duplicate address detection is off for the fixed addresses
("nodad"); no sysctl of a machine is changed.
"""

import subprocess

from . import layout
from .errors import DevClusterError
from .run import NFT, NSENTER, UMOUNT, UNSHARE, ip_batch, run

TABLE = """
table bridge kagami {
    set cuts { type ifname . ifname; }
    set dark { type ifname; }
    chain forward {
        type filter hook forward priority 0; policy accept;
        iifname . oifname @cuts drop
        iifname @dark drop
        oifname @dark drop
    }
}
"""


class Switch:
    def __init__(self, paths, mirror):
        self.path = paths.switch
        self.enter = [f"--net={paths.switch}"]
        self.networks = list(layout.NETWORKS) if mirror else ["net1", "net2"]

    def create(self):
        self.path.touch()
        run([UNSHARE, f"--net={self.path}", "/bin/true"])
        lines = ["link set lo up"]
        for network in self.networks:
            name = layout.bridge(network)
            lines += [f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0", f"link set {name} up"]
        ip_batch(self.enter, lines)
        self._nft(TABLE)

    def destroy(self):
        while self.path.exists() and run([UMOUNT, self.path], check=False).returncode == 0:
            pass
        self.path.unlink(missing_ok=True)

    def plug_in(self, machine, networks, pid):
        """New cables from the switch into the network namespace of process pid; what an earlier boot left is removed."""
        self.unplug(machine)
        outside, inside = [], ["link set lo up"]
        for network in networks:
            port = layout.port(machine, network)
            outside += [
                f"link add {port} type veth peer name {network} address {layout.mac(machine, network)} netns {pid}",
                f"link set {port} master {layout.bridge(network)} up",
            ]
            inside += [
                f"addr add {layout.address(machine, network)}/24 brd + dev {network}",
                f"addr add {layout.address6(machine, network)}/64 dev {network} nodad",
                f"link set {network} up",
            ]
        ip_batch(self.enter, outside)
        ip_batch(["--target", str(pid), "--net"], inside)
        self.light(machine)

    def unplug(self, machine):
        ip_batch(self.enter, [f"link del {layout.port(machine, n)}" for n in self.networks], check=False)

    def darken(self, machine):
        self._nft(f"add element bridge kagami dark {{ {self._ports(machine)} }}")

    def light(self, machine):
        # Adding first makes the removal total: nft refuses to delete what is not there.
        ports = self._ports(machine)
        self._nft(f"add element bridge kagami dark {{ {ports} }}\ndelete element bridge kagami dark {{ {ports} }}")

    def set_cuts(self, cuts):
        """cuts: all (from, to, network) in force. One transaction, so that no frame slips through."""
        pairs = [f'"{layout.port(a, n)}" . "{layout.port(b, n)}"' for a, b, n in cuts]
        lines = ["flush set bridge kagami cuts"]
        if pairs:
            lines.append(f"add element bridge kagami cuts {{ {', '.join(pairs)} }}")
        self._nft("\n".join(lines))

    def _ports(self, machine):
        return ", ".join(f'"{layout.port(machine, n)}"' for n in self.networks)

    def _nft(self, text):
        argv = [NSENTER, *self.enter, "--", NFT, "-f", "-"]
        done = subprocess.run(argv, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise DevClusterError(f"the switch refused a rule: {done.stderr.strip()}\n{text}")
