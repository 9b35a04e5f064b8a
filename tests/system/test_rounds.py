"""Random faults on real processes: two sides never serve at once, and the cluster always comes back."""

import os
import random
import time

import pytest
from scenario.prober import Prober, thawed
from scenario.watch import all_well, wait_status

ROUNDS = 20


def faults(cluster, random_source, thaws):
    """(what is done, how it is undone) of one fault. Pauses that ended are added to `thaws`."""
    node = random_source.choice(cluster.node_names)
    other = next(name for name in cluster.node_names if name != node)
    third = random_source.choice([other, "witness"])
    return random_source.choice([
        (f"power loss of {node}", lambda: cluster.kill(node), lambda: cluster.boot(node)),
        ("power loss of the witness", lambda: cluster.kill("witness"), lambda: cluster.boot("witness")),
        (f"cut {node} and {third}", lambda: cluster.cut(node, third), cluster.heal),
        (f"one-way cut {node} to {third}", lambda: cluster.cut(node, third, one_way=True), cluster.heal),
        (f"one network cut at {node}", lambda: cluster.cut(node, other, net="net1"), cluster.heal),
        (f"{node} isolated", lambda: (cluster.cut(node, other), cluster.cut(node, "witness")), cluster.heal),
        (f"{node} frozen", lambda: cluster.freeze(node), lambda: thaws.append(thawed(cluster, node))),
    ])


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_random_rounds_never_have_two_sides_and_always_end_well(new_cluster):
    seed = int(os.environ.get("KAGAMI_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed} (KAGAMI_SEED repeats it)")
    source = random.Random(seed)
    cluster = new_cluster(profile="fast")
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    thaws = []
    with Prober(cluster) as prober:
        for number in range(ROUNDS):
            what, begin, end = faults(cluster, source, thaws)
            print(f"round {number}: {what}", flush=True)
            start = prober.wait_served(30, since=time.time(), what=f"service before round {number}")["wall"]
            begin()
            prober.wait_seen_until(start + source.uniform(0.1, 3.0), 20)
            end()
            for node in cluster.node_names:
                wait_status(cluster, node, all_well, 40, f"the cluster whole after round {number} ({what}), seed {seed}")
            assert prober.both_sides(thaws=thaws) == 0, f"two sides served in round {number} ({what}), seed {seed}"
        assert prober.both_sides(thaws=thaws) == 0
