"""Every kind of monitor in a whole cluster: normal beside a service that runs, what a script says in the status, monitors that
are combined, and a script that stays ends with its group's stay."""

import pytest
from devcluster import config as configuration
from devcluster import wait_until
from scenario.watch import all_well, group_of, wait_status

FLAG = "/run/out-of-order"
MONITORS = """
[[monitor]]
type = "psw"
name = "by-name"
target = "nginx"
process = "nginx: master process*"
[[monitor]]
type = "httpw"
name = "web-page"
target = "nginx"
server = "FLOATING"
method = "GET"
expect = ["200"]
[[monitor]]
type = "fipw"
name = "address"
target = "fip1"
link_check = true
[[monitor]]
type = "arpw"
name = "announce"
target = "fip1"
[[monitor]]
type = "genw"
name = "flag"
script = "flag.sh"
target = "nginx"
[[monitor]]
type = "genw"
name = "resident"
script = "resident.sh"
mode = "async"
stop_timeout = "1s"
target = "nginx"
[[monitor]]
type = "mtw"
name = "together"
monitors = ["flag", "by-name"]
caution_threshold = 1
target = "nginx"
[[monitor]]
type = "diskw"
name = "disk"
object = "/var/lib/kagami/disk-test"
method = "write"
size = 100000
[[monitor]]
type = "ipw"
name = "neighbours"
addresses = ["10.77.1.1", "10.77.1.2"]
rule = "all"
[[monitor]]
type = "miiw"
name = "link"
interface = "INTERFACE"
ethtool = true
[[monitor]]
type = "userw"
name = "on-time"
limit = "5s"
write_bytes = 10000
make_thread = true
[[monitor]]
type = "resw"
name = "room"
minimum_memory = 1
minimum_disk = 1
"""
ALONE = ["disk", "neighbours", "link", "on-time", "room"]
COMMON = 'interval = "1s"\ntimeout = "20s"\non_error = { restart = 0, failover = 0 }\n'
FLAG_SCRIPT = f"#!/bin/sh\nif [ -e {FLAG} ]; then echo out of order; exit 1; fi\necho in order\n"
RESIDENT_SCRIPT = "#!/bin/sh\nexec -a resident-of-kagami sleep 100000\n".replace("/bin/sh", "/bin/bash")


@pytest.fixture
def watched(new_cluster):
    def prepare(cluster):
        text, scripts = configuration.default(cluster.node_names, True, "lan")
        links = cluster.exec("node1", ["ip", "-o", "-4", "addr"], check=False).stdout.splitlines()
        interface = next(line.split()[1] for line in links if "10.77.1.1/" in line)
        monitors = MONITORS.replace("FLOATING", configuration.FLOATING).replace("INTERFACE", interface)
        cluster.config_text = text + monitors.replace('[[monitor]]\n', '[[monitor]]\n' + COMMON)
        cluster.scripts = {**scripts, "monitors/flag/flag.sh": FLAG_SCRIPT, "monitors/resident/resident.sh": RESIDENT_SCRIPT}

    cluster = new_cluster(prepare=prepare)
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    return cluster


def on_node(status, name, node):
    monitor = next(m for m in status["monitors"] if m["name"] == name)
    return next(each for each in monitor["nodes"] if each["node"] == node)


def states(status, node):
    return {monitor["name"]: on_node(status, monitor["name"], node) for monitor in status["monitors"]}


def residents(cluster, node):
    return cluster.exec(node, ["pgrep", "-x", "-f", "resident-of-kagami 100000"], check=False).stdout.split()


def test_every_kind_is_normal_beside_a_service_that_runs_and_tells_what_it_finds(watched):
    owner = group_of(watched.cluster_status())["current_node"]
    other = "node2" if owner == "node1" else "node1"

    def normal(status):
        return all(state["state"] == "Online" for state in states(status, owner).values())

    wait_status(watched, owner, normal, 30, "every monitor normal on the owner")
    there = states(watched.cluster_status(), other)
    assert {name for name, state in there.items() if state["state"] == "Online"} == set(ALONE), there
    assert len(residents(watched, owner)) == 1 and not residents(watched, other)

    watched.exec(owner, ["touch", FLAG])
    wait_status(watched, owner, lambda s: on_node(s, "together", owner)["state"] == "Caution", 20, "the combined monitor")
    told = states(watched.cluster_status(), owner)
    assert told["flag"]["state"] == "Online Failure"
    assert told["flag"]["message"] == "out of order (flag.sh ended with exit status 1)"
    assert told["together"]["message"] == "1 of 2 monitors in error: flag"
    watched.exec(owner, ["rm", FLAG])
    wait_status(watched, owner, normal, 20, "every monitor normal again")

    watched.kagami(owner, "group", "move", "web", "--wait")
    wait_status(watched, other, lambda s: all(state["state"] == "Online" for state in states(s, other).values()), 30,
                "every monitor normal on the other node")
    wait_until(lambda: not residents(watched, owner), 20, "the end of the script that stays")
    assert len(residents(watched, other)) == 1
