"""The node container itself, without cluster software: what the other system tests stand on."""

import os
import pathlib
import signal
import subprocess
import threading

import pytest
from devcluster import DevCluster, DevClusterError, wait_until
from devcluster.cluster import default_bin
from devcluster.container import WATCHDOG
from devcluster.layout import Paths

PYTHON = "/usr/bin/python3"
SEND = "import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(sys.argv[1]); " \
       "[s.send(m.encode()) for m in sys.argv[2:]]"


@pytest.fixture
def bare(new_cluster):
    return new_cluster(bare=True, witness=False)


def text(cluster, machine, *argv):
    return cluster.exec(machine, argv, check=True).stdout.strip()


def answers(cluster, a, b, network="net1"):
    """An ARP question, so that nothing depends on a neighbour cache."""
    argv = ["arping", "-q", "-c1", "-w1", "-I", network, cluster.address(b, network)]
    return cluster.exec(a, argv).returncode == 0


def to_watchdog(cluster, machine, *messages):
    cluster.exec(machine, [PYTHON, "-c", SEND, WATCHDOG, *messages], check=True)


def counter(cluster, machine):
    """Starts a process that appends a byte every 5 ms; returns a function that reads how many."""
    file = cluster.paths.var(machine) / "count"
    loop = "import select\nf=open('/var/lib/kagami/count','ab',0)\nwhile True: f.write(b'x'); select.select([],[],[],0.005)"
    cluster.popen(machine, [PYTHON, "-c", loop])

    def count():
        return file.stat().st_size if file.exists() else 0

    wait_until(lambda: count() > 0, 5, "the counting process")
    return count


def quiet(count, for_s=0.1):
    """Whether count() stands still for a while; the only way to see that something does NOT happen."""
    before = count()
    threading.Event().wait(for_s)
    return count() == before


def test_machines_differ_in_name_boot_id_clocks_and_process_ids(bare):
    names = {m: text(bare, m, "hostname") for m in bare.machine_names}
    assert names == {m: m for m in bare.machine_names}
    assert len({text(bare, m, "cat", "/proc/sys/kernel/random/boot_id") for m in bare.machine_names}) == 3
    uptimes = sorted(float(text(bare, m, "cut", "-d.", "-f1", "/proc/uptime")) for m in bare.machine_names)
    assert all(later - earlier > 10 for earlier, later in zip(uptimes, uptimes[1:]))
    pids = sorted(int(text(bare, m, "sh", "-c", "echo $$")) for m in bare.machine_names)
    assert pids[0] >= 2000 and pids[1] - pids[0] > 500
    assert text(bare, "node1", "cat", "/proc/1/comm") == "kagami-node-ini"


def test_the_disk_survives_a_loss_of_power_and_run_does_not(bare):
    text(bare, "node1", "sh", "-c", "echo kept > /var/lib/kagami/a; echo kept > /etc/kagami/b; touch /run/c /dev/shm/d")
    boot_id = text(bare, "node1", "cat", "/proc/sys/kernel/random/boot_id")
    bare.kill("node1")
    assert not bare.is_running("node1")
    bare.boot("node1")
    assert text(bare, "node1", "cat", "/var/lib/kagami/a", "/etc/kagami/b") == "kept\nkept"
    assert bare.exec("node1", ["ls", "/run/c"]).returncode != 0
    assert bare.exec("node1", ["ls", "/dev/shm/d"]).returncode != 0
    assert text(bare, "node1", "cat", "/proc/sys/kernel/random/boot_id") != boot_id
    assert answers(bare, "node2", "node1")


def test_kill_ends_everything_even_a_stopped_process(bare):
    count = counter(bare, "node1")
    bare.popen("node1", ["sh", "-c", "kill -STOP $$"])
    wait_until(lambda: "T" in text(bare, "node1", "ps", "-o", "stat=", "-e"), 5, "a stopped process")
    bare.kill("node1")
    assert quiet(count)
    assert not answers(bare, "node2", "node1")


def test_a_cut_loses_arp_too_and_only_where_asked(bare):
    bare.cut("node1", "node2", net="net1")
    assert not answers(bare, "node1", "node2", "net1")
    assert answers(bare, "node1", "node2", "net2")
    assert answers(bare, "node1", "client", "net1")
    bare.heal()
    assert answers(bare, "node1", "node2", "net1")


def test_a_cut_outlives_a_boot_and_another_handle_sees_it(bare):
    bare.cut("node1", "node2")
    bare.kill("node2")
    bare.boot("node2")
    other = DevCluster.open(bare.paths.top)
    assert len(other.status()["cuts"]) == 4
    assert not answers(other, "node1", "node2")
    other.heal("node1", "node2", net="net1")
    assert answers(bare, "node1", "node2", "net1")
    assert not answers(bare, "node1", "node2", "net2")


def test_a_one_way_cut_loses_one_direction(bare):
    assert answers(bare, "node1", "node2")
    text(bare, "node1", "ping", "-c1", "-W1", bare.address("node2"))  # both know the other's address now
    bare.cut("node1", "node2", one_way=True)
    receive = "import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',7000)); s.settimeout(3);" \
              "print('ready',flush=True); print(s.recvfrom(9)[1][0])"
    send = "import socket,sys; socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',(sys.argv[1],7000))"
    to_node1 = bare.popen("node1", [PYTHON, "-c", receive], stdout=subprocess.PIPE)
    to_node2 = bare.popen("node2", [PYTHON, "-c", receive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for receiver in (to_node1, to_node2):
        assert receiver.stdout.readline() == "ready\n"
    text(bare, "node1", PYTHON, "-c", send, bare.address("node2"))
    text(bare, "node2", PYTHON, "-c", send, bare.address("node1"))
    assert to_node1.communicate()[0] == bare.address("node2") + "\n"
    assert to_node2.communicate()[0] == ""


def test_freeze_stops_processes_and_links_and_thaw_lets_them_go_on(bare):
    count = counter(bare, "node1")
    bare.freeze("node1")
    assert bare.status()["machines"]["node1"]["state"] == "frozen"
    assert quiet(count)
    assert not answers(bare, "node2", "node1")
    before = count()
    bare.thaw("node1")
    wait_until(lambda: count() > before, 5, "the process to go on")
    assert answers(bare, "node2", "node1")


def test_a_frozen_machine_can_lose_its_power(bare):
    bare.freeze("node1")
    bare.kill("node1")
    bare.boot("node1")
    assert answers(bare, "node2", "node1")


def test_an_unpetted_watchdog_is_a_loss_of_power(bare):
    count = counter(bare, "node1")
    to_watchdog(bare, "node1", "arm 300")
    wait_until(lambda: not bare.is_running("node1"), 5, "the reset by the watchdog")
    assert quiet(count)
    assert "power lost" in bare.paths.log("node1", "node-init").read_text()
    bare.boot("node1")
    assert answers(bare, "node2", "node1")


def test_the_watchdog_works_when_everything_else_is_stopped(bare):
    counter(bare, "node1")
    to_watchdog(bare, "node1", "arm 500")
    bare.popen("node1", ["sh", "-c", "kill -STOP -1; kill -STOP $$"])
    wait_until(lambda: not bare.is_running("node1"), 5, "the reset by the watchdog")


def test_a_petted_watchdog_and_a_disarmed_one_do_nothing(bare):
    pet = "import socket,sys,select; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(sys.argv[1])\n" \
          "s.send(b'arm 300')\nfor _ in range(20): select.select([],[],[],0.05); s.send(b'pet')\ns.send(b'disarm')"
    text(bare, "node1", PYTHON, "-c", pet, WATCHDOG)
    assert bare.is_running("node1")
    assert quiet(lambda: bare.is_running("node1"), 0.5)


def test_a_strange_message_to_the_watchdog_is_named_and_changes_nothing(bare):
    strange = ["arm", "arm 0", "arm -5", "arm 99999999999", "arm 3x", "", "petting", "x" * 500]
    log = bare.paths.log("node1", "node-init")
    to_watchdog(bare, "node1", "arm 60000")
    for number, message in enumerate(strange, 1):
        to_watchdog(bare, "node1", message)
        wait_until(lambda: log.read_text().count("not understood") == number, 5, f"the refusal of '{message}' in the log")
    assert bare.is_running("node1")


def test_a_paused_machine_pauses_its_watchdog(bare):
    to_watchdog(bare, "node1", "arm 400")
    bare.freeze("node1")
    assert quiet(lambda: bare.is_running("node1"), 0.8)
    assert bare.is_running("node1")
    bare.thaw("node1")
    to_watchdog(bare, "node1", "disarm")
    assert bare.is_running("node1")


def test_a_hung_machine_is_reset_by_its_watchdog(bare):
    to_watchdog(bare, "node1", "arm 300")
    bare.freeze("node1", watchdog_runs=True)
    wait_until(lambda: not bare.is_running("node1"), 5, "the reset by the watchdog")


def test_the_end_of_popen_is_the_end_of_the_process_inside(bare):
    process = bare.popen("client", ["sleep", "1000"])
    wait_until(lambda: bare.exec("client", ["pgrep", "-x", "sleep"]).returncode == 0, 5, "the process inside")
    process.kill()
    process.wait(5)
    wait_until(lambda: bare.exec("client", ["pgrep", "-x", "sleep"]).returncode == 1, 5, "its end")


def test_two_clusters_stand_side_by_side(new_cluster):
    one, two = (new_cluster(bare=True, witness=False) for _ in range(2))
    one.cut("node1", "node2")
    one.kill("client")
    assert answers(two, "node1", "node2") and answers(two, "node1", "client")
    one.down()
    assert answers(two, "node1", "node2")


def test_down_leaves_nothing(bare):
    cgroup = bare._container("node1", None).cgroup.top.parent
    pids = [machine["pid"] for machine in bare.status()["machines"].values()]
    assert cgroup.exists()
    bare.freeze("node2")
    bare.down()
    assert not cgroup.exists()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 5, "the end of every process 1")
    assert str(bare.paths.top) not in pathlib.Path("/proc/self/mounts").read_text()
    assert not bare.paths.top.exists()


def test_refusals_name_the_object_and_the_remedy(bare):
    with pytest.raises(DevClusterError, match="no machine node7 in this cluster; it has: node1, node2, client"):
        bare.boot("node7")
    with pytest.raises(DevClusterError, match="no network net9"):
        bare.cut("node1", "node2", net="net9")
    with pytest.raises(DevClusterError, match="node1 cannot be cut from itself"):
        bare.cut("node1", "node1")
    with pytest.raises(DevClusterError, match="node1 runs already"):
        bare.boot("node1")
    with pytest.raises(DevClusterError, match="already; end it with: devcluster down"):
        DevCluster(bare.paths.top, bare=True).up()
    bare.kill("node1")
    with pytest.raises(DevClusterError, match="node1 is off; boot it first"):
        bare.exec("node1", ["true"])
    with pytest.raises(DevClusterError, match="node1 is off; boot it first"):
        bare.freeze("node1")


@pytest.mark.parametrize("directory", ["/run/x", "/dev/shm/x", "/etc/kagami"])
def test_a_directory_that_is_hidden_inside_a_node_is_refused(directory):
    with pytest.raises(DevClusterError, match="choose another --dir"):
        Paths(directory)


@pytest.mark.parametrize("nodes", [1, 6])
def test_a_number_of_nodes_out_of_range_is_refused(nodes):
    with pytest.raises(DevClusterError, match="2 to 5"):
        DevCluster("/var/tmp/kagami-never", nodes=nodes)


def test_a_cluster_without_binaries_says_how_to_build_them(tmp_path):
    with pytest.raises(DevClusterError, match="kagami-node-init not found in .*scripts/build"):
        DevCluster("/var/tmp/kagami-never", bare=True, bin_directory=tmp_path).up()


class Init:
    """kagami-node-init as an ordinary process, for its supervision of programs."""

    def __init__(self, directory, *arguments):
        self.log = directory / "init.log"
        self.watchdog = directory / "watchdog"
        argv = [default_bin() / "kagami-node-init", "--watchdog", self.watchdog, "--log", directory, *arguments]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(argv, stderr=log)

    def starts(self, name):
        lines = self.log.read_text().splitlines()
        return [int(line.rpartition(" ")[2]) for line in lines if f"{name}: started" in line]


@pytest.fixture
def init(tmp_path):
    made = []

    def make(*arguments):
        made.append(Init(tmp_path, *arguments))
        return made[-1]

    yield make
    for one in made:
        one.process.terminate()
        one.process.wait(10)


def script(directory, name, body):
    path = directory / name
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o700)
    return path


def test_a_program_that_ends_is_started_again_at_once(init):
    one = init("--program", "a=/usr/bin/sleep,1000")
    wait_until(lambda: one.starts("a"), 5, "the first start")
    for n in range(1, 4):
        os.kill(one.starts("a")[-1], signal.SIGKILL)
        wait_until(lambda: len(one.starts("a")) == n + 1, 2, "another start")


def test_a_program_that_cannot_run_is_tried_at_most_every_20_ms(init):
    one = init("--program", "a=/nonexistent")
    wait_until(lambda: len(one.starts("a")) >= 10, 5, "ten starts")
    stamps = [float(line.split()[0]) for line in one.log.read_text().splitlines() if "started" in line]
    assert all(later - earlier >= 0.019 for earlier, later in zip(stamps, stamps[1:]))


def test_a_program_that_ends_with_status_0_stays_down_until_asked(init):
    one = init("--program", "a=/bin/true")
    for n in range(1, 4):
        wait_until(lambda: one.log.read_text().count("a: ended") == n, 5, "the end")
        assert quiet(lambda: len(one.starts("a")))
        assert len(one.starts("a")) == n
        one.process.send_signal(signal.SIGUSR1)


def test_guard_and_script_helper_are_always_started_again(init, tmp_path):
    for name in ("kagami-guard", "kagami-script-helper", "kagamid"):
        script(tmp_path, name, "exit 0")
    one = init("--bin", tmp_path)
    wait_until(lambda: len(one.starts("guard")) > 3 and len(one.starts("script-helper")) > 3, 5, "four starts")
    assert len(one.starts("daemon")) == 1


def test_a_start_that_is_asked_for_changes_nothing_in_what_runs(init):
    one = init("--program", "a=/usr/bin/sleep,1000")
    wait_until(lambda: one.starts("a"), 5, "the start")
    one.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "asked to start" in one.log.read_text(), 5, "the request")
    assert len(one.starts("a")) == 1


def test_start_service_reaches_process_1_of_the_machine(bare):
    bare.start_service("node1")
    wait_until(lambda: "asked to start" in bare.paths.log("node1", "node-init").read_text(), 5, "the request")
    assert bare.is_running("node1")


def test_no_restart_leaves_it(init):
    one = init("--program", "a=/bin/false", "--no-restart")
    wait_until(lambda: "a: ended" in one.log.read_text(), 5, "the end")
    assert quiet(lambda: len(one.starts("a")))


def test_programs_start_in_order_and_stop_in_the_opposite_order(init, tmp_path):
    body = 'trap "echo stop $1 >> {0}/order; exit 0" TERM\necho ready $1 >> {0}/order\nwhile :; do sleep 1000 & wait; done'
    path = script(tmp_path, "program", body.format(tmp_path))
    one = init(*[word for name in "abc" for word in ("--program", f"{name}={path},{name}")])
    order = tmp_path / "order"
    wait_until(lambda: order.exists() and order.read_text().count("ready") == 3, 5, "three programs")
    assert one.starts("a") < one.starts("b") < one.starts("c")
    one.process.terminate()
    assert one.process.wait(5) == 0
    assert [line for line in order.read_text().splitlines() if "stop" in line] == ["stop c", "stop b", "stop a"]


def test_a_program_that_ignores_the_stop_is_killed(init, tmp_path):
    path = script(tmp_path, "deaf", 'trap "" TERM\necho ready\nwhile :; do sleep 1000; done')
    one = init("--program", f"deaf={path}", "--stop-timeout", "100")
    wait_until(lambda: (tmp_path / "deaf.log").exists() and "ready" in (tmp_path / "deaf.log").read_text(), 5, "the program")
    one.process.terminate()
    assert one.process.wait(5) == 0
    assert "did not stop in time" in one.log.read_text()


def test_nothing_starts_before_the_condition_holds(init, tmp_path):
    condition = tmp_path / "node.crt"
    one = init("--program", "a=/usr/bin/sleep,1000", "--wait-for", condition)
    wait_until(one.watchdog.exists, 5, "process 1")
    assert quiet(lambda: len(one.starts("a")))
    condition.touch()
    wait_until(lambda: one.starts("a"), 5, "the start")


@pytest.mark.parametrize("arguments, said", [
    (["--program", "sleep"], "expected NAME=/PATH"),
    (["--program", "a=sleep"], "expected NAME=/PATH"),
    (["--stop-timeout", "1s", "--bare"], "not a number of milliseconds"),
    (["extra"], "unexpected argument extra"),
    ([], "--bin DIR is missing"),
])
def test_bad_options_are_refused(arguments, said, tmp_path):
    argv = [default_bin() / "kagami-node-init", "--watchdog", tmp_path / "w", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr


def test_a_watchdog_path_that_is_too_long_is_named(tmp_path):
    argv = [default_bin() / "kagami-node-init", "--bare", "--watchdog", tmp_path / ("x" * 200)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1 and "File name too long" in done.stderr
