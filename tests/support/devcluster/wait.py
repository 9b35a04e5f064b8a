"""Waiting for conditions, so that no test sleeps."""

import time

from .errors import DevClusterError


def wait_until(check, timeout_s, what, interval_s=0.01):
    """Calls check() until its result is true and returns that result; DevClusterError naming `what` after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise DevClusterError(f"not seen within {timeout_s} s: {what}")
        time.sleep(interval_s)
