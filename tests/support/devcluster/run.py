"""Running the few system tools this package needs."""

import subprocess

from .errors import DevClusterError

IP = "/usr/sbin/ip"
NFT = "/usr/sbin/nft"
NSENTER = "/usr/bin/nsenter"
UNSHARE = "/usr/bin/unshare"
SETPRIV = "/usr/bin/setpriv"
UMOUNT = "/usr/bin/umount"
SHELL = "/bin/sh"
PYTHON = "/usr/bin/python3"


def run(argv, text="", check=True):
    done = subprocess.run([str(word) for word in argv], input=text, capture_output=True, text=True)
    if check and done.returncode != 0:
        words = " ".join(str(word) for word in argv)
        raise DevClusterError(f"{words}: exit status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def ip_batch(enter, lines, check=True):
    """One ip process for many changes. `enter`: the nsenter options that name the network namespace."""
    force = [] if check else ["-force"]
    return run([NSENTER, *enter, "--", IP, *force, "-batch", "-"], "\n".join(lines) + "\n", check)
