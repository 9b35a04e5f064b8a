"""Functions of at most 50 lines, files of at most 800; what is longer stands in debt.txt, which may only shrink."""

import pathlib

import source

FUNCTION_LINES = 50
FILE_LINES = 800
DEBT = pathlib.Path(__file__).with_name("debt.txt")


def debts():
    entries = [line.split() for line in DEBT.read_text().splitlines() if line and not line.startswith("#")]
    return {tuple(words[:-1]): int(words[-1]) for words in entries}


def overlong():
    found = {}
    for path in source.files(".h", ".cc", ".py"):
        functions = source.python_functions(path) if path.suffix == ".py" else source.cpp_functions(path)
        for name, _, length in functions:
            key = ("function", source.relative(path), name)
            if length > FUNCTION_LINES:
                found[key] = max(length, found.get(key, 0))
        if len(source.lines(path)) > FILE_LINES:
            found[("file", source.relative(path))] = len(source.lines(path))
    return found


def test_nothing_is_overlong_but_for_the_debts():
    known = debts()
    new = [f"{' '.join(key)}: {length} lines" for key, length in overlong().items() if length > known.get(key, 0)]
    assert not new, "too long, or longer than its debt (divide it):\n" + "\n".join(new)


def test_the_debt_list_only_shrinks():
    found = overlong()
    paid = [" ".join(key) for key in debts() if key not in found]
    assert not paid, "no longer over the bound; remove it from tests/tidy/debt.txt:\n" + "\n".join(paid)
    smaller = [f"{' '.join(key)}: now {found[key]}" for key, length in debts().items() if found[key] < length]
    assert not smaller, "shorter than its debt; write the new length into tests/tidy/debt.txt:\n" + "\n".join(smaller)


def test_the_measure_sees_functions(tmp_path):
    path = tmp_path / "x.cc"
    path.write_text('namespace a {\n// f() {\nint f(int x) {\n    if (x) {\n        return "}"[0];\n    }\n    return 0;\n}\n'
                    "struct S {\n    S() : a(1) {}\n    int a;\n};\n}  // namespace a\n")
    assert source.cpp_functions(path) == [("f", 3, 6), ("S", 10, 1)]
