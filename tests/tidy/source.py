"""The C++ and Python files of the tree as the tidy tests see them."""

import ast
import functools
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["common", "cluster-daemon", "resources", "monitors", "mirror-driver", "cli", "webui", "proto", "tests", "scripts"]
ENGINES = ["cluster-daemon/engine", "mirror-driver/engine"]


@functools.cache
def files(*suffixes, under=None):
    found = []
    for folder in [under] if under else FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in suffixes and "node_modules" not in path.parts:
                found.append(path)
    return found


def cpp(under=None):
    return files(".h", ".cc", under=under)


def relative(path):
    return str(path.relative_to(TOP))


@functools.cache
def lines(path):
    return path.read_text().splitlines()


def without(pattern, text):
    """Blanks what matches, so that line numbers stay."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


# One alternation, so that a comment sign inside a string, or a quote inside a comment, is not taken for a beginning.
COMMENTS_AND_STRINGS = (r'R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                        r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'")


@functools.cache
def code(path):
    """The text with comments and the insides of literals blanked."""
    return without(COMMENTS_AND_STRINGS, path.read_text())


@functools.cache
def code_with_strings(path):
    return re.sub(COMMENTS_AND_STRINGS, lambda m: m.group() if m.group()[0] in "R\"'" else
                  re.sub(r"[^\n]", " ", m.group()), path.read_text(), flags=re.S)


def cpp_functions(path):
    """(name, first line, length in lines) of every function, found by braces: a block at namespace or class level whose
    head has a parameter list."""
    text = preprocessed(path)
    scopes, head_start, found = [], 0, []
    for match in re.finditer(r"[{};]", text):
        at = match.start()
        if match.group() == "{":
            scopes.append(scope_of(text[head_start:at], head_start, scopes))
        elif match.group() == "}" and scopes:
            kind, name, start = scopes.pop()
            if kind == "function":
                first = text.count("\n", 0, start) + 1
                found.append((name, first, text.count("\n", 0, at) + 1 - first + 1))
        if match.group() != ";" or not inside_function(scopes):
            head_start = at + 1
    return found


def preprocessed(path):
    return re.sub(r"(?m)^[ \t]*#(?:.*\\\n)*.*", lambda m: re.sub(r"[^\n]", " ", m.group()), code(path))


def inside_function(scopes):
    return any(kind == "function" for kind, _, _ in scopes)


def scope_of(head, head_start, scopes):
    start = head_start + len(head) - len(head.lstrip())
    if inside_function(scopes):
        return ("block", "", start)
    if re.search(r"\b(namespace|class|struct|union|enum)\b", head) and not head.rstrip().endswith(")"):
        return ("scope", "", start)
    name = re.search(r"([\w:~]+|operator\S+)\s*\(", head)
    return ("function", name.group(1), start) if name else ("block", "", start)


def python_functions(path):
    tree = ast.parse(path.read_text())
    return [(node.name, node.lineno, node.end_lineno - node.lineno + 1) for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)]
