"""scripts/demo: brings a cluster up, lets it lose power, networks and its service, and says what a client saw of that."""

import argparse
import signal
import sys
import time

from devcluster import DevCluster, DevClusterError
from devcluster.cluster import SOURCE
from devcluster.config import FLOATING

from . import figures, keys
from .prepare import prepare, show_logs
from .prober import Prober
from .screen import BOLD, DIM, GREEN, RED, Screen
from .steps import STEPS

DEFAULT_DIR = "/var/tmp/kagami-demo"
UNNOTICED_S = 0.5  # a step in which nothing may happen fails when the service is away for longer
BAR = "-" * 80

DESCRIPTION = """\
Brings up a cluster on this machine - node1, node2, a witness and a client, each a container with its own network - with
nginx behind a floating address, and lets it lose power, networks and its service while the client asks every 10 ms.
Installs and builds what it needs first; needs root. Nothing outside the cluster's directory is changed."""

EPILOG = """\
Exit status: 0 when every step did what it must and never two sides served at once; 1 otherwise."""


def parser():
    top = argparse.ArgumentParser(prog="scripts/demo", description=DESCRIPTION, epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    what = top.add_mutually_exclusive_group()
    what.add_argument("--script", action="store_true", help="run the steps and end, without questions")
    what.add_argument("--keep", action="store_true", help="run the steps, then leave the cluster running")
    what.add_argument("--clean", action="store_true", help="end a cluster that --keep left, and remove its files")
    top.add_argument("--json", metavar="FILE", help="write the figures of the steps")
    top.add_argument("--profile", default="lan", choices=("fast", "lan"), help="timing profile (default lan)")
    top.add_argument("--dir", default=DEFAULT_DIR, help=f"directory of the cluster (default {DEFAULT_DIR})")
    return top


class Run:
    """What the steps share. `moment`: from when on the present step's gap counts (time.time())."""

    def __init__(self, cluster, screen):
        self.cluster = cluster
        self.screen = screen
        self.prober = None
        self.figures = {}  # of the present step: name -> seconds
        self.moment = 0.0

    def event(self, moment):
        self.moment = moment

    def say(self, text):
        self.screen.passing(f"      {text} ...")

    def start_cluster(self):
        self.say("machines and networks")
        self.cluster.up(form=False)
        self.prober = Prober(self.cluster)
        self.prober.__enter__()
        self.event(time.time())
        self.say("kagami init, tokens, joins")
        self.cluster.form()

    def end(self):
        if self.prober:
            self.prober.__exit__(None, None, None)
            self.prober = None


class Result:
    def __init__(self, step):
        self.step = step
        self.error = None
        self.gap_s = None
        self.server = None
        self.both_sides = 0
        self.figures = {}

    @property
    def ok(self):
        return self.error is None and self.both_sides == 0

    def rows(self):
        common = {"step": self.step.title, "serves": self.server, "verdict": "ok" if self.ok else "FAILED"}
        if self.gap_s is not None:
            yield figures.row(self.step.case, "gap", "s", self.gap_s, **common)
        for name, value in self.figures.items():
            yield figures.row(self.step.case, name, "s", value, **common)
        yield figures.row(self.step.case, "two_sides_served", "times", self.both_sides, **common)


def judge(run, step):
    """Runs one step and adds what the client saw."""
    result = Result(step)
    begin = time.time()
    run.event(begin)
    run.figures = result.figures
    try:
        step.action(run)
        run.prober.wait_seen_until(time.time())
    except (DevClusterError, OSError) as error:
        result.error = str(error)
    if run.prober:
        result.both_sides = run.prober.both_sides(begin)
        result.server = run.prober.serving()
        if step is not STEPS[0]:
            result.gap_s = run.prober.gap(run.moment)[0]
    if result.ok and not step.pauses and result.gap_s > UNNOTICED_S:
        result.error = f"the service was away for {figures.text(result.gap_s, 's')}, and nothing should have happened"
    return result


def show(screen, result):
    verdict = screen.paint("ok    ", GREEN, BOLD) if result.ok else screen.paint("FAILED", RED, BOLD)
    words = [f"gap {figures.text(result.gap_s, 's')}"] if result.gap_s is not None else []
    words += [f"{name.replace('_', ' ')} {figures.text(value, 's')}" for name, value in result.figures.items()]
    words += [f"{result.server} serves" if result.server else "nobody serves"]
    words += [f"two sides at once: {result.both_sides}"]
    screen.line(f"      {verdict}  " + screen.paint("   ".join(words), *([] if result.ok else [RED])))
    if result.error:
        screen.line(f"      {result.error}")


def run_steps(run, screen):
    results = []
    for number, step in enumerate(STEPS, 1):
        screen.line(screen.paint(f"[{number}/{len(STEPS)}] {step.title}", BOLD) + f": {step.must}")
        results.append(judge(run, step))
        show(screen, results[-1])
        if not results[-1].ok:
            break
    return results


def introduce(screen, cluster, profile):
    screen.line(screen.paint("Kagami", BOLD) + f"  node1, node2, witness and client on two networks, profile {profile}")
    screen.line(f"        web: floating address {FLOATING} -> nginx, watched by a process monitor")
    screen.line("        the client asks http://" + FLOATING + "/ every 10 ms with a new connection")
    screen.line(screen.paint(BAR, DIM))


def conclude(screen, results, both_sides, seconds):
    lines = [(r.step.title, "ok" if r.ok else "FAILED", figures.text(r.gap_s, "s") if r.gap_s is not None else "-",
              r.server or "-", r.both_sides) for r in results]
    screen.line(screen.paint(BAR, DIM))
    screen.line(figures.table(("step", "verdict", "gap", "serves", "two sides"), lines))
    good = sum(r.ok for r in results)
    ok = good == len(STEPS) and both_sides == 0
    text = f"demo: {good} of {len(STEPS)} steps ok, two sides served at once {both_sides} times, {seconds:.0f} s"
    screen.line(screen.paint(text, BOLD, GREEN if ok else RED))
    return ok


def say_how_to_use(screen, cluster):
    screen.line("\nThe cluster goes on. Look at it, and break it:")
    screen.line(f"  cd {SOURCE}; export KAGAMI_DEV_DIR={cluster.paths.top}")
    for words in ("exec node1 -- kagami status", "exec node1 -- kagami why web", "exec node1 -- kagami group move web --wait",
                  f"exec client -- curl -s http://{FLOATING}/", "kill node1", "boot node1", "cut node1 node2", "heal"):
        screen.line(f"  scripts/devcluster {words}")
    place = "" if str(cluster.paths.top) == DEFAULT_DIR else f" --dir {cluster.paths.top}"
    screen.line(f"End it with:\n  scripts/demo --clean{place}")


def remove_left_over(cluster, screen):
    if cluster.paths.state.exists():
        screen.line(f"Ending the cluster that was left in {cluster.paths.top}.")
    cluster.down()


def play(cluster, args, screen):
    """True when all went as it must."""
    run = Run(cluster, screen)
    begin = time.monotonic()
    try:
        results = run_steps(run, screen)
        both_sides = run.prober.both_sides() if run.prober else 0
        ok = conclude(screen, results, both_sides, time.monotonic() - begin)
        if args.json:
            figures.write(args.json, "demo", args.profile, [row for result in results for row in result.rows()])
        if not ok:
            show_logs(screen, cluster)
        if not args.script and not args.keep:
            keys.play(run, screen)
        return ok
    finally:
        run.end()


def main():
    args = parser().parse_args()
    screen = Screen()
    cluster = DevCluster(args.dir, nodes=2, profile=args.profile)
    if args.clean:
        remove_left_over(cluster, screen)
        return 0
    if not args.script and not args.keep and not (sys.stdin.isatty() and screen.terminal):
        args.script = True
    prepare(screen)
    remove_left_over(cluster, screen)
    introduce(screen, cluster, args.profile)
    ok = None  # interrupted
    try:
        ok = play(cluster, args, screen)
    finally:
        if args.keep and ok is not None and cluster.paths.state.exists():
            say_how_to_use(screen, cluster)
        else:
            cluster.down(keep_files=ok is False)
    return 0 if ok else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the cluster is ended as well
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ndemo: interrupted; the cluster is ended", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (DevClusterError, OSError) as error:
        sys.exit(f"demo: {error}")
