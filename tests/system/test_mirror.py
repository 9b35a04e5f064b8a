"""The mirror disk under real processes: whatever dies or is cut, no acknowledged commit is lost and both copies end up equal."""

import os
import random
import threading
import time

import pytest
from devcluster import config, wait_until
from scenario import database, web
from scenario.steps import pause
from scenario.watch import all_well, wait_status

NODES = ["node1", "node2"]
DISKS = {"md1.data": 192 << 20, "md1.meta": config.METADATA_BYTES}
SETTLE_S = 60
CYCLES = 20
SEED = int(os.environ.get("KAGAMI_TEST_SEED", "20261122"))  # of the drawn faults


def settled(cluster, node):
    """The cluster complete, the mirror in sync, as a running node tells it."""
    wait_status(cluster, node, all_well, SETTLE_S, "the cluster complete again")
    database.wait_in_sync(cluster, node, SETTLE_S)


@pytest.fixture(scope="module")
def cluster(module_cluster):
    text, scripts = config.database(NODES, "fast", "failovers_per_hour = 1000\n")
    made = module_cluster(profile="fast", config_text=text.replace("restart = 3", "restart = 99"), scripts=scripts, mirror=True,
                          disks=DISKS)
    settled(made, "node1")
    return made


@pytest.fixture
def db(cluster):
    """A client that commits, on a cluster that is well; afterwards nothing may be missing."""
    cluster.heal()
    for node in NODES:
        if not cluster.is_running(node):
            cluster.boot(node)
    settled(cluster, "node1")
    with database.Committer(cluster) as client:
        client.wait_commit(SETTLE_S)
        yield client
        cluster.heal()
        client.wait_commit(SETTLE_S, since=time.time())
        assert client.lost() == []


def copies_are_equal(cluster):
    """Compared while db is stopped in order; db runs again afterwards."""
    cluster.kagami("node1", "group", "stop", "db", "--yes", "--wait", "--timeout", "60s")
    differing = database.differing_blocks(cluster)
    cluster.kagami("node1", "group", "start", "db", "--wait", "--timeout", "60s")
    return differing == 0


def times_noted(cluster, node, words):
    """In the log of the node's mirror driver."""
    return cluster.paths.log(node, "mirror-driver").read_text().count(words)


def kill_node(cluster, server):
    cluster.kill(server)
    wait_status(cluster, web.other_node(cluster, server), database.is_online, SETTLE_S, "db Online elsewhere")
    cluster.boot(server)


def kill_standby(cluster, server):
    standby = web.other_node(cluster, server)
    cluster.kill(standby)
    pause(0.5)
    cluster.boot(standby)


def kill_both_nodes(cluster, server):
    cluster.kill(*cluster.node_names)
    cluster.boot(*cluster.node_names)


def freeze_node(cluster, server):
    """It thaws as somebody who was primary."""
    cluster.freeze(server)
    wait_status(cluster, web.other_node(cluster, server), database.is_online, SETTLE_S, "db Online elsewhere")
    cluster.thaw(server)


def kill_service(cluster, server):
    database.kill_service(cluster, server)


def kill_daemon(cluster, server):
    cluster.exec(server, ["/usr/bin/pkill", "-KILL", "-x", "kagamid"], check=True)


def kill_driver(cluster, server):
    postmaster = database.postmaster(cluster, server)
    database.kill_driver(cluster, server)
    wait_until(lambda: database.in_sync(database.mirror_status(cluster, server)), SETTLE_S, "the driver back")
    assert database.postmaster(cluster, server) == postmaster, "PostgreSQL was restarted: it saw an I/O error"


def kill_standby_driver(cluster, server):
    database.kill_driver(cluster, web.other_node(cluster, server))


def kill_both_drivers(cluster, server):
    for node in cluster.node_names:
        database.kill_driver(cluster, node)


def kill_driver_and_daemon(cluster, server):
    cluster.exec(server, ["/usr/bin/pkill", "-KILL", "-x", "kagamid|kagami-mirrord"], check=True)


def kill_driver_again_and_again(cluster, server):
    for _ in range(5):
        database.kill_driver(cluster, server)
        pause(0.1)


def stop_driver(cluster, server):
    """It hangs, for good."""
    cluster.exec(server, ["/usr/bin/pkill", "-STOP", "-x", "kagami-mirrord"], check=True)


def partition(cluster, server):
    cluster.cut("node1", "node2")
    pause(1.5)
    cluster.heal()


def partition_and_kill_the_winner(cluster, server):
    """What the loser has is old: it must wait for the winner."""
    cluster.cut("node1", "node2")
    pause(1.5)
    winner = next(node for node in cluster.node_names if database.is_online(cluster.cluster_status(node)))
    cluster.kill(*cluster.node_names)
    cluster.heal()
    cluster.boot(web.other_node(cluster, winner))
    pause(1)
    cluster.boot(winner)


def cut_mirror(cluster, server):
    cluster.cut("node1", "node2", net="mirror")
    pause(1)
    cluster.heal()


FAULTS = (kill_node, kill_standby, kill_both_nodes, freeze_node, kill_service, kill_daemon, kill_driver, kill_standby_driver,
          kill_both_drivers, kill_driver_and_daemon, kill_driver_again_and_again, stop_driver, cut_mirror, partition,
          partition_and_kill_the_winner)


@pytest.mark.slow
def test_no_acknowledged_commit_is_lost_in_cycles_of_kills(cluster, db):
    drawn = random.Random(SEED)
    faults = [*FAULTS, *(drawn.choice(FAULTS) for _ in range(CYCLES - len(FAULTS)))]
    drawn.shuffle(faults)
    for number, fault in enumerate(faults, 1):
        server = db.wait_commit(SETTLE_S, since=time.time())["server"]
        pause(drawn.uniform(0, 0.3))
        fault(cluster, server)
        db.wait_commit(SETTLE_S, since=time.time())
        settled(cluster, db.serving())
        assert db.lost() == [], f"after cycle {number}, {fault.__name__}, seed {SEED}"
    assert copies_are_equal(cluster)


@pytest.mark.slow
def test_a_flapping_mirror_link_moves_nothing_and_loses_nothing(cluster, db):
    server = db.serving()
    since = time.time()
    alone = times_noted(cluster, server, "goes on alone")
    for seconds in (0.02, 0.1, 0.3, 0.05, 1.0, 0.2, 0.02, 0.5):
        cluster.cut("node1", "node2", net="mirror")
        pause(seconds)
        cluster.heal()
        pause(seconds)
    settled(cluster, server)
    assert db.servers(since) == {server}
    assert times_noted(cluster, server, "goes on alone") > alone
    assert copies_are_equal(cluster)


def rewrite(cluster, node, mebibytes):
    """A file, in place."""
    cluster.exec(node, ["/usr/bin/dd", "if=/dev/urandom", "of=/mnt/db/filler", "bs=1M", f"count={mebibytes}", "conv=notrunc,fsync"],
                 check=True)


@pytest.mark.slow
def test_a_resync_that_is_interrupted_twenty_times_comes_to_its_end(cluster, db):
    server = db.serving()
    drawn = random.Random(SEED)
    begun = times_noted(cluster, server, "copies ")
    ended = times_noted(cluster, server, "copied: ")
    for number in range(20):
        cluster.cut("node1", "node2", net="mirror")
        rewrite(cluster, server, 60)
        cluster.heal()
        wait_until(lambda: times_noted(cluster, server, "copies ") > begun + number, SETTLE_S, "the beginning of a resync")
        pause(drawn.uniform(0, 0.03))
    interrupted = 20 - (times_noted(cluster, server, "copied: ") - ended)
    settled(cluster, server)
    assert interrupted >= 5
    assert copies_are_equal(cluster)


FIO = ["/usr/bin/fio", "--name=verify", "--directory=/mnt/db", "--size=24m", "--bs=4k", "--rw=randwrite", "--ioengine=libaio",
       "--iodepth=16", "--direct=1", "--verify=crc32c", "--verify_fatal=1", "--loops=4", "--output-format=terse"]


@pytest.mark.slow
def test_fio_verifies_while_the_driver_is_killed_again_and_again(cluster, db):
    server = db.serving()
    killed_enough = threading.Event()
    results = []

    def run():
        while not (results and (killed_enough.is_set() or results[-1].returncode != 0)):
            results.append(cluster.exec(server, FIO))

    worker = threading.Thread(target=run)
    worker.start()
    for _ in range(8):
        pause(0.5)
        database.kill_driver(cluster, server)
    killed_enough.set()
    worker.join(120)
    assert not worker.is_alive()
    assert results[-1].returncode == 0, results[-1].stdout + results[-1].stderr
    settled(cluster, server)
    other = web.other_node(cluster, server)
    database.move(cluster, other)
    done = cluster.exec(other, [*FIO, "--verify_only"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert copies_are_equal(cluster)


def test_a_stopped_standby_driver_costs_a_pause_and_no_error(cluster, db):
    server = db.serving()
    standby = web.other_node(cluster, server)
    cluster.exec(standby, ["/usr/bin/pkill", "-STOP", "-x", "kagami-mirrord"], check=True)
    moment = time.time()
    try:
        db.wait_commit(SETTLE_S, since=moment + 1.5)
    finally:
        cluster.exec(standby, ["/usr/bin/pkill", "-CONT", "-x", "kagami-mirrord"], check=True)
    assert db.gap(moment) < 1.5
    settled(cluster, server)


def test_a_copy_that_is_not_current_is_never_started(cluster, db):
    server = db.serving()
    standby = web.other_node(cluster, server)
    cluster.cut("node1", "node2", net="mirror")
    wait_until(lambda: database.standing(cluster, server, standby) == "stale", SETTLE_S, "the standby's copy stale in the register")
    done = cluster.exec(server, ["kagami", "group", "move", "db", "--to", standby])
    assert done.returncode != 0 and "stale" in done.stdout + done.stderr
    cluster.kill(server)
    pause(3)
    cluster.heal()
    status = cluster.cluster_status(standby)
    group = next(group for group in status["groups"] if group["name"] == "db")
    assert group["state"] != "Online"
    cluster.boot(server)
    db.wait_commit(SETTLE_S, by=server, since=time.time())
    settled(cluster, server)
