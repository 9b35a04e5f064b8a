"""The node container itself, without cluster software: what the other system tests stand on."""

import json
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


@pytest.mark.parametrize("nodes", [1, 17])
def test_a_number_of_nodes_out_of_range_is_refused(nodes):
    with pytest.raises(DevClusterError, match="2 to 16"):
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


def test_guard_mirror_driver_and_script_helper_are_always_started_again(init, tmp_path):
    for name in ("kagami-guard", "kagami-mirrord", "kagami-script-helper", "kagamid"):
        script(tmp_path, name, "exit 0")
    one = init("--bin", tmp_path)
    always = ("guard", "mirror-driver", "script-helper")
    wait_until(lambda: all(len(one.starts(name)) > 3 for name in always), 5, "four starts")
    assert len(one.starts("daemon")) == 1
    lines = [line for line in one.log.read_text().splitlines() if ": started" in line]
    assert [line.split()[1].rstrip(":") for line in lines[:4]] == [*always, "daemon"]


def test_a_node_without_the_mirror_driver_runs_the_rest(init, tmp_path):
    for name in ("kagami-guard", "kagami-script-helper", "kagamid"):
        script(tmp_path, name, "sleep 1000")
    one = init("--bin", tmp_path)
    wait_until(lambda: one.starts("daemon"), 5, "the daemon")
    assert not one.starts("mirror-driver")


KEEPER = """
import json, os, socket, sys, array
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])

def store(lines, *descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    notify.sendmsg([lines.encode()], rights)

def kept(content):
    read, write = os.pipe()
    os.write(write, content.encode())
    return read

def given():
    count = int(os.environ.get("LISTEN_FDS", 0))
    assert count == 0 or os.environ["LISTEN_PID"] == str(os.getpid())
    return list(zip(os.environ["LISTEN_FDNAMES"].split(":"), range(3, 3 + count))) if count else []

def tell(**what):
    with open(sys.argv[1] + ".new", "w") as file:
        json.dump({"pid": os.getpid(), **what}, file)
    os.rename(sys.argv[1] + ".new", sys.argv[1])

round = int(sys.argv[2])
BODY
"""


@pytest.fixture
def keeper(init, tmp_path):
    """keeper(BODY of a Python program that knows the functions above) -> (init, told): told(n) waits for the n-th start and
    returns what it has told."""

    def make(body):
        program, told, starts = tmp_path / "keeper.py", tmp_path / "told", tmp_path / "starts"
        program.write_text(KEEPER.replace("BODY", body))
        run = script(tmp_path, "keeper", f"echo >>{starts}\nexec {PYTHON} {program} {told} $(wc -l <{starts})\n")
        one = init("--program", f"keeper={run}")

        def what(start):
            def now():
                value = json.loads(told.read_text()) if told.exists() else {}
                return value if value.get("round") == start else None

            wait_until(now, 5, f"start {start} of the keeper")
            return now()

        return one, what

    return make


PAUSE = "\nimport signal; signal.pause()\n"


def test_stored_descriptors_come_back_with_their_names_when_the_program_is_killed(keeper):
    one, told = keeper("""
got = [[name, os.read(fd, 99).decode()] for name, fd in given()]
if round == 1:
    store("FDSTORE=1\\nFDNAME=md1\\nFDPOLL=0", kept("first"))
    store("READY=1\\nSTATUS=at work")
    store("FDSTORE=1\\nFDNAME=md2\\nFDPOLL=0", kept("second"), kept("third"))
tell(round=round, got=got)
""" + PAUSE)
    assert told(1)["got"] == []
    os.kill(told(1)["pid"], signal.SIGKILL)
    assert told(2)["got"] == [["md1", "first"], ["md2", "second"], ["md2", "third"]]


def test_what_a_program_stored_in_its_last_moment_is_kept(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
tell(round=round, names=names)
if round > 20: import signal; signal.pause()
store(f"FDSTORE=1\\nFDNAME=n{round}\\nFDPOLL=0", kept(""))
os.kill(os.getpid(), 9)
""")
    assert told(21)["names"] == [f"n{start}" for start in range(1, 21)]


def test_removed_descriptors_do_not_come_back_and_are_closed(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
if round == 1:
    for name in ("md1", "md1", "md2"): store(f"FDSTORE=1\\nFDNAME={name}\\nFDPOLL=0", kept(""))
    store("FDSTOREREMOVE=1")  # names nothing
    store("FDSTOREREMOVE=1\\nFDNAME=md3")
    store("FDSTOREREMOVE=1\\nFDNAME=md1")
tell(round=round, names=names)
""" + PAUSE)
    os.kill(told(1)["pid"], signal.SIGKILL)
    assert told(2)["names"] == ["md2"]
    assert one.log.read_text().count("descriptor md1 given up") == 2


def test_an_open_file_is_kept_once_and_at_most_64_of_them(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
if round == 1:
    same = kept("")
    for _ in range(3): store("FDSTORE=1\\nFDNAME=same\\nFDPOLL=0", same)
    for _ in range(10): store("FDSTORE=1\\nFDNAME=many\\nFDPOLL=0", *[kept("") for _ in range(7)])
tell(round=round, names=names)
""" + PAUSE)
    os.kill(told(1)["pid"], signal.SIGKILL)
    assert told(2)["names"] == ["same"] + ["many"] * 63
    descriptors = os.listdir(f"/proc/{one.process.pid}/fd")
    assert len(descriptors) < 64 + 16


def test_strange_notifications_change_nothing(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
if round == 1:
    for name in ("", "a:b", "a\\tb", "x" * 256): store(f"FDSTORE=1\\nFDNAME={name}", kept(""))
    for lines in ("", "\\n\\n", "FDSTORE", "FDSTORE=2", "FDNAME=md1", "=", "FDSTORE=1"): store(lines)
    store("FDNAME=md1", kept(""))           # not asked to keep it
    store("FDSTORE=1\\n" + "x" * 5000, kept(""))  # too long
tell(round=round, names=names)
""" + PAUSE)
    os.kill(told(1)["pid"], signal.SIGKILL)
    assert told(2)["names"] == ["stored"] * 4


def test_only_the_program_itself_can_store(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
if round == 1 and os.fork() == 0:
    store("FDSTORE=1\\nFDNAME=md1\\nFDPOLL=0", kept(""))
    os._exit(0)
tell(round=round, names=names)
""" + PAUSE)
    wait_until(lambda: "which is no program, ignored" in one.log.read_text(), 5, "the refusal")
    os.kill(told(1)["pid"], signal.SIGKILL)
    assert told(2)["names"] == []


def test_a_program_that_ended_on_purpose_loses_its_descriptors(keeper):
    one, told = keeper("""
names = [name for name, fd in given()]
store("FDSTORE=1\\nFDNAME=md1\\nFDPOLL=0", kept(""))
tell(round=round, names=names)
""")
    wait_until(lambda: "keeper: ended" in one.log.read_text(), 5, "the end")
    before = len(os.listdir(f"/proc/{one.process.pid}/fd"))
    one.process.send_signal(signal.SIGUSR1)
    assert told(2)["names"] == []
    wait_until(lambda: one.log.read_text().count("keeper: ended") == 2, 5, "the second end")
    assert len(os.listdir(f"/proc/{one.process.pid}/fd")) == before


def test_a_machine_can_see_and_abort_its_fuse_connections(bare):
    if not os.path.isdir("/sys/fs/fuse"):
        pytest.skip("SKIPPED: this kernel has no FUSE")
    assert text(bare, "node1", "stat", "-f", "-c", "%T", "/sys/fs/fuse/connections") == "fusectl"
