"""The cases of `scripts/bench failover`. Each runs on one cluster that stays up, and waits between two runs until all is well."""

import contextlib
import time

from devcluster import config, wait_until

from . import database, figures, web
from .prober import Prober
from .steps import pause
from .watch import StatusStream, all_well, is_member, log_entries, wait_status

CASES = ("node_kill", "service_kill", "planned_move", "cold_start", "idle", "standby_kill")
MIRROR_ONLY = ("standby_kill",)
NODES = ["node1", "node2"]
WAIT_S = 60
APART_S = 0.5  # longer than the prober's window: away and back within it would look like two sides
P1_GOALS = {"lan": ("median <= 2.8 s, p99 <= 3.5 s", 2.8, 3.5), "fast": ("median <= 0.75 s, p99 <= 0.9 s", 0.75, 0.9)}


P11_GOALS = {"lan": "<= 1.5 s", "fast": "<= 0.5 s"}
MORE = "failovers_per_hour = 1000\n"  # room for more failovers and restarts than a real cluster would allow


def configuration(profile, mirror):
    """(cluster.toml, scripts, disks): group web alone, or with a mirror disk in it beside group db with PostgreSQL on another."""
    if mirror:
        text, scripts = config.mirrored(NODES, profile, MORE)
        disks = {**config.DISKS, "md1.data": 256 << 20, **config.WEB_DISKS}
    else:
        group, scripts = config.web_group(NODES)
        text, disks = config.base(NODES, True, profile).replace("[cluster]\n", f"[cluster]\n{MORE}") + group, {}
    return text.replace("restart = 3", "restart = 99"), scripts, disks


class Bench:
    def __init__(self, cluster, screen, prober, goals, db=None):
        self.cluster = cluster
        self.screen = screen
        self.prober = prober
        self.db = db  # None without mirrors
        self.goals = goals
        self.rows = []

    def well(self, node):
        """Returns the node that serves."""
        wait_status(self.cluster, node, all_well, WAIT_S, "the cluster complete and its groups Online")
        server = self.prober.wait_served(WAIT_S, since=time.time())["server"]
        if self.db:
            if self.db.wait_commit(WAIT_S, since=time.time())["server"] != server:
                database.move(self.cluster, server)
            for mirror in ("md1", "md2"):
                database.wait_in_sync(self.cluster, server, WAIT_S, mirror)
        return server

    def each(self, case, runs):
        for n in range(1, runs + 1):
            self.screen.passing(f"  {case} {n}/{runs} ...")
            yield n

    def series(self, case, figure, values, goal=""):
        self.rows.append(figures.row(case, figure, "s", values, goal=goal))
        row = self.rows[-1]
        self.screen.line(f"  {case} {figure}: median {figures.text(row['median'], 's')}, max {figures.text(row['max'], 's')}")


def node_kill(bench, runs):
    gaps, commits, rejoins = [], [], []
    for _ in bench.each("node_kill", runs):
        server = bench.well("node1")
        other = web.other_node(bench.cluster, server)
        with StatusStream(bench.cluster, other) as stream:
            moment = bench.cluster.kill(server)
            bench.prober.wait_served(WAIT_S, by=other, since=moment)
            gaps.append(bench.prober.gap(moment)[0])
            if bench.db:
                answered = bench.db.wait_commit(WAIT_S, by=other, since=moment)["wall"]
                commits.append(bench.db.gap(moment, answered))
            stream.wait(web.is_online, WAIT_S, f"web Online on {other}")
            bench.cluster.boot(server)
            booted = time.time()
            rejoins.append(stream.wait(lambda s: is_member(s, server), WAIT_S, f"{server} a member again") - booted)
    bench.series("node_kill", "gap", gaps, bench.goals["P1"])
    if commits:
        bench.series("node_kill", "postgresql_gap", commits, "<= 5 s")
    bench.series("rejoin", "until_member", rejoins, "<= 1 s")


def standby_kill(bench, runs):
    stalls = []
    for _ in bench.each("standby_kill", runs):
        server = bench.well("node1")
        standby = web.other_node(bench.cluster, server)
        moment = bench.cluster.kill(standby)
        bench.db.wait_commit(WAIT_S, by=server, since=moment + 2)
        stalls.append(max(bench.db.longest_stall(moment), bench.db.gap(moment)))
        bench.cluster.boot(standby)
    bench.series("standby_kill", "longest_stall", stalls, P11_GOALS.get(bench.cluster.setup["profile"], ""))


def detected_at(cluster, node, since):
    errors = [e["time_unix_ms"] / 1000 for e in log_entries(cluster, node, since) if e["code"] == "monitor-error"]
    return errors[0] if errors else None


def service_kill(bench, runs):
    gaps, detections = [], []
    for _ in bench.each("service_kill", runs):
        server = bench.well("node1")
        killed = web.kill_service(bench.cluster, server)
        bench.prober.wait_served(WAIT_S, by=server, since=killed + 0.3)
        gaps.append(bench.prober.gap(killed)[0])
        # The log has milliseconds only.
        seen = wait_until(lambda: detected_at(bench.cluster, server, int(killed * 1000) / 1000), WAIT_S, "the monitor's error in the log")
        detections.append(max(seen - killed, 0.0))
    bench.series("service_kill", "detection", detections, "<= 20 ms")
    bench.series("service_kill", "gap", gaps, bench.goals["P2"])


def planned_move(bench, runs):
    gaps, commands = [], []
    for _ in bench.each("planned_move", runs):
        server = bench.well("node1")
        other = web.other_node(bench.cluster, server)
        moment = web.move(bench.cluster, other)
        commands.append(time.time() - moment)
        bench.prober.wait_served(WAIT_S, by=other, since=moment)
        gaps.append(bench.prober.gap(moment)[0])
        pause(APART_S)
    bench.series("planned_move", "gap", gaps, bench.goals["P3"])
    bench.series("planned_move", "command", commands)


def cold_start(bench, runs):
    times = []
    for _ in bench.each("cold_start", max(1, runs // 4)):
        web.stop_cluster(bench.cluster, bench.well("node1"))
        for node in NODES:
            wait_until(lambda: not web.daemon_runs(bench.cluster, node), WAIT_S, f"the end of kagamid on {node}", 0.05)
        bench.cluster.kill(*NODES)
        started = time.time()
        bench.cluster.boot(*NODES)
        times.append(bench.prober.wait_served(WAIT_S, since=started)["wall"] - started)
    bench.series("cold_start", "first_answer", times, bench.goals["P10"])


def cpu_s(cgroup):
    words = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
    return int(words["usage_usec"]) / 1e6


def pss_mib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total / 1024


def idle(cluster, screen, seconds):
    """Rows. The prober does not run meanwhile, and nothing is executed on the nodes."""
    screen.passing(f"  idle {seconds} s ...")
    groups = {node: cluster.system_cgroup(node) for node in NODES}
    before = {node: (time.monotonic(), cpu_s(group)) for node, group in groups.items()}
    pause(seconds)
    rows = []
    for node, group in groups.items():
        percent = 100 * (cpu_s(group) - before[node][1]) / (time.monotonic() - before[node][0])
        pids = [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
        rows.append(figures.row("idle", "cpu", "%", percent, node=node, goal="<= 0.5 %"))
        rows.append(figures.row("idle", "memory", "MiB", pss_mib(pids), node=node, goal="<= 40 MiB"))
    return rows


def goals_of(cluster):
    """P2 and P3 count the service's own times in."""
    start, stop = web.own_times(cluster)
    own = figures.row("own_times", "nginx_start", "s", start), figures.row("own_times", "nginx_stop", "s", stop)
    return own, {
        "P1": P1_GOALS.get(cluster.setup["profile"], ("", None, None))[0],
        "P2": f"<= {figures.text(0.05 + start, 's')}",
        "P3": f"<= {figures.text(0.1 + start + stop, 's')}",
        "P10": f"<= {figures.text(3 + start, 's')}",
    }


ACTIONS = {"node_kill": node_kill, "service_kill": service_kill, "planned_move": planned_move, "cold_start": cold_start,
           "standby_kill": standby_kill}


def measure(cluster, screen, wanted, runs, idle_s):
    """(rows, failures). Missing a goal is a figure, not a failure; two sides serving at once and a lost commit are."""
    screen.passing("  the cluster comes up ...")
    cluster.up()
    wait_status(cluster, "node1", all_well, WAIT_S, "the cluster complete and its groups Online")
    own, goals = goals_of(cluster)
    with contextlib.ExitStack() as stack:
        prober = stack.enter_context(Prober(cluster))
        db = stack.enter_context(database.Committer(cluster)) if cluster.setup["disks"] else None
        bench = Bench(cluster, screen, prober, goals, db)
        bench.rows += own
        for case, action in ACTIONS.items():
            if case in wanted and (db or case not in MIRROR_ONLY):
                action(bench, runs)
        bench.well("node1")
        lost = db.lost() if db else []
    if "idle" in wanted:
        bench.rows += idle(cluster, screen, idle_s)
    bench.rows.append(figures.row("all", "two_sides_served", "times", prober.both_sides(), goal="0"))
    if db:
        bench.rows.append(figures.row("all", "commits_acknowledged", "", len(db.acknowledged)))
        bench.rows.append(figures.row("all", "commits_lost", "", len(lost), goal="0"))
    return bench.rows, prober.complaints() + [f"the acknowledged commit {n} is lost" for n in lost]
