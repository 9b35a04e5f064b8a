"""JSON lines that a program in a machine writes into a file, taken in as they come. Use as a context manager: the program ends
when its stdin is closed."""

import json
import subprocess

from devcluster import DevClusterError


class Records:
    """What a client in the machine sees: popen of argv with its output in `path`."""

    def __init__(self, cluster, machine, argv, path):
        self.path = path
        self._output = open(path, "wb")
        self._process = cluster.popen(machine, argv, stdin=subprocess.PIPE, stdout=self._output)
        self._input = open(path)
        self._rest = ""

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self._process.stdin.close()
        self._process.wait(15)
        self.read()
        self._input.close()
        self._output.close()

    def take(self, record):
        raise NotImplementedError

    def read(self):
        """Takes in what came since the last call; nothing more after the end."""
        if self._input.closed:
            return
        lines = (self._rest + self._input.read()).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self.take(json.loads(line))

    def check(self):
        if self._process.poll() is not None:
            raise DevClusterError(f"a client ended with status {self._process.returncode}; see {self.path}")
        self.read()
