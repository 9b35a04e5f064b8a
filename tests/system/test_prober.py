"""The client of demo and benchmarks, on containers without cluster software: it must see what it is there to see."""

import subprocess
import time

import pytest
from devcluster import wait_until
from devcluster.config import FLOATING, WEB_START
from devcluster.layout import CLIENT
from scenario import web
from scenario.prober import Prober


@pytest.fixture
def bare(new_cluster):
    return new_cluster(bare=True, witness=False)


def serve(cluster, node):
    return cluster.popen(node, ["/bin/sh", "-c", WEB_START], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def take_address(cluster, node):
    cluster.exec(node, ["ip", "addr", "add", f"{FLOATING}/24", "dev", "net1"], check=True)
    cluster.exec(node, ["arping", "-q", "-U", "-c1", "-w1", "-S", FLOATING, "-I", "net1", FLOATING])


def drop_address(cluster, node):
    cluster.exec(node, ["ip", "addr", "del", f"{FLOATING}/24", "dev", "net1"], check=True)


def test_a_service_that_moves_has_one_gap_and_never_two_sides(bare):
    take_address(bare, "node1")
    serve(bare, "node1")
    with Prober(bare) as prober:
        prober.wait_served(5, by="node1")
        moment = bare.kill("node1")
        take_address(bare, "node2")
        serve(bare, "node2")
        answer = prober.wait_served(5, by="node2", since=moment)
        gap_s, start = prober.gap(moment)
        assert start <= moment + 0.05 and answer["wall"] - start == pytest.approx(gap_s)
        assert prober.serving() == "node2"
    assert prober.both_sides() == 0
    gaps = prober.summary["targets"]["service"]["gaps"]
    assert [(gap["before"], gap["after"]) for gap in gaps if gap["ms"] == pytest.approx(gap_s * 1000, abs=0.1)] == [("node1", "node2")]


def test_two_sides_that_serve_at_once_are_seen_although_only_one_has_the_address(bare):
    take_address(bare, "node1")
    serve(bare, "node1")
    with Prober(bare) as prober:
        prober.wait_served(5, by="node1")
        serve(bare, "node2")
        wait_until(prober.both_sides, 5, "the sighting")
        assert prober.servers(0) == {"node1"}
    assert prober.summary["both_sides"][0]["servers"] == ["node1", "node2"]


@pytest.mark.alone
def test_a_frozen_service_completes_handshakes_and_does_not_count_as_serving(bare):
    take_address(bare, "node1")
    service = serve(bare, "node1")
    with Prober(bare) as prober:
        prober.wait_served(5, by="node1")
        (bare.system_cgroup("node1") / "cgroup.freeze").write_text("1")
        moment = time.time() + 0.1
        handshake = ["/bin/bash", "-c", f"exec 3<>/dev/tcp/{FLOATING}/80"]
        assert bare.exec(CLIENT, handshake).returncode == 0
        prober.wait_seen_until(moment + 0.5)
        assert not prober.servers(moment)
        errors = {answer["error"] for answer in prober.after(moment + 0.2)}
        assert errors == {"no answer in time"}
        assert prober.gap(moment)[0] > 0.3  # it lasts until now
        (bare.system_cgroup("node1") / "cgroup.freeze").write_text("0")
        prober.wait_served(5, by="node1", since=moment + 0.5)
    assert service.poll() is None


def test_the_own_times_of_the_service_are_measured(bare):
    start_s, stop_s = web.own_times(bare)
    assert 0 < start_s < 5 and 0 < stop_s < 5


@pytest.mark.parametrize("arguments, said", [
    ([], "no target given"),
    (["service"], "expected NAME=ADDRESS:PORT"),
    (["=10.0.0.1:80"], "expected NAME=ADDRESS:PORT"),
    (["a=name:80"], "Name or service not known"),
    (["a=10.0.0.1:http"], "target a=10.0.0.1:http"),
    (["--interval", "0", "a=10.0.0.1:80"], "not a number of milliseconds"),
    (["--timeout", "1s", "a=10.0.0.1:80"], "not a number of milliseconds"),
    (["--output", "/nonexistent/x", "a=10.0.0.1:80"], "/nonexistent/x: No such file"),
])
def test_bad_options_are_refused(bin_directory, arguments, said):
    done = subprocess.run([bin_directory / "kagami-prober", *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode in (1, 2) and said in done.stderr
