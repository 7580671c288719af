"""The executors that must agree with the NumPy interpreter: the CPU compiler, and XLA.

An executor takes outputs, inputs and their arrays, and returns the outputs' arrays. XLA
compiles slowly: it is given some of the calls of each op, and all of them where slow tests run.
Next: `test_executors.py`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import pytest

from kedja.ground.flags import scope
from kedja.ir.graph import Node
from kedja.xla import program
from tests.fixtures import COMPILER

Arrays = Sequence[np.ndarray]
Run = Callable[[Sequence[Node], Sequence[Node], Arrays], list[np.ndarray]]


class Executor(NamedTuple):
    """What runs a graph, and how many calls of each op it is given (None: all)."""

    run: Run
    most: int | None = None

    def __call__(
        self, outputs: Sequence[Node], inputs: Sequence[Node], arrays: Arrays
    ) -> list[np.ndarray]:
        """The outputs' arrays."""
        return self.run(outputs, inputs, arrays)


def executors() -> list:
    """Every executor as a parameter of a test, skipped where it cannot run here."""
    here = find_spec(COMPILER) is not None
    jax = find_spec("jax") is not None
    intel = here and platform.machine() in ("x86_64", "AMD64")
    return [
        pytest.param(Executor(compiled), id="compiler", marks=_only_if(here, "needs the compiler")),
        pytest.param(
            Executor(partial(compiled, target="avx2")),
            id="avx2",
            marks=[pytest.mark.slow, _only_if(intel, "needs a processor with AVX2")],
        ),
        pytest.param(Executor(by_xla, 16), id="xla", marks=_only_if(jax, "needs jax")),
        pytest.param(
            Executor(by_xla), id="all-xla", marks=[pytest.mark.slow, _only_if(jax, "needs jax")]
        ),
    ]


def _only_if(condition: bool, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not condition, reason=reason)


def compiled(
    outputs: Sequence[Node], inputs: Sequence[Node], arrays: Arrays, target: str = "host"
) -> list[np.ndarray]:
    """One native program, for this machine or for a narrower one."""
    with scope(target=target):
        program = import_module(COMPILER).compile(list(outputs), list(inputs))
        return list(program(*arrays))


def by_xla(outputs: Sequence[Node], inputs: Sequence[Node], arrays: Arrays) -> list[np.ndarray]:
    """One program of XLA's, on JAX's default device."""
    return list(program.compile(list(outputs), list(inputs))(*arrays))
