"""The mirror disks of a machine, as the host's kernel sees them: FUSE connections.

A machine that loses its power takes its mirror driver with it. Here the kernel would first write back the file systems on the
mirror's device, which nobody serves any more, and wait for ever if the driver itself is the last to go. So the connections
are aborted in the same moment: nothing is written after the loss of power, as on a real machine.
"""

import os
import pathlib

from .run import run

CONNECTIONS = pathlib.Path("/sys/fs/fuse/connections")
BELOW = "/run/kagami/mirror/"


def make_visible():
    """Where the kernel shows its FUSE connections; most distributions mount it at boot."""
    if CONNECTIONS.is_dir() and not os.path.ismount(CONNECTIONS):
        run(["/usr/bin/mount", "-t", "fusectl", "fusectl", CONNECTIONS])


def connections(pids):
    """Of the mount namespaces of these processes."""
    found = set()
    for pid in pids:
        try:
            lines = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        except OSError:  # it has ended
            continue
        fields = [line.split() for line in lines]
        found |= {words[2].partition(":")[2] for words in fields if words[4].startswith(BELOW) and "fuse" in words}
    return found


def abort(numbers):
    for number in numbers:
        try:
            (CONNECTIONS / number / "abort").write_text("1")
        except OSError:  # it has gone with its driver
            pass
