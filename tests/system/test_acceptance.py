"""The twenty-step evaluation (`kagami accept`) on mirror disks with PostgreSQL, in both variants."""

import json
import pathlib
import subprocess
import sys

import pytest
from devcluster import config, wait_until
from scenario.watch import all_well, wait_status

TOP = pathlib.Path(__file__).resolve().parents[2]
NODES = ["node1", "node2"]
SETTLE_S = 60


def accept(cluster, bin_directory, variant, first):
    devcluster = TOP / "scripts" / "devcluster"
    check = TOP / "tests" / "support" / "scenario" / "acceptance.py"
    top = cluster.paths.top
    return subprocess.run(
        [bin_directory / "kagami", "accept", "--nodes", "node1", "--nodes", "node2", "--yes", "--json", "--variant", variant,
         "--first", first, "--limit", "90s", "--through", f"{devcluster} exec --dir {top} {{node}} --",
         "--boot", f"{devcluster} boot --dir {top} {{node}}", "--check", f"{sys.executable} {check} {top} {{step}}"],
        capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("variant,first", [("automatic", "node2"), ("manual", "node1")])
def test_twenty_steps(new_cluster, bin_directory, variant, first):
    text, scripts = config.acceptance(NODES, "fast", variant == "manual")
    cluster = new_cluster(profile="fast", config_text=text, scripts=scripts, mirror=True, disks=config.ACCEPTANCE_DISKS)
    if variant == "manual":
        for group in config.ACCEPTANCE:
            # Refused until the disks of both nodes have reported.
            start = ["kagami", "group", "start", group, "--wait", "--timeout", "60s"]
            wait_until(lambda: cluster.exec("node1", start).returncode == 0, SETTLE_S, f"the start of group {group}", 0.2)
    wait_status(cluster, "node1", all_well, SETTLE_S, "the cluster complete, its groups Online")
    done = accept(cluster, bin_directory, variant, first)
    report = json.loads(done.stdout)
    print(done.stderr)
    assert done.returncode == 0, done.stderr
    assert report["passed"] and len(report["steps"]) == 20
