"""DevCluster: the operations of scripts/devcluster as an API."""

import json
import os
import pathlib
import subprocess
import time

from . import config, layout, mirrors, state
from .container import Container
from .errors import DevClusterError
from .layout import Paths
from .network import Switch
from .wait import wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[3]
MEMBER_WAIT_S = 60
EXEC_S = 120
ENABLED = "enabled"  # in /etc/kagami; stands for `systemctl enable --now`: from then on process 1 runs the daemons


def default_bin():
    return pathlib.Path(os.environ.get("KAGAMI_BIN", SOURCE / "build" / "release" / "bin"))


class DevCluster:
    """A cluster in `dir`. up() makes it; DevCluster.open(dir) is a handle on one that runs.

    scripts: {"GROUP/RESOURCE/start.sh": text}, put under /etc/kagami/scripts. environment: added to that of every process
    in the machines. bare: machines without cluster software. disks: {"md1.data": bytes}, files of fixed size under
    layout.DISK_DIRECTORY of every node. Machines are named node1.., witness, client.
    """

    def __init__(self, dir, nodes=2, witness=True, profile="lan", client=True, config_text=None, scripts=None, mirror=False,
                 bare=False, bin_directory=None, environment=None, disks=None):
        self.paths = Paths(dir)
        self.setup = {
            "version": state.VERSION,
            "nodes": nodes,
            "witness": witness,
            "client": client,
            "profile": profile,
            "mirror": mirror,
            "bare": bare,
            "bin": str(bin_directory or default_bin()),
            "environment": environment or {},
            "disks": disks or {},
            "machines": {name: None for name in layout.machine_names(nodes, witness, client)},
            "cuts": [],
        }
        self.config_text = config_text
        self.scripts = scripts
        self._containers = {}

    @classmethod
    def open(cls, dir):
        known = state.load(Paths(dir))
        return cls(dir, nodes=known["nodes"], witness=known["witness"], profile=known["profile"], client=known["client"],
                   mirror=known["mirror"], bare=known["bare"], bin_directory=known["bin"], environment=known["environment"],
                   disks=known["disks"])

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down(keep_files=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.down(keep_files=kind is not None)

    # --- names ---

    @property
    def node_names(self):
        return layout.node_names(self.setup["nodes"])

    @property
    def machine_names(self):
        return list(self.setup["machines"])

    def address(self, machine, network="net1"):
        return layout.address(self._known(machine), network)

    # --- life of the cluster ---

    def up(self, form=True):
        """Without `form` the machines run, and no cluster is made yet."""
        self._check_machine()
        if self.paths.state.exists():
            raise DevClusterError(f"a cluster is in {self.paths.top} already; end it with: devcluster down --dir {self.paths.top}")
        self.paths.top.mkdir(mode=0o700, parents=True, exist_ok=True)
        with state.locked(self.paths):
            self._remove(keep_files=False)
            state.save(self.paths, self.setup)
            self._switch().create()
            self._make_disks()
        self.boot(*self.machine_names)
        if form and not self.setup["bare"]:
            self.form()

    def down(self, keep_files=False):
        """Ends everything, also what a broken up() left. keep_files leaves the machines' disks and logs in DIR."""
        if not self.paths.top.exists():
            return
        with state.locked(self.paths):
            self._remove(keep_files)
        if not keep_files:
            self.paths.lock.unlink(missing_ok=True)
            if not any(self.paths.top.iterdir()):
                self.paths.top.rmdir()

    def _remove(self, keep_files):
        for name in layout.HOST_OF:
            container = self._container(name, None)
            container.cgroup.remove()
            container.bury()
            if not keep_files:
                container.erase()
        self._switch().destroy()
        self.paths.state.unlink(missing_ok=True)

    def form(self):
        """The steps of a person: init on the first node, a token and a join for every other machine."""
        first, others = self.node_names[0], self.node_names[1:] + [layout.WITNESS] * self.setup["witness"]
        self._write_configuration(first)
        self.kagami(first, "init", "--config", "/etc/kagami/cluster.toml", "--node", first)
        self.enable(first)
        wait_until(lambda: self.cluster_status(first), 20, f"an answer of the daemon on {first}; see {self.paths.log(first)}")
        for name in others:
            self.kagami(name, "join", "-", input=self.kagami(first, "token", name).stdout)
            self.enable(name)
        wait_until(self.all_members, MEMBER_WAIT_S, f"all nodes as members; see `kagami status` and {self.paths.log(first)}", 0.1)

    def enable(self, machine):
        """The daemons start now and at every boot."""
        (self.paths.etc(machine) / ENABLED).touch()

    def start_service(self, *machines):
        """`systemctl start` for daemons that left on purpose (after `kagami cluster stop`)."""
        with state.changing(self.paths) as known:
            for machine in machines:
                self._running(machine, known).start_service()

    def cluster_status(self, node="node1"):
        """What `kagami status --json` says on the node; None while its daemon does not answer."""
        done = self.exec(node, ["kagami", "status", "--json"])
        return json.loads(done.stdout) if done.stdout.startswith("{") else None

    def all_members(self):
        status = self.cluster_status() or {"nodes": []}
        members = {node["name"] for node in status["nodes"] if node["member_state"] == "MEMBER"}
        return members >= set(self.node_names)

    def _make_disks(self):
        if self.setup["disks"]:
            mirrors.make_visible()
        for node in self.node_names if self.setup["disks"] else []:
            self.paths.disks(node).mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, size_bytes in self.setup["disks"].items():
                with open(self.paths.disks(node) / name, "xb") as disk:
                    disk.truncate(size_bytes)

    def _write_configuration(self, node):
        setup = self.setup
        etc = self.paths.etc(node)
        text = self.config_text
        scripts = self.scripts
        if text is None:
            text, scripts = config.default(self.node_names, setup["witness"], setup["profile"], setup["mirror"])
        (etc / "cluster.toml").write_text(text)
        (etc / "cluster.toml").chmod(0o600)
        for relative, body in (scripts or {}).items():
            script = etc / "scripts" / relative
            script.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            script.write_text(body)
            script.chmod(0o700)

    # --- power ---

    def boot(self, *machines):
        with state.changing(self.paths) as known:
            containers = [self._container(name, known["machines"]) for name in machines]
            for container in containers:
                if container.is_running():
                    raise DevClusterError(f"{container.name} runs already; kill it first")
            for container in containers:
                container.bury()
                known["machines"][container.name] = container.start(self._init_arguments(container.name))
            for container in containers:
                networks = layout.networks_of(container.name, self.setup["mirror"])
                self._switch().plug_in(container.name, networks, container.identity["pid"])
            for container in containers:
                container.release()

    def kill(self, *machines):
        """Loss of power. Returns the wall-clock time (time.time()) of the moment."""
        with state.changing(self.paths) as known:
            containers = [self._container(name, known["machines"]) for name in machines]
            for container in containers:
                self._switch().darken(container.name)
            moment = time.time()
            for container in containers:
                container.cut_power()
            for container in containers:
                container.bury()
                known["machines"][container.name] = None
                self._switch().unplug(container.name)
        return moment

    def freeze(self, machine, watchdog_runs=False):
        """The whole machine stops, as a paused virtual machine does, and its links are silent. watchdog_runs: process 1
        goes on and resets the machine in time, as the hardware watchdog of a machine with a hung kernel does."""
        with state.changing(self.paths) as known:
            container = self._running(machine, known)
            self._switch().darken(machine)
            container.cgroup.freeze(watchdog_runs)

    def thaw(self, machine):
        with state.changing(self.paths) as known:
            container = self._running(machine, known)
            self._switch().light(machine)
            container.cgroup.thaw()

    def is_running(self, machine):
        return self._container(machine, state.load(self.paths)["machines"]).is_running()

    # --- network ---

    def cut(self, a, b, net=None, one_way=False):
        """Frames from a to b (and from b to a, unless one_way) are lost, on every network or on `net`."""
        pairs = [(a, b)] if one_way else [(a, b), (b, a)]
        networks = [self._known_network(net)] if net else self._switch().networks
        with state.changing(self.paths) as known:
            if self._known(a) == self._known(b):
                raise DevClusterError(f"{a} cannot be cut from itself")
            added = [[x, y, n] for x, y in pairs for n in networks]
            known["cuts"] += [cut for cut in added if cut not in known["cuts"]]
            self._switch().set_cuts(known["cuts"])

    def cut_sets(self, one, other):
        """Every machine of the one set from every machine of the other, at once, on every network."""
        with state.changing(self.paths) as known:
            known["cuts"] += [[x, y, n] for n in self._switch().networks for a in one for b in other for x, y in ((a, b), (b, a))]
            self._switch().set_cuts(known["cuts"])

    def heal(self, a=None, b=None, net=None):
        """Takes back all cuts, or those between a and b, or those on `net`."""
        def taken_back(cut):
            return (a is None or {a, b} == set(cut[:2])) and (net is None or net == cut[2])

        with state.changing(self.paths) as known:
            known["cuts"] = [cut for cut in known["cuts"] if not taken_back(cut)]
            self._switch().set_cuts(known["cuts"])

    # --- commands ---

    def command(self, machine, argv):
        """(words, environment) that run argv in the machine, for callers with needs of their own."""
        container = self._container(machine, state.load(self.paths)["machines"])
        environment = {**container.environment(), "TERM": os.environ.get("TERM", "dumb")}
        return container.command(argv), environment

    def exec(self, machine, argv, check=False, **options):
        """Runs argv in the machine and waits, for EXEC_S unless told otherwise. Output is captured as text. What argv leaves
        in the background must not keep the output open."""
        words, environment = self.command(machine, argv)
        environment.update(options.pop("env", {}))
        defaults = {"text": True, "timeout": EXEC_S, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if "input" not in options:
            defaults["stdin"] = subprocess.DEVNULL
        done = subprocess.run(words, env=environment, **{**defaults, **options})
        if check and done.returncode != 0:
            what = " ".join(str(word) for word in argv)
            raise DevClusterError(f"{machine}: {what}: exit status {done.returncode}: {(done.stderr or done.stdout or '').strip()}")
        return done

    def kagami(self, machine, *arguments, **options):
        return self.exec(machine, ["kagami", *arguments], check=True, **options)

    def popen(self, machine, argv, **options):
        """Starts argv in the machine. kill() on the result ends the process inside as well."""
        words, environment = self.command(machine, argv)
        environment.update(options.pop("env", {}))
        return subprocess.Popen(words, env=environment, **{"text": True, **options})

    def status(self):
        known = state.load(self.paths)
        machines = {}
        for name, identity in known["machines"].items():
            container = self._container(name, known["machines"])
            running = container.is_running()
            machines[name] = {
                "state": "off" if not running else "frozen" if container.cgroup.is_frozen() else "running",
                "pid": identity["pid"] if running else None,
                "addresses": {n: layout.address(name, n) for n in layout.networks_of(name, known["mirror"])},
            }
        return {"dir": str(self.paths.top), "profile": known["profile"], "machines": machines, "cuts": known["cuts"]}

    def group_cgroup(self, machine):
        """KAGAMI_CGROUP_ROOT of a machine, as seen from outside: GROUP/RESOURCE/cgroup.procs with the host's process ids."""
        return self._container(self._known(machine), None).cgroup.groups

    def system_cgroup(self, machine):
        """The control group of the node's own programs (and of what exec() runs)."""
        return self._container(self._known(machine), None).cgroup.system

    # --- helpers ---

    def _check_machine(self):
        if os.geteuid() != 0:
            raise DevClusterError("node containers need root; run this as root")
        missing = [p for p in self._programs() if not (pathlib.Path(self.setup["bin"]) / p).exists()]
        if missing:
            raise DevClusterError(f"{', '.join(missing)} not found in {self.setup['bin']}; build them with: scripts/build")

    def _programs(self):
        if self.setup["bare"]:
            return ["kagami-node-init"]
        return ["kagami-node-init", "kagamid", "kagami-guard", "kagami-script-helper", "kagami-check", "kagami"] + (
            ["kagami-witness"] if self.setup["witness"] else [])

    def _switch(self):
        return Switch(self.paths, self.setup["mirror"])

    def _init_arguments(self, machine):
        if self.setup["bare"] or machine == layout.CLIENT:
            return ["--bare"]
        role = ["--witness"] if machine == layout.WITNESS else []
        return ["--bin", self.setup["bin"], "--wait-for", f"/etc/kagami/{ENABLED}", *role]

    def _container(self, name, identities):
        """The handle is kept, because it is the parent of the launcher; who its process 1 is comes from the state."""
        if name not in self._containers:
            self._containers[name] = Container(self.paths, name, self.setup["bin"], self.setup["environment"])
        if identities is not None:
            self._containers[name].identity = identities[self._known(name)]
        return self._containers[name]

    def _running(self, machine, known):
        container = self._container(machine, known["machines"])
        if not container.is_running():
            raise DevClusterError(f"{machine} is off; boot it first")
        return container

    def _known(self, machine):
        if machine not in self.setup["machines"]:
            raise DevClusterError(f"no machine {machine} in this cluster; it has: {', '.join(self.machine_names)}")
        return machine

    def _known_network(self, network):
        if network not in self._switch().networks:
            raise DevClusterError(f"no network {network} in this cluster; it has: {', '.join(self._switch().networks)}")
        return network
