"""The steps of the demo. Each does one thing to the cluster and checks what must follow; the clients' view (gaps, commits
acknowledged and lost, bytes copied, two sides at once) is judged for every step in the same way by demo.py.

A step returns nothing; it raises DevClusterError when what must follow does not. `run.event(moment)` sets where the step's
gaps are counted from; without it that is the step's beginning.
"""

import threading
import time
from dataclasses import dataclass
from typing import Callable

from devcluster import DevClusterError, wait_until

from . import database, web
from .watch import StatusStream, all_well, group_of, is_member, wait_status

SETTLE_S = 60
SERVE_S = 30
COPY_S = 120  # a full copy of the demo's disk
CALM_S = 1.5  # how long "nothing happens" is watched once the cluster is complete
PARTITION_S = 5  # longer than T_grant + T_pref of lan: time enough for a wrong takeover


def pause(seconds):
    threading.Event().wait(seconds)


def served_by(run, node, since):
    """Both groups answer from this node."""
    run.db.wait_commit(SERVE_S, by=node, since=since)
    run.prober.wait_served(SERVE_S, by=node, since=since)


def nothing_moves(run, node, since, seconds):
    """For a while: only `node` answers."""
    pause(seconds)
    run.prober.wait_seen_until(since + seconds)
    for what, servers in (("PostgreSQL", run.db.servers(since)), ("nginx", run.prober.servers(since))):
        if servers != {node}:
            raise DevClusterError(f"{what}: only {node} should have answered, but: {', '.join(sorted(servers)) or 'nobody'}")


def well(run, node, what="the cluster complete again"):
    wait_status(run.cluster, node, all_well, SETTLE_S, what)


def back_in_sync(run, node):
    """Waits for the end of the resync, and notes how long it took and what it copied."""
    begun = time.time()
    before = run.copied_before.get(node, 0)
    run.say("resync")
    database.wait_in_sync(run.cluster, node, COPY_S)
    run.figures["resync"] = time.time() - begun
    run.copied = max(database.copied_bytes(run.cluster, node) - before, 0)


def both_on(run, node):
    """Planned moves of whatever is elsewhere."""
    if run.prober.serving() != node:
        web.move(run.cluster, node)
    if run.db.serving() != node:
        database.move(run.cluster, node)
    served_by(run, node, time.time())


def start(run):
    run.start_cluster()
    run.figures["first_commit"] = run.db.wait_commit(SETTLE_S, by="node1")["wall"] - run.moment
    run.prober.wait_served(SERVE_S, by="node1")
    back_in_sync(run, "node1")
    well(run, "node1", "both nodes and the witness in the cluster, db and web Online")


def power_loss(run):
    run.event(run.cluster.kill("node1"))
    run.say("node1 is off")
    served_by(run, "node2", run.moment)
    run.say("an administrator's image of node1 is taken, for the last step")
    database.take_backup(run.cluster, "node1")


def power_back(run):
    with StatusStream(run.cluster, "node2") as stream:
        run.cluster.boot("node1")
        booted = time.time()
        run.say("node1 has power again")
        run.figures["rejoin"] = stream.wait(lambda status: is_member(status, "node1"), SETTLE_S, "node1 a member") - booted
    back_in_sync(run, "node2")
    well(run, "node2")
    nothing_moves(run, "node2", run.moment, CALM_S)


def planned_move(run):
    run.event(time.time())
    both_on(run, "node1")


def service_killed(run):
    run.event(database.kill_service(run.cluster, "node1"))
    run.db.wait_commit(SERVE_S, by="node1", since=run.moment + 0.2)
    wait_status(run.cluster, "node1", database.is_online, SETTLE_S, "db Online")


def partition(run):
    run.cluster.cut("node1", "node2")
    run.event(time.time())
    run.say("node1 and node2 do not hear each other; both hear the witness")
    pause(PARTITION_S)
    run.prober.wait_seen_until(run.moment + PARTITION_S)
    one_side(run, run.moment + PARTITION_S - 1)
    server = run.db.serving()
    run.cluster.heal()
    run.say("the networks are whole again")
    back_in_sync(run, server)
    well(run, server)
    nothing_moves(run, server, time.time(), CALM_S)


def one_side(run, late):
    """Exactly one node acknowledges commits, and nothing of the group runs unsuspended on the other."""
    run.db.wait_commit(SERVE_S, since=late)
    servers = run.db.servers(late)
    if len(servers) != 1 or len(run.prober.servers(late)) != 1:
        raise DevClusterError(f"exactly one side should serve, but: {', '.join(sorted(servers | run.prober.servers(late)))}")
    other = web.other_node(run.cluster, run.db.serving())
    if web.runs_unsuspended(run.cluster, other, database.GROUP, database.RESOURCE):
        raise DevClusterError(f"{run.db.serving()} serves, and PostgreSQL also runs on {other}")


def standby_dies(run):
    server = run.db.serving()
    standby = web.other_node(run.cluster, server)
    both_on(run, server)
    run.event(run.cluster.kill(standby))
    run.say(f"{standby} is off")
    run.db.wait_commit(SERVE_S, by=server, since=run.moment + 2)
    run.figures["longest_stall"] = max(run.db.longest_stall(run.moment), run.db.gap(run.moment))
    run.cluster.boot(standby)
    back_in_sync(run, server)
    well(run, server)


def driver_killed(run):
    server = run.db.serving()
    postmaster = database.postmaster(run.cluster, server)
    run.event(database.kill_driver(run.cluster, server))
    run.db.wait_commit(SERVE_S, by=server, since=run.moment + 0.1)
    if database.postmaster(run.cluster, server) != postmaster:
        raise DevClusterError("PostgreSQL was restarted: it saw an I/O error")
    database.wait_in_sync(run.cluster, server, COPY_S)
    well(run, server)


def clean_restart(run):
    web.stop_cluster(run.cluster, run.db.serving())
    run.say("the cluster service is stopped on both nodes")
    for node in run.cluster.node_names:
        wait_until(lambda: not web.daemon_runs(run.cluster, node), SETTLE_S, f"the end of kagamid on {node}", 0.05)
        if web.service_pids(run.cluster, node, database.GROUP, database.RESOURCE):
            raise DevClusterError(f"PostgreSQL still runs on {node} after `kagami cluster stop`")
    run.cluster.start_service(*run.cluster.node_names)
    started = time.time()
    run.say("and started again")
    run.figures["cold_start"] = run.db.wait_commit(SETTLE_S, since=started)["wall"] - started
    run.prober.wait_served(SERVE_S, since=started)
    well(run, "node1")
    database.wait_in_sync(run.cluster, run.db.serving(), COPY_S)


def restored_backup(run):
    both_on(run, "node2")
    run.cluster.kill("node1")
    run.say("node1 gets back its disks and state of step 2")
    database.restore_backup(run.cluster, "node1")
    run.event(time.time())
    run.cluster.boot("node1")
    wait_until(lambda: database.standing(run.cluster, "node2", "node1") == "suspect", SETTLE_S,
               "md1 of node1 recognised as an older image", 0.05)
    run.say("recognised; no move to node1 may succeed now")
    refuse_move(run, "node1")
    back_in_sync(run, "node2")
    well(run, "node2")
    nothing_moves(run, "node2", run.moment, CALM_S)


def refuse_move(run, to):
    done = run.cluster.exec("node2", ["kagami", "group", "move", database.GROUP, "--to", to])
    if done.returncode == 0:
        raise DevClusterError(f"db was allowed to move to {to}, whose copy is not current")
    status = run.cluster.cluster_status("node2")
    if group_of(status, database.GROUP)["current_node"] != "node2":
        raise DevClusterError("db has left node2")


@dataclass
class Step:
    case: str
    title: str
    must: str
    action: Callable
    pauses: bool  # the service may be away for a moment


STEPS = [
    Step("construction", "start", "the mirror is built, node1 serves db and web", start, True),
    Step("node_kill", "node1 loses power", "node2 must serve", power_loss, True),
    Step("rejoin", "node1 returns", "its copy is brought up to date, nothing may move", power_back, False),
    Step("planned_move", "planned move back", "node1 must serve", planned_move, True),
    Step("service_kill", "PostgreSQL is killed", "it must be started again on node1", service_killed, True),
    Step("partition", "all networks between the nodes are cut, and heal", "exactly one side may serve", partition, True),
    Step("standby_kill", "the standby loses power, and returns", "writes may only pause", standby_dies, True),
    Step("driver_kill", "the mirror driver is killed", "a pause, no I/O error", driver_killed, True),
    Step("clean_restart", "clean shutdown and start of the cluster", "it must serve again", clean_restart, True),
    Step("restored_backup", "node1 comes back with disks and state of an old backup",
         "recognised, full resync, no failover to it meanwhile", restored_backup, True),
]
