"""A mirror driver that hangs, never comes back, or is told to end while its disk is in use."""

import os
import time

import pytest
from devcluster import config, wait_until
from devcluster.cluster import default_bin
from scenario import database, web
from scenario.steps import pause
from scenario.watch import all_well, wait_status

NODES = ["node1", "node2"]
DISKS = {"md1.data": 192 << 20, "md1.meta": config.METADATA_BYTES}
SETTLE_S = 60
KILLED_AFTER_S = 5     # a quarter of driver_timeout
ABORTED_AFTER_S = 20   # driver_timeout
DRIVER = "kagami-mirrord"
# On a node with this file no driver starts any more.
BARRED = "/etc/kagami/no-driver"
WRAPPER = f"""#!/bin/sh
[ ! -e {BARRED} ] || exit 1
exec REAL/{DRIVER} "$@"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The programs under test, with a driver that can be kept from starting."""
    where = tmp_path_factory.mktemp("bin")
    for program in default_bin().iterdir():
        (where / program.name).symlink_to(program)
    wrapper = where / DRIVER
    wrapper.unlink()
    wrapper.write_text(WRAPPER.replace("REAL", str(default_bin())))
    wrapper.chmod(0o755)
    for parent in (where, *where.parents[:3]):
        os.chmod(parent, 0o755)
    return where


@pytest.fixture(scope="module")
def cluster(module_cluster, programs):
    text, scripts = config.database(NODES, "fast", "failovers_per_hour = 1000\n")
    return module_cluster(profile="fast", config_text=text, scripts=scripts, mirror=True, disks=DISKS, bin_directory=programs)


def settled(cluster, node):
    wait_status(cluster, node, all_well, SETTLE_S, "the cluster complete again")
    database.wait_in_sync(cluster, node, SETTLE_S)


@pytest.fixture
def db(cluster):
    """A client that commits, on a cluster that is well; afterwards nothing may be missing."""
    settled(cluster, "node1")
    with database.Committer(cluster) as client:
        client.wait_commit(SETTLE_S)
        yield client
        client.wait_commit(SETTLE_S, since=time.time())
        assert client.lost() == []


def driver_pid(cluster, node):
    return cluster.exec(node, ["/usr/bin/pgrep", "-x", DRIVER]).stdout.strip()


def signal_driver(cluster, node, name):
    moment = time.time()
    cluster.exec(node, ["/usr/bin/pkill", f"-{name}", "-x", DRIVER], check=True)
    return moment


def logged(cluster, node, reason):
    return [line for line in cluster.paths.log(node, "daemon").read_text().splitlines() if f"[{reason}]" in line]


def stuck(cluster, node):
    """Names of the node's threads in uninterruptible sleep."""
    lines = cluster.exec(node, ["/usr/bin/ps", "-eLo", "stat=,comm="], check=True).stdout.splitlines()
    return [line for line in lines if line.startswith("D")]


def test_a_hung_driver_is_killed_and_commits_go_on(cluster, db):
    server = db.serving()
    postmaster = database.postmaster(cluster, server)
    hung = driver_pid(cluster, server)
    moment = signal_driver(cluster, server, "STOP")
    db.wait_commit(KILLED_AFTER_S + 5, by=server, since=moment + 1)
    assert db.gap(moment) < KILLED_AFTER_S + 3
    assert database.postmaster(cluster, server) == postmaster
    assert driver_pid(cluster, server) != hung
    assert logged(cluster, server, "mirror-driver-killed")
    assert not logged(cluster, server, "mirror-aborted")
    settled(cluster, server)
    assert db.servers(moment) == {server}


def test_a_daemon_that_dies_beside_a_hung_driver_finds_it_hung(cluster, db):
    server = db.serving()
    postmaster = database.postmaster(cluster, server)
    moment = signal_driver(cluster, server, "STOP")
    cluster.exec(server, ["/usr/bin/pkill", "-KILL", "-x", "kagamid"], check=True)
    db.wait_commit(KILLED_AFTER_S + 10, by=server, since=moment + 1)
    assert database.postmaster(cluster, server) == postmaster
    assert not logged(cluster, server, "mirror-aborted")
    settled(cluster, server)
    assert db.servers(moment) == {server}


def test_a_driver_that_is_told_to_end_serves_until_its_disk_is_not_used(cluster, db):
    server = db.serving()
    told = driver_pid(cluster, server)
    moment = signal_driver(cluster, server, "TERM")
    pause(KILLED_AFTER_S + 2)
    assert driver_pid(cluster, server) == told
    assert db.gap(moment) < 1
    other = web.other_node(cluster, server)
    database.move(cluster, other)
    wait_until(lambda: driver_pid(cluster, server) not in ("", told), SETTLE_S, "the driver to end and to be started again")
    settled(cluster, other)


def test_a_driver_that_never_comes_back_costs_a_failover_and_nothing_hangs(cluster, db):
    server = db.serving()
    other = web.other_node(cluster, server)
    barred = cluster.paths.etc(server) / os.path.basename(BARRED)
    barred.touch()
    moment = signal_driver(cluster, server, "KILL")
    try:
        db.wait_commit(ABORTED_AFTER_S + 30, by=other, since=moment)
        assert logged(cluster, server, "mirror-aborted")
        wait_status(cluster, other, database.is_online, SETTLE_S, "db Online elsewhere")
        wait_until(lambda: not stuck(cluster, server), 10, "no process that waits for the dead device")
        assert cluster.is_running(server)
    finally:
        barred.unlink()
    settled(cluster, other)
    mounts = cluster.exec(server, ["/usr/bin/cat", "/proc/self/mountinfo"]).stdout
    assert "/run/kagami/mirror/md1/disk" not in mounts


def test_a_driver_that_comes_back_late_serves_again_where_no_other_node_is(cluster, db):
    server = db.serving()
    other = web.other_node(cluster, server)
    cluster.kill(other)
    failures = len(logged(cluster, server, "activation-failed"))
    barred = cluster.paths.etc(server) / os.path.basename(BARRED)
    barred.touch()
    signal_driver(cluster, server, "KILL")
    try:
        wait_until(lambda: logged(cluster, server, "mirror-aborted"), ABORTED_AFTER_S + 10, "the device to be aborted")
        wait_until(lambda: not stuck(cluster, server), 10, "no process that waits for the dead device")
    finally:
        barred.unlink()
    back = time.time()
    try:
        # Either the driver is back before recovery needs it, or recovery has failed: then it is a person's turn.
        wait_until(lambda: db.after(back) or len(logged(cluster, server, "activation-failed")) > failures, SETTLE_S, "the end of recovery")
        if not db.after(back):
            start = ["kagami", "group", "start", database.GROUP, "--wait", "--timeout", f"{SETTLE_S}s"]
            wait_until(lambda: cluster.exec(server, start).returncode == 0, SETTLE_S, "a start once the driver is back", 0.2)
        db.wait_commit(SETTLE_S, by=server, since=back)
    finally:
        cluster.boot(other)
    settled(cluster, server)
