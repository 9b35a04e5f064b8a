"""The demo's keys: a person breaks the cluster and watches what the client sees."""

import select
import sys
import termios
import time
import tty

from devcluster import DevClusterError

from . import database, figures
from .screen import BOLD, RED

HELP = """\
  1 2  node1, node2: power off, or on again     n  cut net1 between the nodes    a  cut all networks
  m    move db to the other node                x  kill PostgreSQL               h  heal all cuts
  d    kill the mirror driver                   i  kagami mirror status          w  kagami why db
  s    kagami status                            q  quit"""
REFRESH_S = 0.2


class Keyboard:
    """Keys without Enter. Use as a context manager."""

    def __enter__(self):
        self._saved = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, kind, value, trace):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)

    def key(self, timeout_s):
        if not select.select([sys.stdin], [], [], timeout_s)[0]:
            return None
        return sys.stdin.read(1) or "q"


class Keys:
    def __init__(self, run, screen):
        self.run = run
        self.screen = screen
        self.cluster = run.cluster
        self.since = time.time()

    def power(self, node):
        if self.cluster.is_running(node):
            self.cluster.kill(node)
            return f"{node} has lost its power"
        self.cluster.boot(node)
        return f"{node} has power again"

    def a_node(self):
        """One that runs, by preference the one that serves."""
        nodes = sorted(self.cluster.node_names, key=lambda node: node != self.run.db.serving())
        running = [node for node in nodes if self.cluster.is_running(node)]
        if not running:
            raise DevClusterError("no node runs; press 1 or 2")
        return running[0]

    def ask(self, *arguments):
        done = self.cluster.exec(self.a_node(), ["kagami", *arguments])
        return (done.stdout + done.stderr).rstrip()

    def do(self, key):
        """What to say about it; None for a key without a meaning."""
        if key in "12":
            return self.power(f"node{key}")
        if key == "n":
            self.cluster.cut("node1", "node2", net="net1")
            return "net1 between node1 and node2 is cut"
        if key == "a":
            self.cluster.cut("node1", "node2")
            return "all networks between node1 and node2 are cut; both still reach the witness and the client"
        if key == "h":
            self.cluster.heal()
            return "all cuts are healed"
        if key == "m":
            return self.ask("group", "move", "db", "--wait")
        if key == "x":
            database.kill_service(self.cluster, self.a_node())
            return "PostgreSQL is killed"
        if key == "d":
            database.kill_driver(self.cluster, self.a_node())
            return "the mirror driver is killed"
        questions = {"s": ("status",), "w": ("why", "db"), "i": ("mirror", "status")}
        return self.ask(*questions[key]) if key in questions else None

    def on_key(self, key):
        self.since = time.time()
        try:
            said = self.do(key)
        except (DevClusterError, OSError) as error:
            said = f"that did not work: {error}"
        self.screen.line(said if said is not None else HELP)

    def view(self):
        db = self.run.db
        fresh = db.after(time.time() - 0.5)
        server = f"{db.serving()} serves" if fresh else self.screen.paint("nobody serves", RED, BOLD)
        gap = figures.text(db.gap(self.since), "s")
        return f"{server}   {len(db.acknowledged)} commits, longest gap since the last key {gap}   key? "


def play(run, screen):
    if run.prober is None:
        return
    keys = Keys(run, screen)
    screen.line("\n" + screen.paint("Now you:", BOLD))
    screen.line(HELP)
    with Keyboard() as keyboard:
        while True:
            screen.passing(keys.view())
            key = keyboard.key(REFRESH_S)
            if key == "q":
                break
            if key is not None:
                keys.on_key(key)
    screen.line("ending the cluster")
