"""The project's own Python files, and the imports that stand in them.

Next: `test_floors.py`, `test_style.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.paths import ROOT

FOLDERS = ("kedja", "tests", "benchmarks", "docs")


class Source(NamedTuple):
    """One file: its path in the project and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The file parsed."""
        return parsed(self.text)


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a text."""
    return ast.parse(text)


class Import(NamedTuple):
    """One imported module: where it stands, and whether inside a function or for types only."""

    line: int
    module: str
    local: bool
    types_only: bool


@cache
def sources(*folders: str) -> list[Source]:
    """Every Python file below some folders of the project (all of them by default)."""
    found = (path for folder in folders or FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [Source(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in sorted(found)]


def imports(source: Source) -> list[Import]:
    """Every import of a file, `from a.b import c` counting as `a.b` and, if it is one, `a.b.c`."""
    return list(_imports(source.tree.body, Path(source.path), local=False, types_only=False))


def _imports(body: list[ast.stmt], path: Path, local: bool, types_only: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, local, types_only)
        elif isinstance(node, ast.ImportFrom):
            for name in _names(node, path):
                yield Import(node.lineno, name, local, types_only)
        else:
            inside = local or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            typed = types_only or (isinstance(node, ast.If) and _is_type_checking(node.test))
            for part in _bodies(node):
                yield from _imports(part, path, inside, typed)


def _names(node: ast.ImportFrom, path: Path) -> list[str]:
    """The module, or the submodules of a package: `from kedja.front import tree`."""
    base = node.module or ""
    if node.level:
        base = ".".join(
            (*path.parent.parts[: len(path.parent.parts) - node.level + 1], base)
        ).strip(".")
    names = []
    for alias in node.names:
        below = ROOT / f"{base}.{alias.name}".replace(".", "/")
        inside = below.is_dir() or below.with_suffix(".py").exists()
        names.append(f"{base}.{alias.name}" if inside else base)
    return sorted(set(names))


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        part = getattr(node, name, None)
        if isinstance(part, list):
            yield part
    for each in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield each.body


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in ast.unparse(test)
