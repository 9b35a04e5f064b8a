"""What has to be there before a demo or a benchmark: root and the programs; and the logs after a failure."""

import os
import pathlib
import subprocess
import sys

from devcluster.cluster import SOURCE

PROGRAMS = ["kagamid", "kagami-guard", "kagami-script-helper", "kagami-mirrord", "kagami-check", "kagami-witness", "kagami", "kagami-node-init",
            "kagami-prober"]
SCRIPTS = SOURCE / "scripts"


def prepare(screen):
    """Builds, unless KAGAMI_BIN names programs that are there already. Ends the program when that fails."""
    if os.geteuid() != 0:
        sys.exit("this makes network namespaces and cgroups on this machine; run it as root")
    if "KAGAMI_BIN" in os.environ:
        return
    screen.line("Building (the first time takes some minutes) ...")
    if screen.terminal:
        done = subprocess.run([SCRIPTS / "build", "release", *PROGRAMS])
    else:
        done = subprocess.run([SCRIPTS / "build", "release", *PROGRAMS], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            print(done.stdout[-8000:], end="")
    if done.returncode != 0:
        sys.exit("scripts/build failed; see above")


def tail(path, lines):
    try:
        return pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def show_logs(screen, cluster, lines=12):
    """The ends of the logs that matter after a failure, and where all of them are."""
    screen.line(f"Logs of each machine: {cluster.paths.top}/MACHINE/log/")
    for machine in cluster.machine_names:
        for program in ("daemon", "mirror-driver", "witness", "guard", "script-helper", "node-init"):
            path = cluster.paths.log(machine, program)
            ending = tail(path, lines if program in ("daemon", "witness") else 4)
            if ending:
                screen.line(f"--- {path}")
                for text in ending:
                    screen.line("    " + text[:300])
