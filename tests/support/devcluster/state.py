"""DIR/devcluster.json: what separate invocations of scripts/devcluster must know about a running cluster.

Written as a whole and put in place by rename, so that readers need no lock; changes hold DIR/lock.
"""

import contextlib
import fcntl
import json
import os

from .errors import DevClusterError

VERSION = 2


def load(paths):
    try:
        state = json.loads(paths.state.read_text())
    except FileNotFoundError:
        raise DevClusterError(f"no cluster runs in {paths.top}; start one with: devcluster up --dir {paths.top}") from None
    if state.get("version") != VERSION:
        raise DevClusterError(f"{paths.state} was written by another version; run: devcluster down --dir {paths.top}")
    return state


def save(paths, state):
    fresh = paths.state.with_suffix(".new")
    fresh.write_text(json.dumps(state, indent=1) + "\n")
    os.replace(fresh, paths.state)


@contextlib.contextmanager
def locked(paths):
    with open(paths.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def changing(paths):
    """Yields the state under the lock and saves it afterwards, also when the change failed half-way."""
    with locked(paths):
        state = load(paths)
        try:
            yield state
        finally:
            save(paths, state)
