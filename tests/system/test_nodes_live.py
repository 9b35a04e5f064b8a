"""Nodes come and go while the cluster runs: a third one joins, one of the first two is removed, and the new one takes over."""

import re

import pytest
from devcluster import config, wait_until
from scenario.watch import all_well, group_of, wait_status

TWO, THREE = ["node1", "node2"], ["node1", "node2", "node3"]
SETTLE_S = 60


def form_of_two(cluster):
    """node3's machine runs, and is no node of the cluster yet."""
    cluster._write_configuration("node1")
    cluster.kagami("node1", "init", "--config", "/etc/kagami/cluster.toml", "--node", "node1")
    cluster.enable("node1")
    wait_until(cluster.cluster_status, SETTLE_S, "an answer of node1")
    for name in ("node2", "witness"):
        join(cluster, name)
    wait_status(cluster, "node1", all_well, SETTLE_S, "the two nodes in the cluster")


def join(cluster, name):
    cluster.kagami(name, "join", "-", input=cluster.kagami("node1", "token", name).stdout)
    cluster.enable(name)


def apply(cluster, text):
    (cluster.paths.etc("node1") / "new.toml").write_text(text)
    return cluster.kagami("node1", "config", "apply", "/etc/kagami/new.toml", "--yes", "--wait", "--timeout", "30s")


def without_node2(text):
    """The others keep their numbers."""
    text = re.sub(r'\[\[node\]\]\nname = "node2"\naddress = \{[^}]*\}\n', "", text).replace('"node2", ', "")
    return text.replace('name = "node3"\n', 'name = "node3"\nid = 3\n')


@pytest.mark.slow
def test_a_node_is_added_and_another_removed_while_the_groups_run(new_cluster):
    text, scripts = config.dummies(TWO, "lan", 2)
    cluster = new_cluster(prepare=lambda made: None, form=form_of_two, nodes=3, profile="lan", config_text=text, scripts=scripts,
                          client=False)
    three, _ = config.dummies(THREE, "lan", 2)
    apply(cluster, three)
    join(cluster, "node3")
    wait_status(cluster, "node1", lambda s: len(s["nodes"]) == 3 and all(n["member_state"] == "MEMBER" and n["lease"] for n in s["nodes"]),
                SETTLE_S, "three nodes in the cluster")
    cluster.kagami("node1", "group", "move", "g1", "--to", "node3", "--wait", "--timeout", "30s")
    (cluster.paths.etc("node1") / "new.toml").write_text(without_node2(three))
    refused = cluster.exec("node1", ["kagami", "config", "apply", "/etc/kagami/new.toml", "--yes"])
    assert refused.returncode == 4 and "node2" in refused.stderr  # it is a member still
    cluster.kagami("node1", "node", "shutdown", "node2", "--service-only", "--yes", "--wait", "--timeout", "30s")
    apply(cluster, without_node2(three))
    wait_status(cluster, "node1", all_well, SETTLE_S, "the two that are left, and the witness with a vote again")
    assert {group_of(cluster.cluster_status(), name)["current_node"] for name in ("g1", "g2")} == {"node1", "node3"}
    cluster.kill("node1")
    wait_status(cluster, "node3", lambda s: all(g["state"] == "Online" and g["current_node"] == "node3" for g in s["groups"]), SETTLE_S,
                "every group on node3")
