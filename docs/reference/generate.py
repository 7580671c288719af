"""Writes the reference pages of this folder from the docstrings of everything public.

    python docs/reference/generate.py

The examples stand in the docstrings, where the tests execute them; a test fails when the pages are
older than the docstrings. Not here: tutorials (`docs/tour`, `docs/lectures`).
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

import kedja  # noqa: E402  the checkout that this page belongs to

ARRAYS = "creation elementwise reductions movement selection products matrix_products sorting"
MORE = "cumulative convolution pooling resampling neural einsum arrangement shortcuts kinds"
TRANSFORMATIONS = "transforms batching matrices jit control custom loop profile explain"
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {  # file: title, modules in order
    "tensor": ("Tensors", ("kedja.front.tensor",)),
    "arrays": (
        "Array functions",
        tuple(f"kedja.front.{name}" for name in f"{ARRAYS} arithmetic {MORE}".split()),
    ),
    "transformations": (
        "Transformations",
        tuple(f"kedja.front.{name}" for name in TRANSFORMATIONS.split()),
    ),
    "linalg": ("kj.linalg", ("kedja.front.linalg",)),
    "random": ("kj.random", ("kedja.front.random",)),
    "tree": ("kj.tree", ("kedja.front.tree",)),
    "nn": ("kj.nn", ("kedja.nn", "kedja.nn.precision", "kedja.nn.summaries")),
    "functional": ("kj.nn.functional", ("kedja.nn.functional",)),
    "init": ("kj.nn.init", ("kedja.nn.init",)),
    "optim": ("kj.optim", ("kedja.optim",)),
    "train": ("kj.train", ("kedja.train",)),
    "models": ("kj.models", ("kedja.models", "kedja.models.lora")),
    "inspection": ("kj.inspection", ("kedja.inspection",)),
    "rl": ("kj.rl", ("kedja.rl",)),
    "tuning": ("kj.tuning", ("kedja.tuning",)),
    "views": ("kj.views", ("kedja.views",)),
    "estimators": ("kj.estimators", ("kedja.estimators",)),
    "data": ("kj.data", ("kedja.data",)),
    "io": ("kj.io", ("kedja.io", "kedja.io.onnx")),
    "settings": ("Flags and errors", ("kedja.ground.flags", "kedja.ground.errors")),
}


def page(title: str, modules: tuple[str, ...]) -> str:
    """One page: each module's text, then its public names in order."""
    parts = [f"# {title}\n\nGenerated from the docstrings by `docs/reference/generate.py`.\n"]
    for name in modules:
        module = importlib.import_module(name)
        several = len(modules) > 1
        parts.append(_module_text(module, several))
        parts += [_entry(label, thing) for label, thing in public(module, name)]
    return "\n".join(parts)


def _module_text(module: ModuleType, heading: bool) -> str:
    text = inspect.getdoc(module) or ""
    head = f"## {module.__name__.rsplit('.', 1)[-1]}\n\n" if heading else ""
    return f"{head}{_body(text)}\n"


def public(module: ModuleType, name: str) -> Iterator[tuple[str, Any]]:
    """The documented functions and classes that a module gives to its users."""
    listed = [*kedja._NAMES.get(name, "").split(), *getattr(module, "__all__", ())]
    for label in dict.fromkeys(listed) or _own(module):
        thing = getattr(module, label)
        if (inspect.isroutine(thing) or inspect.isclass(thing)) and not label.startswith("__"):
            yield label, thing


def _own(module: ModuleType) -> list[str]:
    mine = (n for n, thing in vars(module).items() if _belongs(thing, module))
    return [name for name in mine if not name.startswith("_")]


def _belongs(thing: Any, module: ModuleType) -> bool:
    home = getattr(thing, "__module__", "")
    package = module.__name__.rsplit(".", 1)[0]
    return (inspect.isfunction(thing) or inspect.isclass(thing)) and home.startswith(package)


def _entry(label: str, thing: Any) -> str:
    lines = [f"### {label}\n", f"```python\n{label}{_signature(thing)}\n```\n"]
    lines.append(_body(inspect.getdoc(thing) or "") + "\n")
    if inspect.isclass(thing):
        lines += _methods(thing)
    return "\n".join(lines)


def _signature(thing: Any) -> str:
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(…)"
    bare = inspect.Parameter.empty
    plain = [each.replace(annotation=bare) for each in found.parameters.values()]
    text = str(found.replace(parameters=plain, return_annotation=bare))
    return text if " at 0x" not in text else "(…)"


def _methods(kind: type) -> list[str]:
    rows = []
    mine = (each for each in kind.__mro__ if each.__module__.startswith("kedja"))
    members = {n: thing for each in reversed(list(mine)) for n, thing in vars(each).items()}
    for name, thing in members.items():
        documented = inspect.isfunction(thing) or isinstance(thing, property | classmethod)
        text = inspect.getdoc(thing)
        if documented and text and not name.startswith("_"):
            first = text.split("\n\n")[0].replace("\n", " ")
            rows.append(f"- `{name}`: {first}")
    return ["\n".join(rows) + "\n"] if rows else []


def _body(text: str) -> str:
    """A docstring with its examples and indented blocks fenced."""
    result: list[str] = []
    inside = False
    for line in text.splitlines():
        code = line.startswith((">>>", "...", "    ")) or (inside and line.strip() != "")
        if code != inside:
            result.append("```" if inside else "```python" if line.startswith(">>>") else "```text")
        inside = code
        result.append(line)
    return "\n".join([*result, *(["```"] if inside else [])])


def pages() -> dict[str, str]:
    """The text of every page by its file's name."""
    found = {f"{name}.md": page(*facts) for name, facts in PAGES.items()}
    contents = "\n".join(f"- [{title}]({name}.md)" for name, (title, _) in PAGES.items())
    intro = "# Reference\n\nEverything public, generated from the docstrings.\n\n"
    return {"README.md": f"{intro}{contents}\n", **found}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
