"""What people and broken disks do to a running cluster: each a clear answer that names the object and the remedy, and nothing lost."""

import json
import shutil
import subprocess
import time

import pytest
from devcluster import wait_until
from devcluster import config as configuration
from scenario.watch import all_well, group_of, is_member, log_entries, node_of, wait_status


@pytest.fixture(scope="module")
def cluster(module_cluster):
    cluster = module_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    return cluster


def with_group(cluster, name, scripts, resource_lines="", fip=""):
    """cluster.toml of the cluster with one more group of an exec resource `job`, beside its scripts."""
    base = (cluster.paths.etc("node1") / "cluster.toml").read_text()
    text = base + f'\n[[group]]\nname = "{name}"\nnodes = ["node1"]\n' + fip
    text += f'[[group.resource]]\ntype = "exec"\nname = "job"\n{resource_lines}'
    etc = cluster.paths.etc("node1")
    for script, (body, mode) in scripts.items():
        path = etc / "scripts" / name / "job" / script
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(body)
        path.chmod(mode)
    (etc / "next.toml").write_text(text)
    return "/etc/kagami/next.toml"


def apply(cluster, path):
    done = cluster.exec("node1", ["kagami", "config", "apply", path, "--yes", "--wait", "--timeout", "30s"])

    def both_know():
        versions = {cluster.cluster_status(node)["configuration_version"] for node in ("node1", "node2")}
        return len(versions) == 1

    # The node that was asked learns with the leader's next renewal what is in force, and refuses to build on less.
    wait_until(both_know, 10, "one configuration on both nodes")
    return done


def restore(cluster):
    done = apply(cluster, "/etc/kagami/cluster.toml")
    assert done.returncode == 0, done.stderr


def group_error(cluster, name, words):
    """The message of the group once it has failed."""
    def failed(status):
        group = group_of(status, name)
        return group is not None and group["state"] == "Error"

    wait_status(cluster, "node1", failed, 30, f"group {name} in Error")
    told = json.dumps(group_of(cluster.cluster_status(), name))
    for word in words:
        assert word in told
    return told


def test_a_broken_configuration_changes_nothing_and_names_every_problem(cluster):
    before = cluster.cluster_status()["configuration_version"]
    text = (cluster.paths.etc("node1") / "cluster.toml").read_text()
    (cluster.paths.etc("node1") / "broken.toml").write_text(text.replace('name = "fip1"', 'nmae = "fip1"').replace("20s", "20"))
    done = apply(cluster, "/etc/kagami/broken.toml")
    assert done.returncode == 2
    assert "broken.toml:" in done.stderr and 'did you mean "name"' in done.stderr and "unit" in done.stderr
    assert cluster.cluster_status()["configuration_version"] == before


def test_two_resources_with_one_address_are_refused(cluster):
    fip = '[[group.resource]]\ntype = "fip"\nname = "fip2"\naddress = "10.77.1.100/24"\n'
    done = apply(cluster, with_group(cluster, "twice", {"start.sh": ("#!/bin/sh\n", 0o700), "stop.sh": ("#!/bin/sh\n", 0o700)}, fip=fip))
    assert done.returncode == 2 and "10.77.1.100" in done.stderr


def test_an_address_that_another_host_answers_is_refused_with_its_hardware_address(cluster):
    cluster.exec("client", ["ip", "addr", "add", "10.77.1.101/24", "dev", "net1"], check=True)
    try:
        fip = '[[group.resource]]\ntype = "fip"\nname = "fip2"\naddress = "10.77.1.101/24"\n'
        scripts = {"start.sh": ("#!/bin/sh\nexit 0\n", 0o700), "stop.sh": ("#!/bin/sh\nexit 0\n", 0o700)}
        done = apply(cluster, with_group(cluster, "taken", scripts, fip=fip))
        assert done.returncode == 0, done.stderr
        group_error(cluster, "taken", ["10.77.1.101", "02:"])
        assert "10.77.1.101" not in cluster.exec("node1", ["ip", "addr"]).stdout
    finally:
        cluster.exec("client", ["ip", "addr", "del", "10.77.1.101/24", "dev", "net1"])
        cluster.exec("node1", ["kagami", "group", "stop", "taken", "--yes", "--wait"])
        restore(cluster)


@pytest.mark.parametrize("name, start, lines, words", [
    ("hangs", ("#!/bin/sh\nsleep 600\n", 0o700), 'start_timeout = "1s"\n', ["start.sh", "within 1 s"]),
    ("fails", ("#!/bin/sh\necho no licence >&2\nexit 3\n", 0o700), "", ["start.sh", "3", "no licence"]),
])
def test_a_start_script_that_hangs_or_fails_is_named_with_what_it_said(cluster, name, start, lines, words):
    scripts = {"start.sh": start, "stop.sh": ("#!/bin/sh\nexit 0\n", 0o700)}
    try:
        done = apply(cluster, with_group(cluster, name, scripts, lines))
        assert done.returncode == 0, done.stderr
        group_error(cluster, name, words)
    finally:
        cluster.exec("node1", ["kagami", "group", "stop", name, "--yes", "--wait"])
        restore(cluster)


def test_a_missing_script_is_refused_before_anything_changes(cluster):
    done = apply(cluster, with_group(cluster, "missing", {"stop.sh": ("#!/bin/sh\n", 0o700)}))
    assert done.returncode == 2 and "start.sh" in done.stderr


def test_a_script_outside_that_is_not_roots_is_not_run(cluster):
    script = cluster.paths.etc("node1") / "foreign.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o777)
    scripts = {"stop.sh": ("#!/bin/sh\nexit 0\n", 0o700)}
    try:
        done = apply(cluster, with_group(cluster, "foreign", scripts, 'start = "/etc/kagami/foreign.sh"\n'))
        assert done.returncode == 0, done.stderr
        group_error(cluster, "foreign", ["/etc/kagami/foreign.sh", "writ"])
    finally:
        cluster.exec("node1", ["kagami", "group", "stop", "foreign", "--yes", "--wait"])
        restore(cluster)


def test_a_used_token_and_a_foreign_token_are_refused(new_cluster):
    one = new_cluster(witness=False)
    token = one.kagami("node1", "token", "node2").stdout
    other = new_cluster(witness=False)
    first = one.exec("node2", ["kagami", "join", "-"], input=token)
    assert first.returncode != 0 and "already" in first.stderr  # node2 has keys and a store: nothing is overwritten
    shutil.rmtree(one.paths.etc("client"), ignore_errors=True)
    foreign = other.exec("client", ["kagami", "join", "-"], input=token)
    assert foreign.returncode != 0 and foreign.stderr.strip()


def store_of(cluster, node):
    return cluster.paths.var(node) / "voter.store"


def incarnation(cluster, node):
    return node_of(cluster.cluster_status("node1"), node)["incarnation"]


def reboot(cluster, node, change=lambda: None):
    """Power loss, `change` while it is off, power on; returns when node1 has admitted the new incarnation."""
    before = incarnation(cluster, node)
    cluster.kill(node)
    change()
    cluster.boot(node)
    wait_status(cluster, "node1", lambda s: all_well(s) and node_of(s, node)["incarnation"] != before, 30, f"{node} back")


def settled(cluster, quiet_s=1.5):
    """Returns once the document has not changed for a while: nothing is left to be admitted."""
    seen = {"version": None, "since": 0.0}

    def quiet():
        version = cluster.cluster_status("node1")["document_version"]
        if version != seen["version"]:
            seen.update(version=version, since=time.monotonic())
        return time.monotonic() - seen["since"] >= quiet_s

    wait_until(quiet, 20, "a document at rest", 0.1)


def test_a_store_with_one_flipped_slot_starts_with_a_warning_and_one_with_two_is_refused(new_cluster):
    cluster = new_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    store = store_of(cluster, "node2")

    def flip_one():
        whole = store.read_bytes()
        store.write_bytes(whole[:1000] + bytes([whole[1000] ^ 0xFF]) + whole[1001:])

    reboot(cluster, "node2", flip_one)
    cluster.kill("node2")
    broken = bytearray(store.read_bytes())
    for offset in range(64, len(broken), 512):
        broken[offset] ^= 0xFF
    store.write_bytes(bytes(broken))
    cluster.boot("node2")
    log = cluster.paths.log("node2", "daemon")
    wait_until(lambda: "critical" in log.read_text(), 10, "the refusal")
    refusal = log.read_text().split("critical")[1]
    assert "voter.store" in refusal and "kagami join" in refusal
    wait_status(cluster, "node1", lambda s: not is_member(s, "node2"), 10, "node2 outside")


def test_a_store_restored_from_an_older_image_is_recognised_and_its_voter_replaced(new_cluster):
    cluster = new_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    old = store_of(cluster, "node2").read_bytes()
    reboot(cluster, "node2")  # a new admission renews the nonce that the old image does not have
    settled(cluster)  # until then the register accepts the former nonce, too (docs/protocol.md 3)
    reboot(cluster, "node2", lambda: store_of(cluster, "node2").write_bytes(old))

    def replaced():
        codes = {entry["code"] for node in ("node1", "node2") for entry in log_entries(cluster, node)}
        return {"store-mismatch", "voter-replaced"} <= codes

    wait_until(replaced, 10, "the replaced voter", 0.1)


@pytest.fixture
def small_disk():
    """small_disk(directory): from now on a full file system of 16 MiB with the directory's files."""
    mounted = []

    def make(directory):
        kept = directory.with_name("kept")
        shutil.copytree(directory, kept)
        subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", directory], check=True)
        mounted.append(directory)
        shutil.copytree(kept, directory, dirs_exist_ok=True)
        shutil.rmtree(kept)
        with pytest.raises(OSError):
            (directory / "filler").write_bytes(bytes(32 << 20))

    yield make
    for directory in mounted:
        subprocess.run(["/bin/umount", "-l", directory], check=True)


def test_a_full_disk_under_the_state_directory_does_not_stop_a_failover(new_cluster, small_disk):
    cluster = new_cluster()
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    reboot(cluster, "node2", lambda: small_disk(cluster.paths.var("node2")))
    cluster.kill("node1")

    def serves(status):
        group = group_of(status, "web")
        return group["current_node"] == "node2" and group["state"] == "Online"

    wait_status(cluster, "node2", serves, 20, "web on node2")


def test_a_stop_script_that_fails_is_told_and_the_group_starts_nowhere_else(new_cluster):
    group, scripts = configuration.web_group(["node1", "node2"])
    group = group.replace('start_mode = "async"\n', 'start_mode = "async"\non_deactivation_failure = { retry = 0, final = "no-operation-stop-here" }\n')
    scripts["web/nginx/stop.sh"] = "#!/bin/sh\necho cannot stop >&2\nexit 7\n"
    cluster = new_cluster(config_text=configuration.base(["node1", "node2"], True, "lan") + group, scripts=scripts)
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    moved = cluster.exec("node1", ["kagami", "group", "move", "web", "--to", "node2", "--wait", "--timeout", "20s"])
    assert moved.returncode != 0
    status = cluster.cluster_status("node1")
    assert group_of(status, "web")["current_node"] == "node1"
    assert "stop.sh" in json.dumps(group_of(status, "web"))
