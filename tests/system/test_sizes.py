"""Many groups, many nodes: nothing is forgotten, and only one side of a split serves. Times: scripts/bench size."""

import pytest
from devcluster import config
from scenario import sizes
from scenario.watch import all_well, wait_status

NODES = 16
GROUPS = 100


@pytest.mark.slow
@pytest.mark.alone
def test_a_hundred_groups_start_move_and_fail_over(new_cluster):
    text, scripts = config.dummies(["node1", "node2"], "lan", GROUPS)
    cluster = new_cluster(profile="lan", config_text=text, scripts=scripts, client=False)
    sizes.well(cluster, "node1")
    print(sizes.group_phases(cluster))
    status = cluster.cluster_status("node2")
    assert len(status["groups"]) == GROUPS and all(group["current_node"] == "node2" for group in status["groups"])


@pytest.mark.slow
@pytest.mark.alone
def test_sixteen_nodes_form_lose_their_leader_and_are_split(new_cluster):
    names = [f"node{n}" for n in range(1, NODES + 1)]
    text, scripts = config.dummies(names, "lan", 4)
    cluster = new_cluster(nodes=NODES, profile="lan", config_text=text, scripts=scripts, client=False)
    sizes.well(cluster, "node1")
    print(f"leader lost: {sizes.lose_leader(cluster):.2f} s")
    assert len(sizes.split(cluster)) == 1
    wait_status(cluster, "node1", all_well, 120, "the cluster complete again")
