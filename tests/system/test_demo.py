"""scripts/demo as a person runs it: the whole cluster, every step, and its figures."""

import json
import os
import subprocess

import pytest
from devcluster.cluster import SOURCE, default_bin


def demo(*arguments, timeout=300):
    environment = {**os.environ, "KAGAMI_BIN": str(default_bin())}
    return subprocess.run([SOURCE / "scripts" / "demo", *arguments], capture_output=True, text=True, timeout=timeout,
                          env=environment, stdin=subprocess.DEVNULL)


@pytest.mark.slow
def test_the_demo_goes_through_and_two_sides_never_serve_at_once(tmp_path):
    directory = f"/var/tmp/kagami-test-demo-{os.getpid()}"
    done = demo("--script", "--json", tmp_path / "demo.json", "--dir", directory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 steps ok" in done.stdout
    assert " 0 lost, two sides served at once 0 times, 0 blocks differ" in done.stdout
    assert not os.path.exists(directory)
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["name"] == "demo" and figures["profile"] == "lan"
    rows = figures["rows"]
    assert {row["case"] for row in rows} >= {"node_kill", "service_kill", "rejoin", "driver_kill", "restored_backup"}
    assert all("value" in row for row in rows)
    for nothing in ("two_sides_served", "commits_lost", "differing_blocks"):
        assert sum(row["value"] for row in rows if row["figure"] == nothing) == 0
    assert sum(row["value"] for row in rows if row["figure"] == "commits_acknowledged") > 500


@pytest.mark.parametrize("arguments", [["--bogus"], ["--script", "--keep"], ["--profile", "nonsense"]])
def test_what_the_demo_does_not_know_is_refused(arguments):
    done = demo(*arguments)
    assert done.returncode == 2 and "usage: scripts/demo" in done.stderr


def test_clean_without_a_cluster_does_nothing():
    assert demo("--clean", "--dir", "/var/tmp/kagami-never").returncode == 0


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["failover", "--runs", "0"], ["failover", "--case", "x"]])
def test_what_the_bench_does_not_know_is_refused(arguments):
    environment = {**os.environ, "KAGAMI_BIN": str(default_bin())}
    done = subprocess.run([SOURCE / "scripts" / "bench", *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "usage: scripts/bench" in done.stderr
