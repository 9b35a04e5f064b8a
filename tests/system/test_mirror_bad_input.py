"""Mirror disks that people have set up wrongly, and disks that fail: each a clear answer that names object and remedy, nothing
written to what is not ours, no acknowledged write lost."""

import hashlib
import json
import os
import subprocess

import pytest
from devcluster import config, wait_until
from scenario import database
from scenario.watch import group_of, is_member, wait_status

NODES = ["node1", "node2"]
SIZE = 16 << 20  # as large as the least metadata, so that only the content tells one from the other
SETTLE_S = 30
NO_DISKS = {"none": 0}  # the tests make the files
MD = """
[[group]]
name = "NAME"
nodes = ["node1", "node2"]
[[group.resource]]
type = "md"
name = "NAME"
filesystem = "none"
data = "/srv/NAME/data"
metadata = "/srv/NAME/meta"
port = PORT
MORE
"""


def configuration(names, more):
    """Each mirror is alone in a group of its own name, its files in a directory of its own name."""
    text = config.base(NODES, True, "fast", mirror=True).replace("[cluster]\n", "[cluster]\nfailovers_per_hour = 1000\n")
    for number, name in enumerate(names):
        text += MD.replace("NAME", name).replace("PORT", str(29100 + number)).replace("MORE", more)
    return text


def files(cluster, node, name):
    directory = cluster.paths.disks(node) / name
    return directory / "data", directory / "meta"


def make_files(cluster, names):
    for node in NODES:
        for name in names:
            (cluster.paths.disks(node) / name).mkdir(parents=True)
            for path in files(cluster, node, name):
                make_file(path)


def make_file(path, size=SIZE):
    with open(path, "wb") as file:
        file.truncate(size)


def digest(*paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None for path in paths]


def sentence(mirror, node):
    """All that status says about it: of the mirror, and of one node's copy."""
    copy = next(copy for copy in mirror["copies"] if copy["node"] == node)
    return " ".join([mirror["message"], mirror["remedy"], copy["message"], *copy["warnings"]])


def wait_said(cluster, name, node, words, ask="node1"):
    """Until status names each of the words; returns the mirror's status."""
    said = []

    def all_said():
        mirror = database.mirror_status(cluster, ask, name)
        said[:] = [mirror and sentence(mirror, node)]
        return mirror if mirror and all(word in said[0] for word in words) else None

    try:
        return wait_until(all_said, SETTLE_S, f"{words} in the status of mirror {name}", 0.1)
    except Exception as error:
        raise AssertionError(f"{error}; it says: {said[0]}") from None


def state_of(cluster, name, ask="node1"):
    return group_of(cluster.cluster_status(ask), name)


def wait_online(cluster, name, node, ask="node1"):
    def there(status):
        group = group_of(status, name)
        return group["state"] == "Online" and group["current_node"] == node

    wait_status(cluster, ask, there, SETTLE_S, f"{name} Online on {node}")


def initialise(cluster, node, name, *options):
    cluster.kagami(node, "mirror", "init", name, *options, "--yes", name)


def refuses_to_move(cluster, name, to):
    done = cluster.exec("node1", ["kagami", "group", "move", name, "--to", to])
    assert done.returncode != 0 and name in done.stdout + done.stderr, done.stdout + done.stderr


# --- wrong from the beginning ---

def make_sizes_differ(cluster, data, meta):
    make_file(data, SIZE + 4096)


def make_ext4(cluster, data, meta):
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-F", data], check=True)


def make_unknown(cluster, data, meta):
    with open(data, "r+b") as file:
        file.seek(20000)
        file.write(b"of a kind that nobody knows")


def make_mounted(cluster, data, meta):
    make_ext4(cluster, data, meta)
    point = cluster.paths.top / "mounted"
    point.mkdir()
    subprocess.run(["/usr/bin/mount", "-o", "loop", data, point], check=True)


def make_metadata_small(cluster, data, meta):
    make_file(meta, 4 << 20)


def make_metadata_read_only(cluster, data, meta):
    inside = f"/srv/{data.parent.name}/meta"
    cluster.exec("node2", ["/usr/bin/mount", "--bind", inside, inside], check=True)
    cluster.exec("node2", ["/usr/bin/mount", "-o", "remount,bind,ro", inside], check=True)


def make_missing(cluster, data, meta):
    data.unlink()


def make_same(cluster, data, meta):
    meta.unlink()
    os.link(data, meta)


def make_metadata_foreign(cluster, data, meta):
    make_ext4(cluster, meta, data)


# mirror: (what is done to node2's files, words that must be said)
WRONG = {
    "sizes": (make_sizes_differ, ["node1 " + str(SIZE), "node2 " + str(SIZE + 4096), "the same size", "kagami mirror init sizes"]),
    "ext4": (make_ext4, ["/srv/ext4/data", "ext4 file system", "kagami mirror init ext4 --use-data", "kagami mirror init ext4 --wipe"]),
    "unknown": (make_unknown, ["/srv/unknown/data", "data of an unknown kind", "kagami mirror init unknown --wipe"]),
    "mounted": (make_mounted, ["/srv/mounted/data", "/dev/loop", "unmount", "losetup -d"]),
    "small": (make_metadata_small, ["/srv/small/meta", "too small", "MiB"]),
    "readonly": (make_metadata_read_only, ["/srv/readonly/meta", "read-only", "make it writable"]),
    "missing": (make_missing, ["/srv/missing/data", "does not exist", "correct the configuration"]),
    "same": (make_same, ["/srv/same/data", "/srv/same/meta", "are the same", "of its own"]),
    "foreign": (make_metadata_foreign, ["/srv/foreign/meta", "ext4 file system", "wipefs"]),
}

# --- wrong after a good start ---


def make_swapped(cluster):
    data, meta = files(cluster, "node2", "swapped")
    aside = data.with_name("aside")
    data.rename(aside)
    meta.rename(data)
    aside.rename(meta)


def make_exchanged(cluster):
    one, other = files(cluster, "node2", "exchanged")[1], files(cluster, "node2", "exchanged2")[1]
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def make_of_another_cluster(cluster):
    """Its uuid stands in the superblocks only: number 1 of docs/formats/mirror-metadata.md."""
    meta = files(cluster, "node2", "cluster")[1]
    content = bytearray(meta.read_bytes())
    for at in (0, 4096, SIZE - 8192, SIZE - 4096):
        block = content[at:at + 4096]
        block[64:80] = bytes(16 * [0xab])
        block[60:64] = crc32c(block[:60] + block[64:]).to_bytes(4, "little")
        content[at:at + 4096] = block
    meta.write_bytes(content)


def crc32c(content):
    crc = 0xffffffff
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def make_damaged(cluster):
    with open(files(cluster, "node2", "damaged")[1], "r+b") as meta:
        for at in (100, 4196, SIZE - 8092, SIZE - 3996):
            meta.seek(at)
            meta.write(b"damage")


def make_replaced(cluster):
    data = files(cluster, "node2", "replaced")[0]
    aside = data.with_name("aside")
    data.rename(aside)  # kept: its number must not be given to the new file
    make_file(data)


def make_smaller(cluster):
    os.truncate(files(cluster, "node2", "smaller")[0], SIZE - 4096)


def make_bare(cluster):
    make_file(files(cluster, "node2", "bare")[1])


LATER = {
    "swapped": (make_swapped, ["/srv/swapped/data", "carries the metadata of a mirror", "swapped", "correct the configuration"]),
    "exchanged": (make_exchanged, ["/srv/exchanged/meta", "belongs to another mirror", "kagami mirror init exchanged"]),
    "exchanged2": (lambda _: None, ["/srv/exchanged2/meta", "belongs to another mirror", "kagami mirror init exchanged2"]),
    "cluster": (make_of_another_cluster, ["/srv/cluster/meta", "belongs to another cluster", "kagami mirror init cluster"]),
    "damaged": (make_damaged, ["/srv/damaged/meta", "cannot be used", "kagami mirror init damaged"]),
    "replaced": (make_replaced, ["/srv/replaced/data", "is another device", "kagami mirror init replaced"]),
    "smaller": (make_smaller, ["/srv/smaller/data", str(SIZE - 4096), str(SIZE), "kagami mirror init smaller"]),
}
BLANK = "bare"  # its metadata are lost: no obstacle, but a full copy


@pytest.fixture(scope="module")
def cluster(module_cluster):
    names = [*WRONG, *LATER, BLANK]
    before = {}

    def prepare(made):
        make_files(made, names)
        for name, (spoil, _) in WRONG.items():
            data, meta = files(made, "node2", name)
            spoil(made, data, meta)
            before[name] = digest(data, meta, files(made, "node1", name)[0])

    made = module_cluster(profile="fast", config_text=configuration(names, ""), mirror=True, client=False,
                          disks=NO_DISKS, prepare=prepare)
    made.before = before
    yield made
    point = made.paths.top / "mounted"
    subprocess.run(["/usr/bin/umount", point], check=True)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_from_the_beginning_is_refused_by_name_and_left_alone(cluster, name):
    wait_said(cluster, name, "node2", WRONG[name][1])
    assert state_of(cluster, name)["state"] != "Online"
    assert cluster.exec("node1", ["kagami", "group", "start", name]).returncode != 0
    data, meta = files(cluster, "node2", name)
    after = digest(data, meta, files(cluster, "node1", name)[0])
    if name == "sizes":  # its metadata are made: both sides attach, and see each other's size
        after[1] = cluster.before[name][1]
    assert after == cluster.before[name]


def test_what_is_wrong_later_keeps_one_node_out_and_the_other_serves(cluster):
    for name in [*LATER, BLANK]:
        wait_online(cluster, name, "node1")
        database.wait_in_sync(cluster, "node1", SETTLE_S, name)
    cluster.kill("node2")
    for spoil, _ in LATER.values():
        spoil(cluster)
    make_bare(cluster)
    before = {name: digest(*files(cluster, "node2", name)) for name in LATER}
    cluster.boot("node2")
    wait_status(cluster, "node1", lambda status: is_member(status, "node2"), SETTLE_S, "node2 a member")
    for name, (_, words) in LATER.items():
        wait_said(cluster, name, "node2", words)
        wait_online(cluster, name, "node1")
        refuses_to_move(cluster, name, "node2")
        assert digest(*files(cluster, "node2", name)) == before[name], name
    database.wait_in_sync(cluster, "node1", SETTLE_S, BLANK)


def test_what_is_put_right_is_taken_back_by_itself_or_by_the_command_that_was_named(cluster):
    make_swapped(cluster)
    make_exchanged(cluster)
    os.truncate(files(cluster, "node2", "smaller")[0], SIZE)
    for name in ("cluster", "damaged", "replaced"):
        initialise(cluster, "node2", name)
    for name in ("ext4", "unknown"):
        initialise(cluster, "node2", name, "--wipe")
    for name in [*LATER, "ext4", "unknown"]:
        database.wait_in_sync(cluster, "node1", SETTLE_S, name)
        one, other = (files(cluster, node, name)[0] for node in NODES)
        assert digest(one) == digest(other), name


# --- disks that fail while they are used ---

FAILING = {"fdata1": "node1", "fdata2": "node2", "fmeta1": "node1", "fmeta2": "node2"}  # mirror: the node whose disk fails
ROOM = "64m"
WRITER = """
import mmap, os, sys
device = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
block = mmap.mmap(-1, 4096)
for n in range(int(sys.argv[2]), int(sys.argv[3])):
    block[:] = (b"%015d " % n) * 256
    try:
        os.pwrite(device, block, n * 4096)
        os.fsync(device)
    except OSError as error:
        sys.exit(f"block {n}: {error}")
    print(n, flush=True)
"""
READER = """
import os, sys
device = os.open(sys.argv[1], os.O_RDONLY)
for n in map(int, sys.argv[2].split(",")):
    if os.pread(device, 4096, n * 4096) != (b"%015d " % n) * 256:
        print(n)
"""


def device_word(name):
    return "the metadata device" if "meta" in name else "the data device"


def device_of(cluster, node, name):
    return wait_until(lambda: database.own_copy(cluster, node, name)["device"], SETTLE_S, f"the device of {name} on {node}")


def write(cluster, node, name, first, last):
    """(numbers of the blocks that were acknowledged, the error that ended it or nothing)."""
    done = cluster.exec(node, ["/usr/bin/python3", "-c", WRITER, device_of(cluster, node, name), first, last])
    return [int(line) for line in done.stdout.split()], done.stderr.strip()


def missing(cluster, node, name, blocks):
    done = cluster.exec(node, ["/usr/bin/python3", "-c", READER, device_of(cluster, node, name), ",".join(map(str, blocks))],
                        check=True)
    return done.stdout.split()


def on_small_disk(cluster, name):
    """One file on a file system that a filler can fill: a write to a hole of the file then fails as on a bad disk."""
    node = FAILING[name]
    which = "data" if "data" in name else "meta"
    cluster.exec(node, ["/usr/bin/mkdir", f"/run/{name}"], check=True)
    cluster.exec(node, ["/usr/bin/mount", "-t", "tmpfs", "-o", f"size={ROOM}", "small", f"/run/{name}"], check=True)
    cluster.exec(node, ["/usr/bin/truncate", "-s", str(SIZE), f"/run/{name}/{which}"], check=True)
    path = cluster.paths.disks(node) / name / which
    path.unlink()
    path.symlink_to(f"/run/{name}/{which}")


def fail_disk(cluster, name):
    node = FAILING[name]
    if "meta" in name:
        cluster.exec(node, ["/usr/bin/truncate", "-s", "0", f"/run/{name}/meta"], check=True)
    done = cluster.exec(node, ["/usr/bin/dd", "if=/dev/zero", f"of=/run/{name}/filler", "bs=64k"])
    assert "No space left" in done.stderr


def repair_disk(cluster, name):
    node = FAILING[name]
    cluster.exec(node, ["/usr/bin/rm", f"/run/{name}/filler"], check=True)
    if "meta" in name:
        cluster.exec(node, ["/usr/bin/truncate", "-s", str(SIZE), f"/run/{name}/meta"], check=True)


@pytest.fixture(scope="module")
def failing(module_cluster):
    def prepare(made):
        make_files(made, FAILING)
        for name in FAILING:
            on_small_disk(made, name)

    made = module_cluster(profile="fast", config_text=configuration(FAILING, "initial_copy = false"), mirror=True, client=False,
                          disks=NO_DISKS, prepare=prepare)
    for name in FAILING:
        wait_online(made, name, "node1")
        database.wait_in_sync(made, "node1", SETTLE_S, name)
    return made


@pytest.mark.parametrize("name", ["fdata1", "fmeta1"])
def test_when_the_disk_of_the_active_fails_the_other_node_takes_over_and_has_every_acknowledged_write(failing, name):
    acknowledged, error = write(failing, "node1", name, 0, 20)
    assert len(acknowledged) == 20 and not error
    fail_disk(failing, name)
    more, error = write(failing, "node1", name, 1100, 1300)
    acknowledged += more
    wait_online(failing, name, "node2")
    assert missing(failing, "node2", name, acknowledged) == []
    wait_said(failing, name, "node1", [device_word(name), "kagami mirror init " + name], ask="node2")
    more, error = write(failing, "node2", name, 2000, 2020)
    assert len(more) == 20 and not error
    put_right(failing, name, "node2", acknowledged + more)


@pytest.mark.parametrize("name", ["fdata2", "fmeta2"])
def test_when_the_disk_of_the_standby_fails_the_active_goes_on_alone(failing, name):
    acknowledged, error = write(failing, "node1", name, 0, 20)
    fail_disk(failing, name)
    more, error = write(failing, "node1", name, 1100, 1300)
    acknowledged += more
    assert len(acknowledged) == 220 and not error
    failing.cut("node1", "node2", net="mirror")  # a standby writes metadata when a resync begins
    wait_until(lambda: database.mirror_status(failing, "node1", name)["state"] != "Normal", SETTLE_S, "the mirror alone")
    failing.heal()
    wait_said(failing, name, "node2", [device_word(name), "kagami mirror init " + name])
    wait_online(failing, name, "node1")
    assert database.mirror_status(failing, "node1", name)["state"] != "Normal"
    refuses_to_move(failing, name, "node2")
    put_right(failing, name, "node1", acknowledged)


def put_right(cluster, name, server, blocks):
    """The remedy that status names brings the copy back; then it holds all."""
    node = FAILING[name]
    wait_until(lambda: database.own_copy(cluster, node, name)["role"] == "detached", SETTLE_S, "the failed disk let go")
    repair_disk(cluster, name)
    if "meta" in name:  # they are blank now, and nothing says any more whose the data are
        wait_said(cluster, name, node, [f"/srv/{name}/data", f"kagami mirror init {name} --use-data"], ask=server)
        initialise(cluster, node, name, "--use-data")
    else:
        initialise(cluster, node, name)
    database.wait_in_sync(cluster, server, SETTLE_S, name)
    wait_online(cluster, name, server, ask=server)
    cluster.kagami("node1", "group", "move", name, "--to", FAILING[name], "--wait", "--timeout", "30s")
    assert missing(cluster, FAILING[name], name, blocks) == []
