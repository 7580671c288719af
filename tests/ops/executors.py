"""The executors that must agree with the NumPy interpreter: the CPU compiler; later XLA.

An executor takes outputs, inputs and their arrays, and returns the outputs' arrays.
Next: `test_executors.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from kedja.ir.graph import Node
from tests.fixtures import COMPILER

Arrays = Sequence[np.ndarray]
Executor = Callable[[Sequence[Node], Sequence[Node], Arrays], list[np.ndarray]]


def executors() -> dict[str, Executor | None]:
    """Every executor by name; None where it cannot run here."""
    return {"compiler": compiled if find_spec(COMPILER) else None}


def compiled(outputs: Sequence[Node], inputs: Sequence[Node], arrays: Arrays) -> list[np.ndarray]:
    """One native program."""
    program = import_module(COMPILER).compile(list(outputs), list(inputs))
    return list(program(*arrays))
