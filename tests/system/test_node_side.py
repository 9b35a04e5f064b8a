"""What a node does by itself, in a whole cluster: scripts around the steps of a resource, single resources, a node that is
unmanaged, and a final action that ends the machine."""

import pytest
from devcluster import config as configuration
from devcluster import wait_until
from scenario.watch import all_well, group_of, is_member, node_of, wait_status

HOOKS = "/var/lib/kagami/hooks"
GROUP = """
[[group]]
name = "jobs"
nodes = ["node1", "node2"]
[[group.resource]]
type = "exec"
name = "job"
start_mode = "async"
start = "start.sh"
stop = "stop.sh"
scripts = { before_activation = "hook.sh", after_activation = "hook.sh", before_deactivation = "hook.sh", after_deactivation = "hook.sh" }
[[group.resource]]
type = "exec"
name = "extra"
start_mode = "async"
after = ["job"]
[[monitor]]
type = "pidw"
name = "job-alive"
target = "job"
interval = "1s"
on_error = { restart = 0, failover = 0, final = "reset" }
"""
START = "#!/bin/sh\nexec sleep 1000001\n"
EXTRA = "#!/bin/sh\nexec sleep 1000002\n"
STOP = "#!/bin/sh\nexit 0\n"
UPS = "/var/lib/kagami/ups"
# The stop script of a UPS group as users of the reference product have it; the tool is a fake.
UPS_STOP = f"""#!/bin/sh
ups_tool() {{ echo "$@" >>{UPS}; }}
if [ "$CLP_EVENT" = "START" -o "$CLP_EVENT" = "FAILOVER" ]; then
    if [ "$CLP_FACTOR" = "CLUSTERSHUTDOWN" -o "$CLP_FACTOR" = "SERVERSHUTDOWN" ]; then
        if [ "$CLP_LASTACTION" = "REBOOT" ]; then ups_tool reboot in 60
        elif [ "$CLP_LASTACTION" = "HALT" ]; then ups_tool off in 60
        else ups_tool nothing
        fi
    fi
else
    ups_tool "no cluster"
fi
exit 0
"""
HOOK = f"""#!/bin/sh
echo "$CLP_TIMING $CLP_EVENT $CLP_DISK $CLP_SERVER ${{CLP_FACTOR:--}} ${{CLP_LASTACTION:--}}" >>{HOOKS}
"""


@pytest.fixture(scope="module")
def cluster(module_cluster):
    text = configuration.base(["node1", "node2"], True, "lan") + GROUP
    scripts = {"jobs/job/start.sh": START, "jobs/job/stop.sh": STOP, "jobs/job/hook.sh": HOOK,
               "jobs/extra/start.sh": EXTRA, "jobs/extra/stop.sh": UPS_STOP}
    cluster = module_cluster(config_text=text, scripts=scripts)
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    return cluster


def running(cluster, node, seconds):
    return cluster.exec(node, ["/usr/bin/pgrep", "-x", "-f", f"sleep {seconds}"], check=False).stdout.split()


def hooks(cluster, node):
    return cluster.exec(node, ["cat", HOOKS], check=False).stdout.splitlines()


def test_scripts_run_around_the_steps_with_the_words_of_the_catalogue(cluster):
    assert hooks(cluster, "node1") == ["PRESTART START SUCCESS HOME - -", "POSTSTART START SUCCESS HOME - -"]
    cluster.kagami("node1", "group", "move", "jobs", "--to", "node2", "--wait")
    assert hooks(cluster, "node1")[2:] == ["PRESTOP START SUCCESS HOME GROUPMOVE NONE", "POSTSTOP START SUCCESS HOME GROUPMOVE NONE"]
    assert hooks(cluster, "node2") == ["PRESTART START SUCCESS OTHER - -", "POSTSTART START SUCCESS OTHER - -"]
    cluster.kagami("node1", "group", "move", "jobs", "--to", "node1", "--wait")


def test_a_single_resource_is_stopped_and_started_while_its_group_goes_on(cluster):
    job = running(cluster, "node1", 1000001)
    cluster.kagami("node1", "resource", "stop", "extra", "--yes", "--wait")
    assert not running(cluster, "node1", 1000002) and running(cluster, "node1", 1000001) == job
    assert group_of(cluster.cluster_status(), "jobs")["state"] == "Online"
    cluster.kagami("node1", "resource", "start", "extra", "--wait")
    assert running(cluster, "node1", 1000002) and running(cluster, "node1", 1000001) == job


def test_services_of_an_unmanaged_node_run_on_without_its_daemon_and_its_networks(cluster):
    job = running(cluster, "node1", 1000001)
    cluster.kagami("node2", "maintenance", "begin", "--node", "node1", "--kind", "unmanaged", "--for", "30min", "--yes", "--wait",
                   timeout=60)
    for other in ("node2", "witness"):
        cluster.cut("node1", other)
    wait_status(cluster, "node2", lambda s: node_of(s, "node1")["member_state"] == "LOST", 30, "the loss of node1")
    assert running(cluster, "node1", 1000001) == job and not running(cluster, "node2", 1000001)
    cluster.exec("node1", ["/usr/bin/pkill", "-KILL", "-x", "kagamid"])  # started again, without anybody to talk to
    wait_until(lambda: cluster.exec("node1", ["/usr/bin/pgrep", "-x", "kagamid"]).stdout, 20, "the daemon back")
    frozen = cluster.exec("node1", ["ps", "-o", "stat=", "-p", job[0]]).stdout
    assert frozen.startswith("S")
    cluster.heal()
    wait_status(cluster, "node2", lambda s: is_member(s, "node1"), 30, "node1 back")
    cluster.kagami("node2", "maintenance", "end", "--node", "node1", "--wait")
    wait_status(cluster, "node1", lambda s: group_of(s, "jobs")["state"] == "Online", 30, "the group taken over again")
    assert running(cluster, "node1", 1000001) == job


def test_a_final_action_resets_the_machine_and_the_group_goes_elsewhere(cluster):
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    cluster.exec("node1", ["/usr/bin/pkill", "-KILL", "-x", "-f", "sleep 1000001"])
    wait_until(lambda: not cluster.is_running("node1"), 20, "the end of node1")
    wait_status(cluster, "node2", lambda s: group_of(s, "jobs")["current_node"] == "node2", 30, "the group on node2")
    assert running(cluster, "node2", 1000001)
    cluster.kill("node1")  # what is left of it outside
    cluster.boot("node1")
    wait_status(cluster, "node2", lambda s: is_member(s, "node1"), 60, "node1 back")
    assert node_of(cluster.cluster_status("node2"), "node1")["final_actions"] == 1
    cluster.kagami("node2", "node", "clear-final-actions", "node1", "--wait")
    wait_status(cluster, "node2", lambda s: node_of(s, "node1").get("final_actions", 0) == 0, 10, "the count reset")


@pytest.mark.parametrize(("words", "factor", "told"), [
    (["node", "reboot", "node2"], "SERVERSHUTDOWN REBOOT", "reboot in 60"),
    (["node", "shutdown", "node2"], "SERVERSHUTDOWN HALT", "off in 60"),
    (["node", "shutdown", "node2", "--service-only"], "SERVERSHUTDOWN NONE", "nothing"),
])
def test_stop_scripts_learn_how_the_operating_system_ends(cluster, words, factor, told):
    wait_status(cluster, "node1", all_well, 60, "the cluster whole")
    if group_of(cluster.cluster_status(), "jobs")["current_node"] != "node2":
        cluster.kagami("node1", "group", "move", "jobs", "--to", "node2", "--wait")
    cluster.exec("node2", ["rm", "-f", HOOKS, UPS], check=True)
    cluster.kagami("node1", *words, "--yes", "--wait", timeout=60)
    if "--service-only" not in words:
        wait_until(lambda: not cluster.is_running("node2"), 30, "the end of node2")
        cluster.kill("node2")  # what is left of it outside
        cluster.boot("node2")
    seen = [(line.split()[0], *line.split()[4:]) for line in hooks(cluster, "node2")[:2]]
    assert seen == [("PRESTOP", *factor.split()), ("POSTSTOP", *factor.split())]
    assert cluster.exec("node2", ["cat", UPS]).stdout.splitlines() == [told]
    if "--service-only" in words:
        cluster.start_service("node2")
