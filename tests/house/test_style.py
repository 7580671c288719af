"""House rules that a linter does not know: each file says what it is, stays short, leaves no debts.

Formatting, names and unused imports are ruff's; types are mypy's (`.ci/run`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.house.sources import Source, sources
from tests.paths import ROOT

LONGEST_FILE = 500
LONGEST_LINE = 100
LONGEST_FUNCTION = 45
DEBTS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "W" + "IP")) + r")\b")
MACHINE = re.compile("[\"' ]/(home|root|" + "opt|work)/")
NAMED = re.compile(r"`([\w./]+\.(?:py|md))`")
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec"}

Found = Iterator[tuple[int, str]]  # line and complaint


def docstring(source: Source) -> Found:
    """A file opens with a docstring that is a sentence."""
    text = ast.get_docstring(source.tree)
    if text is None or not text.strip():
        yield 1, "opens without a docstring"
    elif not text.split("\n\n")[0].rstrip().endswith((".", ":", "…")):
        yield 1, "the docstring's first paragraph is no sentence"


def short_file(source: Source) -> Found:
    """Files stay under 500 lines."""
    count = source.text.count("\n")
    if count >= LONGEST_FILE:
        yield count, f"has {count} lines"


def short_lines(source: Source) -> Found:
    """Lines have at most 100 columns, in tables too."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if len(line) > LONGEST_LINE:
            yield number, f"has {len(line)} columns"


def short_functions(source: Source) -> Found:
    """The bodies of functions have at most 45 lines."""
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.body[0].lineno + 1
            if length > LONGEST_FUNCTION:
                yield node.lineno, f"{node.name} has {length} lines"


def no_debts(source: Source) -> Found:
    """Nothing is left for later, and no path of some machine is written down."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        for pattern in (DEBTS, MACHINE):
            match = pattern.search(line)
            if match:
                yield number, f"says {match.group().strip()}"


def no_unsafe_code(source: Source) -> Found:
    """Nothing unpickles, nothing evaluates text as Python."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names = {node.func.id} & UNSAFE_CALLS
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            names = set() if _is_false(node.value) else {"pickle"}
        else:
            continue
        for name in names & (UNSAFE_MODULES | UNSAFE_CALLS):
            yield getattr(node, "lineno", 1), f"uses {name}"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def no_stubs(source: Source) -> Found:
    """Nothing raises NotImplementedError; no error is swallowed whole."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node):
            yield node.lineno, "raises NotImplementedError"
        if isinstance(node, ast.ExceptHandler) and _swallows(node):
            yield node.lineno, "swallows every error"


def _swallows(handler: ast.ExceptHandler) -> bool:
    kind = "" if handler.type is None else ast.unparse(handler.type)
    silent = all(isinstance(each, ast.Pass) for each in handler.body)
    return silent and kind in ("", "Exception", "BaseException")


def no_semicolons(source: Source) -> Found:
    """One statement stands on a line, but for the `...` of an interface."""
    starts: set[int] = set()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.stmt) or _is_dots(node):
            continue
        if node.lineno in starts:
            yield node.lineno, "has two statements"
        starts.add(node.lineno)


def _is_dots(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and value.value is ...


def names_what_is_there(source: Source) -> Found:
    """Files to which a docstring sends its reader stand beside it, above it, or below the root."""
    here = (ROOT / source.path).parent
    for name in NAMED.findall(ast.get_docstring(source.tree) or ""):
        if not any((place / name).exists() for place in (here, here.parent, ROOT)):
            yield 1, f"names {name}, which is not there"


Rule = Callable[[Source], Found]
EVERYWHERE: tuple[Rule, ...] = (
    docstring, short_file, short_lines, no_debts, no_stubs, no_semicolons,
)  # fmt: skip
IN_THE_PACKAGE: tuple[Rule, ...] = (short_functions, no_unsafe_code, names_what_is_there)


def complaints(rule: Rule, found: list[Source]) -> list[str]:
    """What a rule says about some files, one line each."""
    return [f"{each.path}:{line}: {text}" for each in found for line, text in rule(each)]


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule):
    found = complaints(rule, sources())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", IN_THE_PACKAGE, ids=lambda rule: rule.__name__)
def test_every_file_of_the_package_keeps_the_rule(rule):
    found = complaints(rule, sources("kedja"))
    assert not found, "\n".join(found)


def test_the_package_is_made_of_small_functions():
    """The median is about five lines."""
    lengths = sorted(
        (node.end_lineno or 0) - node.lineno + 1 - bool(ast.get_docstring(node))
        for source in sources("kedja")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 9


def test_public_functions_have_a_docstring():
    missing = [
        f"{source.path}:{node.lineno}: {node.name}"
        for source in sources("kedja")
        for node in source.tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert not missing, "\n".join(missing)


GOOD = '"""What it is."""\n'
PLANTED = [
    (docstring, "x = 1\n"),
    (docstring, '"""what it is"""\n'),
    (short_file, GOOD + "x = 1\n" * LONGEST_FILE),
    (short_lines, GOOD + "x = " + "1" * LONGEST_LINE + "\n"),
    (short_functions, GOOD + "def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION + 1)),
    (no_debts, GOOD + "# TO" + "DO: later\n"),
    (no_debts, GOOD + 'path = "/ho' + 'me/me/data"\n'),
    (no_unsafe_code, GOOD + "import pickle\n"),
    (no_unsafe_code, GOOD + "from pickle import loads\n"),
    (no_unsafe_code, GOOD + "eval('1')\n"),
    (no_unsafe_code, GOOD + "np.load(f, allow_pickle=True)\n"),
    (no_stubs, GOOD + "raise NotImplementedError\n"),
    (no_stubs, GOOD + "try:\n    f()\nexcept Exception:\n    pass\n"),
    (no_stubs, GOOD + "try:\n    f()\nexcept:\n    pass\n"),
    (names_what_is_there, '"""What it is. Next: `no_such_file.py`."""\n'),
    (no_semicolons, GOOD + "x = 1; y = 2\n"),
    (no_semicolons, GOOD + "if x: y = 2\n"),
]


@pytest.mark.parametrize(("rule", "text"), PLANTED)
def test_a_planted_violation_is_found(rule, text):
    assert list(rule(Source("kedja/planted.py", text)))


@pytest.mark.parametrize("rule", (*EVERYWHERE, *IN_THE_PACKAGE), ids=lambda rule: rule.__name__)
def test_a_file_that_keeps_the_rules_is_not_accused(rule):
    text = (
        "import json\n\n\ndef f(x):\n    try:\n        g(x)\n    except KeyError:\n        pass\n"
    )
    assert not list(rule(Source("kedja/fine.py", GOOD + text)))
