"""What identifies a compiled program: its graph, the target, and the compiler's own source.

Values of constants are not part of it (they are handed to the program); neither are source lines.
Next: `codegen.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from kedja.compiler.runtime_target import LLVMLITE
from kedja.ir.graph import Graph, Node, topological
from kedja.version import __version__

PACKAGES = ("ground", "ir", "ops", "compiler")


@lru_cache(maxsize=1)
def compiler_version() -> str:
    """The release, and the sizes and times of the files that decide what code is emitted."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(f"{__version__} {LLVMLITE}".encode())
    for package in PACKAGES:
        for file in sorted((root / package).glob("*.py")):
            facts = file.stat()
            digest.update(f"{file.name} {facts.st_size} {facts.st_mtime_ns};".encode())
    return digest.hexdigest()


def fingerprint(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    constants: Sequence[Node],
    carry: Mapping[int, int],
    watch: int | None,
    target: str,
) -> str:
    """A key that is equal for equal programs."""
    head = [compiler_version(), target, repr(sorted(carry.items())), repr(watch)]
    lines = [*head, *_structure(outputs, (outputs, inputs, constants))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _structure(outputs: Sequence[Node], groups: Sequence[Sequence[Node]]) -> Iterator[str]:
    """A line for each node by numbers, then the numbers of some groups of nodes."""
    order = topological(outputs)
    numbers = {node: str(number) for number, node in enumerate(order)}
    types: dict[object, str] = {}  # few are different, and writing one takes its time
    for node in order:
        if (kind := types.get(node.type)) is None:
            kind = types[node.type] = str(node.type)
        below = " ".join([numbers[each] for each in node.inputs])
        yield f"{node.op.name}({below}) {kind} {_attrs(node) if node.attrs else ''}"
    yield from dict.fromkeys(node.scope for node in order)  # profiles name layers
    for group in groups:
        yield " ".join([numbers.get(node, "-1") for node in group])


def _attrs(node: Node) -> str:
    if not node.attrs or node.op.name in ("input", "constant"):
        return ""
    return " ".join([f"{name}={_text(value)}" for name, value in sorted(node.attrs.items())])


def _text(value: object) -> str:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Graph):
        lines = "\n".join(_structure(value.outputs, (value.outputs, value.inputs)))
        return f"{{{lines}}}"
    if isinstance(value, np.generic):
        return repr(value.item())
    return repr(value)
