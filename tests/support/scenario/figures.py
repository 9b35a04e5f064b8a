"""Numbers of the benchmarks: the statistics of a series, the JSON of an issue's note, and a table for people.

{"name": ..., "profile": ..., "rows": [{"case": "node_kill", "figure": "gap", "unit": "s", "n": 20, "min": ..., "median": ...,
"p99": ..., "max": ...}, ...]}; a single value has "value" instead of the statistics.
"""

import datetime
import json
import math
import os
import statistics

DIGITS = 4


def p99(values):
    """The smallest value that 99 of 100 do not exceed; of fewer than 100 values the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]


def row(case, figure, unit, values, **more):
    """A row of a series, or of a single value when `values` is a number."""
    head = {"case": case, "figure": figure, "unit": unit}
    if isinstance(values, (int, float)):
        return {**head, "value": round(values, DIGITS), **more}
    spread = {"min": min(values), "median": statistics.median(values), "p99": p99(values), "max": max(values)}
    return {**head, "n": len(values), **{key: round(value, DIGITS) for key, value in spread.items()}, **more}


def write(path, name, profile, rows):
    document = {
        "name": name,
        "profile": profile,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "kernel": os.uname().release},
        "rows": rows,
    }
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def text(value, unit):
    """As a person reads it: seconds below one in milliseconds."""
    if unit == "s":
        return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"
    if isinstance(value, float):
        return f"{value:.2f} {unit}".strip()
    return f"{value} {unit}".strip()


def size(number):
    """Bytes, as a person reads them."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} GiB"


def table(head, lines):
    """Columns as wide as their widest cell; the first two to the left, the others to the right."""
    widths = [max(len(str(line[i])) for line in [head, *lines]) for i in range(len(head))]

    def one(cells):
        padded = [str(c).ljust(w) if i < 2 else str(c).rjust(w) for i, (c, w) in enumerate(zip(cells, widths))]
        return "  ".join(padded).rstrip()

    return "\n".join([one(head), "  ".join("-" * w for w in widths), *(one(line) for line in lines)])
