"""Scripts and commands as users of the product with the clp* commands have them, unchanged: a database's start.sh and stop.sh that
branch on CLP_EVENT, CLP_DISK and CLP_SERVER, a UPS group for each server whose stop.sh branches on CLP_FACTOR and CLP_LASTACTION,
and runbooks that call clpgrp, clpdown, clpstdn and clpstat."""

import pytest
from devcluster import config as configuration
from devcluster import wait_until
from scenario.watch import all_well, group_of, is_member, wait_status

NOTES = "/var/lib/kagami/notes"
TOOLS = {"pg_tool": "database", "ups_tool": "ups"}  # the fake tools write down what they are told
TOOL = """#!/bin/sh
echo "NAME $*" >>NOTES
"""

DATABASE_START = f"""#!/bin/sh
label() {{ echo "$1"; echo "label $1" >>{NOTES}; }}
if [ "$CLP_EVENT" = "START" ]
then
    if [ "$CLP_DISK" = "SUCCESS" ]
    then
        label NORMAL1
        /var/lib/kagami/pg_tool start || exit 1
        if [ "$CLP_SERVER" = "HOME" ]
        then
            label NORMAL2
        else
            label ON_OTHER1
        fi
    else
        label ERROR_DISK
        exit 1
    fi
elif [ "$CLP_EVENT" = "FAILOVER" ]
then
    if [ "$CLP_DISK" = "SUCCESS" ]
    then
        label FAILOVER1
        /var/lib/kagami/pg_tool start || exit 1
        if [ "$CLP_SERVER" = "HOME" ]
        then
            label FAILOVER2
        else
            label ON_OTHER2
        fi
    else
        label ERROR_DISK
        exit 1
    fi
else
    label NO_CLP
    exit 1
fi
label EXIT
exit 0
"""

DATABASE_STOP = DATABASE_START.replace("pg_tool start", "pg_tool stop").replace("label $1", "stop label $1")

UPS_START = """#!/bin/sh
exit 0
"""
UPS_STOP = f"""#!/bin/sh
if [ "$CLP_EVENT" = "START" -o "$CLP_EVENT" = "FAILOVER" ]
then
    if [ "$CLP_FACTOR" = "CLUSTERSHUTDOWN" -o "$CLP_FACTOR" = "SERVERSHUTDOWN" ]
    then
        case "$CLP_LASTACTION" in
        REBOOT) /var/lib/kagami/ups_tool reboot ;;
        HALT)   /var/lib/kagami/ups_tool shutdown ;;
        *)      /var/lib/kagami/ups_tool nothing ;;
        esac
    fi
else
    echo "NO_CLP" >>{NOTES}
    exit 1
fi
exit 0
"""

GROUPS = """
[[group]]
name = "db"
nodes = ["node1", "node2"]
[[group.resource]]
type = "exec"
name = "postgres"
""" + "".join(f"""
[[group]]
name = "ups{n}"
nodes = ["node{n}"]
stop_wait = {{ groups = ["db"], at = ["cluster-stop", "node-stop"], timeout = "60s" }}
[[group.resource]]
type = "exec"
name = "agent{n}"
""" for n in (1, 2))
STARTED_AT_HOME = ["label NORMAL1", "database start", "label NORMAL2", "label EXIT"]
STOPPED_AT_HOME = ["stop label NORMAL1", "database stop", "stop label NORMAL2", "stop label EXIT"]
FAILED_OVER = ["label FAILOVER1", "database start", "label ON_OTHER2", "label EXIT"]


def install_tools(cluster):
    for node in cluster.node_names:
        for file, name in TOOLS.items():
            path = cluster.paths.var(node) / file
            path.write_text(TOOL.replace("NAME", name).replace("NOTES", NOTES))
            path.chmod(0o755)


@pytest.fixture(scope="module")
def cluster(module_cluster):
    text = configuration.base(["node1", "node2"], True, "lan") + GROUPS
    scripts = {"db/postgres/start.sh": DATABASE_START, "db/postgres/stop.sh": DATABASE_STOP}
    for n in (1, 2):
        scripts |= {f"ups{n}/agent{n}/start.sh": UPS_START, f"ups{n}/agent{n}/stop.sh": UPS_STOP}
    cluster = module_cluster(prepare=install_tools, config_text=text, scripts=scripts)
    wait_status(cluster, "node1", all_well, 60, "the cluster whole")
    return cluster


def notes(cluster, node):
    file = cluster.paths.var(node) / "notes"
    return file.read_text().splitlines() if file.exists() else []


def forget(cluster):
    for node in cluster.node_names:
        (cluster.paths.var(node) / "notes").unlink(missing_ok=True)


def clp(cluster, node, *words):
    """What the command says on standard output, line by line."""
    done = cluster.exec(node, list(words), timeout=120)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.splitlines()


def at_home(cluster):
    """Everything runs, the database on its home server."""
    wait_status(cluster, "node1", all_well, 90, "the cluster whole")
    if clp(cluster, "node1", "clpgrp", "-n", "db") != ["node1"]:
        assert clp(cluster, "node1", "clpgrp", "-m", "db", "-a", "node1") == ["Command succeeded."]
    forget(cluster)


def wait_off(cluster, *nodes):
    for node in nodes:
        wait_until(lambda: not cluster.is_running(node), 60, f"the end of {node}")
        cluster.kill(node)  # what is left of it outside


def test_the_start_script_takes_the_branch_of_an_ordinary_start_at_home(cluster):
    assert notes(cluster, "node1") == STARTED_AT_HOME
    assert not notes(cluster, "node2")
    assert clp(cluster, "node2", "clpgrp", "-n", "db") == ["node1"]


def test_group_stop_and_start_take_the_ordinary_branches_and_tell_no_ups(cluster):
    at_home(cluster)
    assert clp(cluster, "node2", "clpgrp", "-t", "db") == ["Command succeeded."]
    assert notes(cluster, "node1") == STOPPED_AT_HOME
    assert cluster.exec("node1", ["clpgrp", "-n", "db"]).returncode == 1
    assert clp(cluster, "node2", "clpgrp", "-s", "db", "-h", "node2") == ["Command succeeded."]
    assert notes(cluster, "node2") == ["label NORMAL1", "database start", "label ON_OTHER1", "label EXIT"]
    assert clp(cluster, "node1", "clpgrp", "-t", "ups1") == ["Command succeeded."]
    assert clp(cluster, "node1", "clpgrp", "-s", "ups1") == ["Command succeeded."]
    assert not [line for line in notes(cluster, "node1") if line.startswith("ups")]


def test_a_lost_server_takes_the_branches_of_a_failover(cluster):
    at_home(cluster)
    cluster.kill("node1")
    wait_status(cluster, "node2", lambda s: group_of(s, "db")["current_node"] == "node2" and group_of(s, "db")["state"] == "Online",
                60, "db on node2")
    assert notes(cluster, "node2") == FAILED_OVER
    cluster.boot("node1")
    wait_status(cluster, "node2", lambda s: is_member(s, "node1"), 60, "node1 back")


@pytest.mark.parametrize(("words", "told"), [(["clpdown"], "ups shutdown"), (["clpdown", "-r"], "ups reboot"),
                                             (["clpdown", "-h", "node1"], "ups shutdown")])
def test_clpdown_tells_the_ups_of_that_server_after_the_database_has_stopped(cluster, words, told):
    at_home(cluster)
    asked_on = "node2" if "-h" in words else "node1"
    assert clp(cluster, asked_on, *words) == ["Command succeeded."]
    wait_off(cluster, "node1")
    assert notes(cluster, "node1") == [*STOPPED_AT_HOME, told]
    wait_status(cluster, "node2", lambda s: group_of(s, "db")["current_node"] == "node2" and group_of(s, "db")["state"] == "Online",
                60, "db on node2")
    assert not [line for line in notes(cluster, "node2") if line.startswith("ups")]
    assert any("node1" in line and "Offline" in line for line in clp(cluster, "node2", "clpstat"))
    cluster.boot("node1")
    wait_status(cluster, "node2", lambda s: is_member(s, "node1"), 60, "node1 back")


@pytest.mark.parametrize(("words", "told"), [(["clpstdn"], "ups shutdown"), (["clpstdn", "-r"], "ups reboot")])
def test_clpstdn_tells_every_ups_last(cluster, words, told):
    at_home(cluster)
    assert clp(cluster, "node2", *words) == ["Command succeeded."]
    wait_off(cluster, "node1", "node2")
    assert notes(cluster, "node1") == [*STOPPED_AT_HOME, told]
    assert notes(cluster, "node2") == [told]
    forget(cluster)
    cluster.boot("node1", "node2")
    wait_status(cluster, "node1", all_well, 90, "everything started again")
    assert notes(cluster, "node1") == STARTED_AT_HOME


def test_clpcl_stops_the_service_of_one_server_and_the_machine_stays_on(cluster):
    at_home(cluster)
    assert clp(cluster, "node1", "clpcl", "-t") == ["Stop node1 : Command succeeded."]
    assert notes(cluster, "node1") == [*STOPPED_AT_HOME, "ups nothing"]
    wait_status(cluster, "node2", lambda s: group_of(s, "db")["current_node"] == "node2" and group_of(s, "db")["state"] == "Online",
                60, "db on node2")
    assert cluster.is_running("node1")

    def back():  # the command may return a moment before the daemon has ended
        cluster.start_service("node1")
        return is_member(cluster.cluster_status("node2"), "node1")

    wait_until(back, 60, "node1 back")


def test_every_page_of_clpstat_names_what_runs(cluster):
    at_home(cluster)
    plain = clp(cluster, "node1", "clpstat")
    assert " Cluster : dev" in plain and "  *node1 ...........: Online" in plain and "     current        : node1" in plain
    assert "   server0 [o] : db[o] ups1[o]" in clp(cluster, "node2", "clpstat", "-g")
    beats = clp(cluster, "node1", "clpstat", "-n")
    assert "   HB0 : lanhb1" in beats and " [on server1 : Online]" in beats
    assert [line for line in beats if line.startswith("  server")][:2] == ["  server0    : o o o", "  server1    : o o -"]
    for view, title in (("-m", "MONITOR RESOURCE STATUS"), ("-f", "FENCING STATUS"), ("-p", "NETWORK PARTITION"), ("-i", "CLUSTER INFORMATION")):
        assert title in clp(cluster, "node1", "clpstat", view)[0]
    assert "  Servers that can run the Group     : node1 node2" in clp(cluster, "node2", "clpstat", "--grp", "db", "--detail")


def test_the_configuration_is_pulled_checked_changed_and_pushed(cluster):
    at_home(cluster)
    assert clp(cluster, "node1", "clpcfctrl", "--pull", "-l", "-x", "/var/lib/kagami/pulled") == ["Command succeeded."]
    pulled = cluster.paths.var("node1") / "pulled"
    assert (pulled / "scripts/db/postgres/stop.sh").read_text() == DATABASE_STOP
    toml = pulled / "cluster.toml"
    toml.write_text(toml.read_text().replace('[cluster]\n', '[cluster]\ncomment = "pushed"\n'))
    assert clp(cluster, "node1", "clpcfchk", "-o", "/var/lib/kagami/checked", "-i", "/var/lib/kagami/pulled") == ["Command succeeded."]
    rows = (cluster.paths.var("node1") / "checked/cfcheck.csv").read_text().splitlines()
    assert 'TRUE,"group db",' in rows and not [row for row in rows if row.startswith("FALSE")]
    assert clp(cluster, "node1", "clpcfctrl", "--push", "-l", "-x", "/var/lib/kagami/pulled") == ["Command succeeded."]
    wait_until(lambda: "  Comment                            : pushed" in clp(cluster, "node2", "clpstat", "--cl"), 20,
               "the configuration on node2")
    assert not notes(cluster, "node1")


def test_messages_counters_times_and_health_answer(cluster):
    at_home(cluster)
    assert clp(cluster, "node1", "clplogcmd", "-m", "backup done", "-l", "WARN") == ["Command succeeded."]
    assert "backup done" in cluster.exec("node1", ["kagami", "log", "--limit", "100"]).stdout
    assert clp(cluster, "node1", "clphealthchk") == []
    assert [line.split(" (")[0] for line in clp(cluster, "node1", "clpregctrl", "--get")] == ["node1 : 0", "node2 : 0"]
    assert clp(cluster, "node1", "clpperfc", "-g", "db")[0].startswith("start time  : ")
    assert clp(cluster, "node1", "clptoratio", "-r", "2", "-t", "2m") == ["Command succeeded."]
    assert clp(cluster, "node2", "clptoratio", "-i") == ["Command succeeded."]
    assert clp(cluster, "node1", "clprsc", "-t", "postgres") == ["Command succeeded."]
    assert clp(cluster, "node1", "clprsc", "-s", "postgres") == ["Command succeeded."]
    assert notes(cluster, "node1") == STOPPED_AT_HOME + STARTED_AT_HOME
    for operation in ("--suspend", "--resume"):
        assert len(clp(cluster, "node2", "clpcl", operation)) == 2
