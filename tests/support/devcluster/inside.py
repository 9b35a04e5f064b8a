"""The first process in the new namespaces of a machine: makes its file system view, waits for its cables, becomes process 1.

Run by container.py as `python3 -I inside.py JSON`, with nothing imported from the package. Protocol: prints its process id
as the machine sees it, then waits for one line on stdin.
"""

import ctypes
import json
import os
import socket
import sys

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 2, 4, 8, 4096
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind="", flags=0, options=""):
    words = [word.encode() for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source}: {os.strerror(number)}", target)


def make_view(plan):
    # /etc/kagami and /var/lib/kagami are only mount points here and stay empty on the machine itself.
    for source, target in ((plan["etc"], "/etc/kagami"), (plan["var"], "/var/lib/kagami")):
        os.makedirs(target, mode=0o700, exist_ok=True)
        mount(source, target, flags=MS_BIND)
    if plan["disks"]:
        mount(plan["disks"], plan["disk_directory"], flags=MS_BIND)
        mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")  # mount points of its own
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount(plan["boot_id"], "/proc/sys/kernel/random/boot_id", flags=MS_BIND)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    connections = "/sys/fs/fuse/connections"  # a kernel without FUSE has none; the host's mount of it may show here
    if os.path.isdir(connections) and not os.path.ismount(connections):
        mount("fusectl", connections, "fusectl", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.makedirs("/run/lock", exist_ok=True)
    os.makedirs("/run/kagami", mode=0o700)
    os.mkdir("/run/kagami/log")
    mount(plan["log"], "/run/kagami/log", flags=MS_BIND)


def main():
    plan = json.loads(sys.argv[1])
    # The old /proc is still mounted, so this is the id outside of our process namespace.
    print(os.readlink("/proc/self"), flush=True)
    make_view(plan)
    socket.sethostname(plan["name"])
    # Every machine has its own range of process ids, so that a pid file of one means nothing in another.
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(plan["first_pid"]))
    if sys.stdin.readline() != "go\n":
        sys.exit("the launcher went away")
    null = os.open("/dev/null", os.O_RDONLY)
    log = os.open("/run/kagami/log/node-init.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir("/")
    os.execve(plan["argv"][0], plan["argv"], plan["environment"])


if __name__ == "__main__":
    main()
