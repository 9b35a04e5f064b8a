"""How the cost grows with the size: many groups (P7), many nodes (P9, G17)."""

import time

from devcluster import DevCluster, config, wait_until

from . import figures
from .failover import cpu_s, pss_mib
from .steps import pause
from .watch import StatusStream, all_well, is_member, wait_status

WAIT_S = 120


def up(directory, nodes, profile, groups):
    names = [f"node{n}" for n in range(1, nodes + 1)]
    text, scripts = config.dummies(names, profile, groups)
    cluster = DevCluster(directory, nodes=nodes, profile=profile, config_text=text, scripts=scripts, client=False)
    cluster.down()
    cluster.up()
    return cluster


def all_on(node):
    return lambda status: all(g["state"] == "Online" and g["current_node"] == node for g in status["groups"])


def well(cluster, node):
    return wait_status(cluster, node, all_well, WAIT_S, "the cluster complete, every group Online")


# ---- groups ----


def cold_start(cluster):
    """Seconds from the start of the daemons until every group is Online."""
    cluster.kagami("node1", "cluster", "stop", "--yes", "--wait", "--timeout", "60s")
    wait_until(lambda: not any(cluster.cluster_status(node) for node in cluster.node_names), WAIT_S, "the daemons to end")
    begun = time.time()
    cluster.start_service(*cluster.node_names)
    ended = well(cluster, "node1")
    return (ended or time.time()) - begun


def leave(cluster, node, other):
    """Seconds from the order to leave until every group is Online on the other node."""
    with StatusStream(cluster, other) as stream:
        stream.wait(all_well, WAIT_S, "the cluster complete")
        begun = time.time()
        cluster.kagami(node, "node", "shutdown", "--service-only", "--yes")
        seconds = stream.wait(all_on(other), WAIT_S, f"every group Online on {other}") - begun
    wait_until(lambda: not cluster.cluster_status(node), WAIT_S, f"the daemon of {node} to end")
    cluster.start_service(node)
    well(cluster, other)
    return seconds


def node_kill(cluster, node, other):
    with StatusStream(cluster, other) as stream:
        stream.wait(all_well, WAIT_S, "the cluster complete")
        begun = cluster.kill(node)
        seconds = stream.wait(all_on(other), WAIT_S, f"every group Online on {other}") - begun
    cluster.boot(node)
    well(cluster, other)
    return seconds


def gather(cluster, node, other):
    """Every group on the node, by the other's leaving where it has some."""
    if not all_on(node)(cluster.cluster_status(node)):
        leave(cluster, other, node)


def group_phases(cluster):
    """{phase: seconds}; the groups are on node1 at the beginning of each."""
    phases = {"cold_start": cold_start(cluster)}
    gather(cluster, "node1", "node2")
    phases["leave"] = leave(cluster, "node1", "node2")
    gather(cluster, "node1", "node2")
    phases["node_kill"] = node_kill(cluster, "node1", "node2")
    return phases


def measure_groups(args, screen):
    rows, one = [], {}
    for groups in (1, args.groups):
        screen.passing(f"  {groups} groups ...")
        cluster = up(args.dir, 2, args.profile, groups)
        try:
            well(cluster, "node1")
            for phase, seconds in group_phases(cluster).items():
                more = {"goal": f"<= {figures.text(one[phase] + 1, 's')}"} if one else {}
                rows.append(figures.row(f"{groups} groups", phase, "s", seconds, **more))
            one = one or {row["figure"]: row["value"] for row in rows}
        finally:
            cluster.down()
    return rows


# ---- nodes ----


def led_by(status, not_by=""):
    return status["quorum"] and status["leader"] not in ("", not_by)


def lose_leader(cluster):
    """Seconds until another node leads and every group is Online again."""
    old = cluster.cluster_status()["leader"]
    other = next(name for name in cluster.node_names if name != old)
    with StatusStream(cluster, other) as stream:
        begun = cluster.kill(old)
        ended = stream.wait(lambda s: led_by(s, old) and all(g["state"] == "Online" for g in s["groups"]), WAIT_S, "another leader")
    cluster.boot(old)
    wait_status(cluster, other, lambda s: all(is_member(s, name) for name in cluster.node_names), WAIT_S, "the old leader back")
    return ended - begun


def split(cluster):
    """Cuts the first half of the nodes off from the second, the witness is reached by both; sides that may serve then."""
    half = len(cluster.node_names) // 2
    sides = cluster.node_names[:half], cluster.node_names[half:]
    cluster.cut_sets(*sides)
    grant_s = 12

    def one_side_serves():
        return sum(serves(cluster, side) for side in sides) == 1

    wait_until(one_side_serves, WAIT_S, "exactly one side to serve")
    pause(grant_s)
    serving = [side for side in sides if serves(cluster, side)]
    cluster.heal()
    return serving


def serves(cluster, side):
    status = cluster.cluster_status(side[0])
    return bool(status and status["quorum"] and any(g["state"] == "Online" and g["current_node"] in side for g in status["groups"]))


def idle(cluster, seconds):
    groups = {node: cluster.system_cgroup(node) for node in cluster.node_names}
    before = {node: cpu_s(group) for node, group in groups.items()}
    begun = time.monotonic()
    pause(seconds)
    spent = time.monotonic() - begun
    percents = [100 * (cpu_s(group) - before[node]) / spent for node, group in groups.items()]
    memory = [pss_mib([int(pid) for pid in (group / "cgroup.procs").read_text().split()]) for group in groups.values()]
    return percents, memory


def measure_nodes(args, screen):
    rows = []
    for nodes in sorted({n for n in (2, 4, 8, 16) if n < args.nodes} | {args.nodes}):
        screen.passing(f"  {nodes} nodes ...")
        begun = time.time()
        cluster = up(args.dir, nodes, args.profile, 4)
        try:
            well(cluster, "node1")
            rows.append(figures.row(f"{nodes} nodes", "form", "s", time.time() - begun, goal="<= 30 s" if nodes == 32 else ""))
            percents, memory = idle(cluster, args.seconds)
            rows.append(figures.row(f"{nodes} nodes", "cpu", "%", percents, goal="<= 1 %"))
            rows.append(figures.row(f"{nodes} nodes", "memory", "MiB", memory, goal="<= 30 MiB"))
            rows.append(figures.row(f"{nodes} nodes", "leader_kill", "s", lose_leader(cluster)))
        finally:
            cluster.down()
    return rows


def run(args, screen, show):
    rows = measure_groups(args, screen) + measure_nodes(args, screen)
    show(screen, rows)
    if args.json:
        figures.write(args.json, "bench size", args.profile, rows)
    return 0
