"""Calls and words that must not stand in our code."""

import os
import re
import subprocess

import pytest
import source


def found(pattern, paths, text=source.code):
    hits = []
    for path in paths:
        for match in re.finditer(pattern, text(path)):
            line = text(path).count("\n", 0, match.start()) + 1
            hits.append(f"{source.relative(path)}:{line}: {match.group().strip()}")
    return hits


def none_of(hits, why):
    assert not hits, f"{why}:\n" + "\n".join(hits)


def test_no_shell():
    hits = found(r"(?<![\w.>])(?:std::|::)?(?:system|popen|execlp|execvp|posix_spawnp|wordexp)\s*\(", source.cpp())
    hits += found(r'"(?:/bin/|/usr/bin/)?(?:ba|da)?sh"\s*,\s*"-c"|"[^"\n]*\bsh -c\b', product(), source.code_with_strings)
    none_of(hits, "no shell and no PATH: argv arrays with absolute paths (security S7)")


def product():
    return [p for p in source.cpp() if not source.relative(p).startswith("tests/")]


MAY_SLEEP = (
    "tests/support/devcluster/wait.py",  # the interval of a loop that waits for a condition
    "tests/component/guard/harness.cc",  # the same
    "tests/component/guard/guard_test.cc",  # the pace of a simulated daemon
    "tests/tidy/",
)


def test_no_sleeping_tests():
    tests = source.files(".h", ".cc", ".py", under="tests")
    sleeping = r"\b(?:sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep)\s*\(|(?<![\w\"])(?:time\.|::)sleep\("
    hits = [hit for hit in found(sleeping, tests) if not hit.startswith(MAY_SLEEP)]
    none_of(hits, "wait for a condition with a deadline (wait_until), do not sleep")


def test_no_default_in_the_switches_of_engines():
    paths = [p for engine in source.ENGINES for p in source.cpp(under=engine)]
    none_of(found(r"\bdefault\s*:", paths), "an enum switch names every value, so that the compiler sees a new one")


def test_no_coroutines():
    none_of(found(r"\bco_(?:await|return|yield)\b", source.cpp()), "GCC 12.2 destroys temporaries twice around co_await")


def test_no_exceptions_thrown_across_our_interfaces():
    none_of(found(r"\bthrow\b(?!\s*\()", [p for p in product() if p.suffix == ".h"]), "errors are Result<T>")


def test_nothing_is_left_open_in_the_code():
    marks = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
    paths = [p for p in source.files(".h", ".cc", ".py", ".proto") if p.parent.name != "tidy"]
    hits = [f"{source.relative(p)}:{n}" for p in paths for n, line in enumerate(source.lines(p), 1) if marks.search(line)]
    none_of(hits, "marks of unfinished work")


def test_headers_say_what_they_are():
    def opens_well(path):
        first = source.lines(path)[:1]
        return first and first[0].startswith("//") and "#pragma once" in source.lines(path)

    bad = [source.relative(p) for p in source.cpp() if p.suffix == ".h" and not opens_well(p)]
    none_of(bad, "a header opens with what it decides, and has #pragma once")


def scripts():
    return sorted(p for p in (source.TOP / "scripts").iterdir() if p.is_file() and os.access(p, os.X_OK))


@pytest.mark.parametrize("script", scripts(), ids=lambda p: p.name)
def test_every_script_explains_itself(script):
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "usage" in done.stdout.lower()


@pytest.mark.parametrize("script", ["setup", "build", "test", "lint", "devcluster", "model", "demo", "bench"])
def test_a_script_refuses_what_it_does_not_know(script):
    done = subprocess.run([source.TOP / "scripts" / script, "--bogus"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "usage" in (done.stdout + done.stderr).lower()
