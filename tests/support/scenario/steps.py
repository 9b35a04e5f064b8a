"""The steps of the demo. Each does one thing to the cluster and checks what must follow; the client's view (gap, who serves,
two sides at once) is judged for every step in the same way by demo.py.

A step returns nothing; it raises DevClusterError when what must follow does not. `run.event(moment)` sets where the step's
gap is counted from; without it that is the step's beginning.
"""

import threading
import time
from dataclasses import dataclass
from typing import Callable

from devcluster import DevClusterError, wait_until

from . import web
from .watch import StatusStream, all_well, is_member, wait_status

SETTLE_S = 30
SERVE_S = 30
CALM_S = 1.5  # how long "nothing happens" is watched once the cluster is complete
UNHURT_S = 3  # the same under a fault: longer than a lease of lan
PARTITION_S = 5  # longer than T_grant + T_pref of lan: time enough for a wrong takeover


def pause(seconds):
    threading.Event().wait(seconds)


def same_server(run, node, since, seconds):
    """Nothing moves for a while: only `node` answers."""
    pause(seconds)
    run.prober.wait_seen_until(since + seconds)
    servers = run.prober.servers(since)
    if servers != {node}:
        raise DevClusterError(f"only {node} should have answered, but: {', '.join(sorted(servers)) or 'nobody'}")


def well(run, node, what):
    wait_status(run.cluster, node, all_well, SETTLE_S, what)


def start(run):
    run.start_cluster()
    run.figures["first_answer"] = run.prober.wait_served(SERVE_S, by="node1")["wall"] - run.moment
    well(run, "node1", "both nodes and the witness in the cluster, web Online")


def power_loss(run):
    with StatusStream(run.cluster, "node2") as stream:
        run.event(run.cluster.kill("node1"))
        run.say("node1 is off")
        run.prober.wait_served(SERVE_S, by="node2", since=run.moment)
        stream.wait(web.is_online, SETTLE_S, "web Online on node2")


def power_back(run):
    with StatusStream(run.cluster, "node2") as stream:
        run.cluster.boot("node1")
        booted = time.time()
        run.say("node1 has power again")
        run.figures["rejoin"] = stream.wait(lambda status: is_member(status, "node1"), SETTLE_S, "node1 a member") - booted
    well(run, "node2", "the cluster complete again")
    same_server(run, "node2", run.moment, CALM_S)


def planned_move(run):
    run.event(web.move(run.cluster, "node1"))
    run.prober.wait_served(SERVE_S, by="node1", since=run.moment)


def service_killed(run):
    run.event(web.kill_service(run.cluster, "node1"))
    wait_until(lambda: web.service_pids(run.cluster, "node1"), SERVE_S, "nginx again on node1")
    run.prober.wait_served(SERVE_S, by="node1", since=run.moment + 0.2)
    wait_status(run.cluster, "node1", web.is_online, SETTLE_S, "web Online")


def one_network_cut(run):
    run.cluster.cut("node1", "node2", net="net1")
    run.event(time.time())
    wait_status(run.cluster, "node1", lambda s: web.path_is_bad(s, "node2", "net1"), SETTLE_S, "the lost path in the status")
    run.say("the cluster sees that net1 is lost")
    same_server(run, "node1", run.moment, UNHURT_S)


def all_networks_cut(run):
    run.cluster.cut("node1", "node2")
    run.event(time.time())
    run.say("node1 and node2 do not hear each other; both hear the witness")
    pause(PARTITION_S)
    run.prober.wait_seen_until(run.moment + PARTITION_S)
    server = run.prober.wait_served(SERVE_S, since=run.moment + PARTITION_S - 1)["server"]
    late = run.prober.servers(run.moment + PARTITION_S - 1)
    if late != {server}:
        raise DevClusterError(f"exactly one side should serve, but: {', '.join(sorted(late))}")
    other = web.other_node(run.cluster, server)
    if web.service_runs_unsuspended(run.cluster, other):
        raise DevClusterError(f"{server} serves, and nginx also runs on {other}")


def healed(run):
    server = run.prober.serving()
    run.cluster.heal()
    well(run, server, "the cluster complete again")
    same_server(run, server, run.moment, CALM_S)


def shutdown_and_start(run):
    server = run.prober.serving()
    web.stop_cluster(run.cluster, server)
    run.say("the cluster service is stopped on both nodes")
    for node in run.cluster.node_names:
        wait_until(lambda: not web.daemon_runs(run.cluster, node), SETTLE_S, f"the end of kagamid on {node}", 0.05)
        if web.service_pids(run.cluster, node):
            raise DevClusterError(f"nginx still runs on {node} after `kagami cluster stop`")
    run.cluster.start_service(*run.cluster.node_names)
    started = time.time()
    run.say("and started again")
    run.figures["cold_start"] = run.prober.wait_served(SERVE_S, since=started)["wall"] - started
    well(run, "node1", "the cluster complete again")


@dataclass
class Step:
    case: str
    title: str
    must: str
    action: Callable
    pauses: bool  # the service may be away for a moment


STEPS = [
    Step("cold_start", "start", "both nodes and the witness form a cluster, node1 serves", start, True),
    Step("node_kill", "node1 loses power", "node2 must serve", power_loss, True),
    Step("rejoin", "node1 returns", "nothing may move", power_back, False),
    Step("planned_move", "planned move back", "node1 must serve", planned_move, True),
    Step("service_kill", "nginx is killed", "it must be started again on node1", service_killed, True),
    Step("one_network_cut", "net1 between the nodes is cut", "nothing may happen", one_network_cut, False),
    Step("partition", "all networks between the nodes are cut", "exactly one side may serve", all_networks_cut, True),
    Step("heal", "the networks heal", "nothing may move", healed, False),
    Step("clean_restart", "clean shutdown and start of the cluster", "it must serve again", shutdown_and_start, True),
]
