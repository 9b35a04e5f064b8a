"""scripts/demo: brings a cluster up, lets it lose power, networks, services and disks, and says what its clients saw of that."""

import argparse
import signal
import sys
import time

from devcluster import DevCluster, DevClusterError
from devcluster.cluster import SOURCE
from devcluster.config import DB_FLOATING, DISKS, FLOATING, database as configuration

from . import database, figures, keys
from .prepare import prepare, show_logs
from .prober import Prober
from .screen import BOLD, DIM, GREEN, RED, Screen
from .steps import STEPS

DEFAULT_DIR = "/var/tmp/kagami-demo"
UNNOTICED_S = 0.5  # a step in which nothing may happen fails when the service is away for longer
BAR = "-" * 80

DESCRIPTION = """\
Brings up a cluster on this machine - node1, node2, a witness and a client, each a container with its own network - with
PostgreSQL on a mirrored disk and nginx, each behind a floating address, and lets it lose power, networks, services, the
mirror driver and a disk. One client commits numbered rows and remembers which were acknowledged, another asks nginx every
10 ms. Installs and builds what it needs first; needs root. Nothing outside the cluster's directory is changed."""

EPILOG = """\
Exit status: 0 when every step did what it must, no acknowledged commit was lost, never two sides served at once and both
copies of the disk are equal at the end; 1 otherwise."""


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
    """What the steps share. `moment`: from when on the present step's gaps count (time.time()); `copied`: bytes of the
    present step's resync."""

    def __init__(self, cluster, screen):
        self.cluster = cluster
        self.screen = screen
        self.prober = None
        self.db = None
        self.figures = {}  # of the present step: name -> seconds
        self.moment = 0.0
        self.copied = None
        self.copied_before = {}  # node: what its driver had copied when the step before ended

    def event(self, moment):
        self.moment = moment

    def say(self, text):
        self.screen.passing(f"      {text} ...")

    def start_cluster(self):
        self.say("machines and networks")
        self.cluster.up(form=False)
        self.prober = Prober(self.cluster)
        self.prober.__enter__()
        self.db = database.Committer(self.cluster)
        self.event(time.time())
        self.say("kagami init, tokens, joins")
        self.cluster.form()

    def note_copied(self):
        running = filter(self.cluster.is_running, self.cluster.node_names)
        self.copied_before = {node: database.copied_bytes(self.cluster, node) for node in running}

    def end(self):
        if self.db:
            self.db.__exit__(None, None, None)
            self.db = None
        if self.prober:
            self.prober.__exit__(None, None, None)
            self.prober = None


class Result:
    def __init__(self, step):
        self.step = step
        self.error = None
        self.gap_s = None  # of PostgreSQL's commits
        self.web_gap_s = None
        self.server = None
        self.commits = 0
        self.lost = []
        self.copied = None  # bytes
        self.both_sides = 0
        self.figures = {}

    @property
    def ok(self):
        return self.error is None and self.both_sides == 0 and not self.lost

    def rows(self):
        common = {"step": self.step.title, "serves": self.server, "verdict": "ok" if self.ok else "FAILED"}
        seconds = {"gap": self.gap_s, "web_gap": self.web_gap_s, **self.figures}
        for name, value in seconds.items():
            if value is not None:
                yield figures.row(self.step.case, name, "s", value, **common)
        if self.copied is not None:
            yield figures.row(self.step.case, "resynced", "bytes", self.copied, **common)
        yield figures.row(self.step.case, "commits_acknowledged", "", self.commits, **common)
        yield figures.row(self.step.case, "commits_lost", "", len(self.lost), **common)
        yield figures.row(self.step.case, "two_sides_served", "times", self.both_sides, **common)


def judge(run, step):
    """Runs one step and adds what the clients saw."""
    result = Result(step)
    begin = time.time()
    run.event(begin)
    run.figures = result.figures
    run.copied = None
    try:
        step.action(run)
        run.prober.wait_seen_until(time.time())
        result.lost = run.db.lost()
        result.commits = len(run.db.after(begin))
        run.note_copied()
    except (DevClusterError, OSError) as error:
        result.error = str(error)
    result.copied = run.copied
    if run.prober:
        result.both_sides = run.prober.both_sides(begin)
        result.server = run.db.serving()
        if step is not STEPS[0]:
            result.gap_s = run.db.gap(run.moment)
            result.web_gap_s = run.prober.gap(run.moment)[0]
    if result.lost:
        result.error = f"{len(result.lost)} acknowledged commits are lost, the first is number {result.lost[0]}"
    if result.ok and not step.pauses and max(result.gap_s, result.web_gap_s) > UNNOTICED_S:
        away = figures.text(max(result.gap_s, result.web_gap_s), "s")
        result.error = f"a service was away for {away}, and nothing should have happened"
    return result


def show(screen, result):
    verdict = screen.paint("ok    ", GREEN, BOLD) if result.ok else screen.paint("FAILED", RED, BOLD)
    words = []
    if result.gap_s is not None:
        words += [f"gap {figures.text(result.gap_s, 's')} (web {figures.text(result.web_gap_s, 's')})"]
    words += [f"{name.replace('_', ' ')} {figures.text(value, 's')}" for name, value in result.figures.items()]
    words += [f"copied {figures.size(result.copied)}"] if result.copied is not None else []
    words += [f"{result.commits} commits, lost {len(result.lost)}"]
    words += [f"{result.server} serves" if result.server else "nobody serves"]
    screen.line(f"      {verdict}  " + screen.paint("   ".join(words), *([] if result.ok else [RED])))
    if result.both_sides:
        screen.line(f"      two sides served at once: {result.both_sides}")
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


def compare_copies(run, screen):
    """Both copies, block by block, after the database has been stopped in order. The number of differing blocks."""
    run.say("db is stopped, both copies are compared")
    server = run.db.serving()
    run.cluster.kagami(server, "group", "stop", database.GROUP, "--yes", "--wait", "--timeout", "60s")
    differing = database.differing_blocks(run.cluster)
    screen.line(screen.paint("[end] both copies of md1 compared block by block", BOLD) + f": {differing} of "
                f"{DISKS['md1.data'] // 4096} blocks differ")
    return differing


def introduce(screen, cluster, profile):
    screen.line(screen.paint("Kagami", BOLD) +
                f"  node1, node2, witness and client, two networks and one for the mirror, profile {profile}")
    screen.line(f"        db:  mirror disk md1 ({figures.size(DISKS['md1.data'])} a side) -> {DB_FLOATING} -> PostgreSQL; a client"
                " commits numbered rows")
    screen.line(f"        web: {FLOATING} -> nginx; a client asks every 10 ms with a new connection")
    screen.line(screen.paint(BAR, DIM))


def conclude(screen, results, both_sides, differing, seconds):
    def cell(value, unit):
        return figures.text(value, unit) if value is not None else "-"

    lines = [(r.step.title, "ok" if r.ok else "FAILED", cell(r.gap_s, "s"), cell(r.web_gap_s, "s"), r.commits, len(r.lost),
              figures.size(r.copied) if r.copied is not None else "-", r.server or "-") for r in results]
    screen.line(screen.paint(BAR, DIM))
    screen.line(figures.table(("step", "verdict", "db gap", "web gap", "commits", "lost", "copied", "serves"), lines))
    good = sum(r.ok for r in results)
    lost = sum(len(r.lost) for r in results)
    ok = good == len(STEPS) and both_sides == 0 and differing == 0
    compared = "copies not compared" if differing is None else f"{differing} blocks differ"
    text = (f"demo: {good} of {len(STEPS)} steps ok, {sum(r.commits for r in results)} commits acknowledged, {lost} lost, two "
            f"sides served at once {both_sides} times, {compared}, {seconds:.0f} s")
    screen.line(screen.paint(text, BOLD, GREEN if ok else RED))
    return ok


def say_how_to_use(screen, cluster):
    screen.line("\nThe cluster goes on. Look at it, and break it:")
    screen.line(f"  cd {SOURCE}; export KAGAMI_DEV_DIR={cluster.paths.top}")
    for words in ("exec node1 -- kagami status", "exec node1 -- kagami mirror status", "exec node1 -- kagami why db",
                  "exec node1 -- kagami group move db --wait",
                  f"exec client -- curl -s http://{FLOATING}/", "kill node1", "boot node1", "cut node1 node2", "heal"):
        screen.line(f"  scripts/devcluster {words}")
    place = "" if str(cluster.paths.top) == DEFAULT_DIR else f" --dir {cluster.paths.top}"
    screen.line(f"End it with:\n  scripts/demo --clean{place}")


def remove_left_over(cluster, screen):
    if cluster.paths.state.exists():
        screen.line(f"Ending the cluster that was left in {cluster.paths.top}.")
    cluster.down()


def start_again(run):
    """db was stopped for the comparison."""
    if run.db:
        node = next(filter(run.cluster.is_running, run.cluster.node_names))
        run.cluster.exec(node, ["kagami", "group", "start", database.GROUP])


def play(cluster, args, screen):
    """True when all went as it must."""
    run = Run(cluster, screen)
    begin = time.monotonic()
    try:
        results = run_steps(run, screen)
        both_sides = run.prober.both_sides() if run.prober else 0
        differing = compare_copies(run, screen) if all(result.ok for result in results) else None
        ok = conclude(screen, results, both_sides, differing, time.monotonic() - begin)
        if args.json:
            rows = [row for result in results for row in result.rows()]
            rows += [] if differing is None else [figures.row("end", "differing_blocks", "", differing)]
            figures.write(args.json, "demo", args.profile, rows)
        if not ok:
            show_logs(screen, cluster)
        if not args.script:
            start_again(run)
        if not args.script and not args.keep:
            keys.play(run, screen)
        return ok
    finally:
        run.end()


def main():
    args = parser().parse_args()
    screen = Screen()
    text, scripts = configuration(["node1", "node2"], args.profile)
    cluster = DevCluster(args.dir, nodes=2, profile=args.profile, config_text=text, scripts=scripts, mirror=True, disks=DISKS)
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
