"""The tour shows the code that it runs, and names only what exists.

Not here: the chapters' own examples, which pytest executes as doctests. Next: `docs/tour`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = ROOT / "docs" / "tour"
sys.path.insert(0, str(TOUR))

from mini.graph import Node, broadcast, exp, greater, maximum, total, variable  # noqa: E402
from mini.machine import Program  # noqa: E402
from mini.meaning import MEANING, evaluate  # noqa: E402

PAGES = sorted(TOUR.glob("*.md"))
MODULES = sorted(path for path in (TOUR / "mini").glob("*.py") if path.name != "__init__.py")
BLOCK = re.compile(r"^```python (mini/\w+\.py)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"`(kedja/[\w/]+\.py)`")
NAMED = re.compile(r"`(\w+)`\s+in\s+`(kedja/[\w/]+\.py)`")
LONGEST = 130  # lines of code in one chapter


def blocks() -> list[tuple[str, str, str]]:
    """Every piece of a module that a chapter shows: chapter, module, text."""
    return [(page.name, *found) for page in PAGES for found in BLOCK.findall(page.read_text())]


def unshown(text: str, pieces: list[str]) -> str:
    """What is left of a module when its pieces are taken out in order."""
    for piece in pieces:
        before, found, text = text.partition(piece)
        assert found, f"not (or not here) in the module:\n{piece}"
        assert not before.strip(), f"not shown in any chapter:\n{before}"
    return text.strip()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_chapters_show_every_line_of_a_module(module: Path) -> None:
    pieces = [text for _, name, text in blocks() if name == f"mini/{module.name}"]
    assert not unshown(module.read_text(), pieces)


def test_a_changed_line_is_found() -> None:
    with pytest.raises(AssertionError, match="not \\(or not here\\)"):
        unshown("a = 1\n\n\nb = 2\n", ["a = 1", "b = 3"])
    with pytest.raises(AssertionError, match="not shown"):
        unshown("a = 1\n\n\nb = 2\n", ["b = 2"])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_name_what_exists(page: Path) -> None:
    text = page.read_text()
    for place in PLACE.findall(text):
        assert (ROOT / place).is_file(), f"{page.name} names {place}"
    for name, place in NAMED.findall(text):
        defined = rf"^(def|class) {name}\b|^{name}\b.*="
        assert re.search(defined, (ROOT / place).read_text(), re.MULTILINE), f"{name} in {place}"
    for link in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def lines_of_code(text: str) -> int:
    """Lines that are neither empty, nor comments, nor docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(bool(re.match(r"\s*[^\s#]", line)) and n not in prose for n, line in lines)


def test_the_tour_stays_small() -> None:
    shown: dict[str, int] = {}
    for chapter, _, text in blocks():
        shown[chapter] = shown.get(chapter, 0) + lines_of_code(text)
    assert max(shown.values()) <= LONGEST, shown
    assert sum(shown.values()) <= 600, shown


# ------------------------------------------------------------------- the miniature itself


def every_operation(a: Node, b: Node) -> dict[str, Node]:
    """One use of each operation on matrices of one shape."""
    rows, columns = a.shape
    return {
        "add": a + b,
        "subtract": a - b,
        "multiply": a * b,
        "divide": a / b,
        "negative": -a,
        "exp": exp(a),
        "maximum": maximum(a, b),
        "greater": greater(a, b),
        "broadcast": broadcast(total(a, (columns,)), (2, rows, columns)),
        "sum": total(a, (rows, 1)) + total(b, (1,)),
        "matmul": a @ b.T,
        "transpose": a.T @ exp(b),
    }


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (5, 19), (17, 1), (0, 3), (2, 0)])
def test_machine_code_agrees_with_numpy(shape: tuple[int, int]) -> None:
    a, b = variable("a", *shape), variable("b", *shape)
    uses = every_operation(a, b)
    assert uses.keys() == MEANING.keys()
    outputs = [*uses.values(), a, broadcast(2.0, shape)]
    rng = np.random.default_rng(0)
    given = [rng.uniform(0.5, 2, shape), rng.uniform(0.5, 2, shape)]
    expected = evaluate(outputs, dict(zip([a, b], given, strict=True)))
    for found, wanted in zip(Program(outputs, [a, b])(*given), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, strict=True)


def test_machine_code_keeps_nan_and_infinity() -> None:
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 800, -800, 1e-310])
    one, other = (each.ravel() for each in np.meshgrid(special, special))
    a, b = variable("a", one.size), variable("b", one.size)
    outputs = [a + b, a - b, a * b, a / b, -a, exp(a), maximum(a, b), greater(a, b)]
    with np.errstate(all="ignore"):
        expected = evaluate(outputs, {a: one, b: other})
    for found, wanted in zip(Program(outputs, [a, b])(one, other), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
