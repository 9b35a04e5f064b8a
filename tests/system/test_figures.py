"""The numbers of demo and benchmarks: statistics, JSON, and the prober's answers as they are read."""

import json

import pytest
from scenario import figures
from scenario.prober import Prober


@pytest.mark.parametrize("values, expected", [([3], 3), ([2, 1], 2), (range(1, 21), 20), (range(1, 101), 99), (range(1, 1001), 990)])
def test_p99_is_the_largest_of_few_values(values, expected):
    assert figures.p99(list(values)) == expected


def test_a_row_has_statistics_or_one_value():
    series = figures.row("node_kill", "gap", "s", [1.0, 2.0, 4.0])
    assert series == {"case": "node_kill", "figure": "gap", "unit": "s", "n": 3, "min": 1.0, "median": 2.0, "p99": 4.0, "max": 4.0}
    assert figures.row("idle", "cpu", "%", 0.25, node="node1") == {
        "case": "idle", "figure": "cpu", "unit": "%", "value": 0.25, "node": "node1"}


def test_the_file_has_a_name_a_profile_and_rows(tmp_path):
    figures.write(tmp_path / "f.json", "demo", "lan", [figures.row("a", "b", "s", 1)])
    document = json.loads((tmp_path / "f.json").read_text())
    assert (document["name"], document["profile"], document["rows"][0]["value"]) == ("demo", "lan", 1)


@pytest.mark.parametrize("value, unit, text", [(0.0123, "s", "12 ms"), (2.6, "s", "2.60 s"), (3, "times", "3 times"), (0.5, "%", "0.50 %")])
def test_values_are_written_for_people(value, unit, text):
    assert figures.text(value, unit) == text


def told(*answers):
    """A prober that has read (wall, server or None) and nothing else."""
    prober = Prober.__new__(Prober)
    prober.answers, prober.walls, prober.sightings, prober.direct, prober.summary = [], [], [], {}, None
    prober.read = lambda: None
    for wall, server in answers:
        prober.take({"wall": wall, "target": "service", "ok": server is not None, "server": server})
    return prober


def test_a_gap_begins_with_the_last_good_answer_before_the_moment():
    prober = told((1.0, "a"), (1.1, None), (1.2, None), (3.5, "b"), (3.6, "b"))
    assert prober.gap(1.15) == (2.5, 1.0)
    assert prober.gap(3.55)[0] == pytest.approx(0.1)
    assert prober.servers(1.15) == {"b"}


def test_a_gap_that_has_not_ended_lasts_until_the_newest_attempt():
    assert told((1.0, "a"), (1.5, None), (2.0, None)).gap(0.5) == (1.0, 1.0)


def test_without_an_answer_there_is_no_gap():
    assert told().gap(1.0) == (0.0, 1.0)
    assert told((1.0, None)).serving() is None
