"""Each row of the guard's table (docs/protocol.md 5) on real processes: what dies or stops, and what must happen."""

import time

import pytest
from devcluster import wait_until
from scenario import web
from scenario.prober import Prober, thawed
from scenario.watch import all_well, group_of, is_member, log_entries, wait_status

PAUSE_S = 0.3  # a client's connections may be late by so much on a busy machine; nothing that restarts a service is faster


@pytest.fixture(scope="module")
def cluster(module_cluster):
    cluster = module_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    return cluster


def service(cluster, node):
    """The service's main process (the start script becomes it): the same one as long as nobody restarts the service."""
    return min(web.service_pids(cluster, node))


def settle(cluster, node="node1"):
    wait_status(cluster, node, all_well, 30, "the cluster whole again")


def kill_program(cluster, machine, program):
    """kill -9 of one of the node's own programs; returns once its successor runs."""
    def pids():
        return set(cluster.exec(machine, ["/usr/bin/pgrep", "-f", f"/{program}( |$)"]).stdout.split())

    before = pids()
    assert before, f"{program} does not run on {machine}"
    cluster.exec(machine, ["/bin/kill", "-9", *before], check=True)
    wait_until(lambda: pids() - before, 5, f"the successor of {program} on {machine}", 0.02)


@pytest.mark.parametrize("program", ["kagamid", "kagami-script-helper", "kagami-guard"])
def test_a_killed_program_of_the_owner_costs_the_service_nothing(cluster, program):
    settle(cluster)
    owner = group_of(cluster.cluster_status(), "web")["current_node"]
    before = service(cluster, owner)
    with Prober(cluster) as prober:
        answer = prober.wait_served(5, since=time.time())
        kill_program(cluster, owner, program)
        settle(cluster, owner)
        gap_s, _ = prober.gap(answer["wall"])
        assert prober.servers(answer["wall"]) == {owner}
        assert prober.both_sides() == 0
    assert service(cluster, owner) == before, "the service was restarted"
    assert gap_s < PAUSE_S


def test_a_restarted_script_helper_still_runs_scripts(cluster):
    settle(cluster)
    owner = group_of(cluster.cluster_status(), "web")["current_node"]
    kill_program(cluster, owner, "kagami-script-helper")
    web.move(cluster, web.other_node(cluster, owner))
    web.move(cluster, owner)


@pytest.mark.alone
def test_a_node_that_stands_still_for_less_than_t_hold_keeps_its_group(cluster):
    settle(cluster)
    owner = group_of(cluster.cluster_status(), "web")["current_node"]
    before = service(cluster, owner)
    with Prober(cluster) as prober:
        start = prober.wait_served(5, since=time.time())["wall"]
        cluster.freeze(owner)
        prober.wait_seen_until(start + 0.6)  # T_hold is 2 s
        cluster.thaw(owner)
        prober.wait_served(5, since=start + 0.7)
        settle(cluster, owner)
        assert prober.servers(start) == {owner}
    assert service(cluster, owner) == before


@pytest.mark.alone
def test_a_node_that_stands_still_for_longer_than_t_grant_loses_its_group_and_kills_it_on_waking(cluster):
    settle(cluster)
    owner = group_of(cluster.cluster_status(), "web")["current_node"]
    other = web.other_node(cluster, owner)
    with Prober(cluster) as prober:
        start = prober.wait_served(5, by=owner, since=time.time())["wall"]
        cluster.freeze(owner)
        taken = prober.wait_served(10, by=other, since=start)["wall"]
        thaw = thawed(cluster, owner)
        wait_until(lambda: not web.service_pids(cluster, owner), 10, f"the end of the service on {owner}")
        settle(cluster, other)
        assert prober.servers(taken) == {other}
        assert prober.both_sides(thaws=[thaw]) == 0


def test_a_lost_witness_stops_nothing_and_then_the_tie_holder_goes_on_alone(new_cluster):
    cluster = new_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    with Prober(cluster) as prober:
        start = prober.wait_served(5, since=time.time())["wall"]
        cluster.kill("witness")
        wait_status(cluster, "node1", lambda s: s["witness"]["weight"] == 0, 40, "the witness without a vote")
        cluster.kill("node2")
        wait_status(cluster, "node1", lambda s: not is_member(s, "node2"), 20, "the loss of node2")
        prober.wait_served(5, by="node1", since=prober.walls[-1])
        gap_s, _ = prober.gap(start)
        assert gap_s < PAUSE_S
        cluster.boot("node2", "witness")
        wait_status(cluster, "node1", all_well, 40, "the cluster whole again")
        assert prober.servers(start) == {"node1"} and prober.both_sides() == 0
    reasons = [entry["code"] for entry in log_entries(cluster, "node1")]
    assert "witness-lost" in reasons and "witness-restored" in reasons
