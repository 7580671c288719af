"""The compiler's passes in their order, from a graph to a program that can be run.

    inline     ops that only enclose others opened          graph -> graph
    stages     cut where NumPy or inner programs compute     graph -> graphs
    simplify   composites expanded, algebra, equal nodes shared      graph -> graph
    layouts    convolutions with the channels last                   graph -> graph
    widen      half dtypes computed in float32                       graph -> graph
    reciprocals  shared divisors inverted once               graph -> graph
    split      long reductions cut into chunks                       graph -> graph
    halves     gradients of weights over two halves of the rows      graph -> graph
    fuse       which values are kept in memory                       graph -> decision
    kernels    kept values grouped into loop nests and products      decision -> kernels
    schedule   order, in-place state, tasks                          kernels -> schedule
    memory     places and launches                                   schedule -> plan
    llvm       machine code                                          kernels -> object code

The front calls `compile`. Programs are cached on disk by their graph, the target and the
compiler's own source. Next: `runtime.py`, which runs them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kedja.compiler import runtime_cache
from kedja.compiler.build import Build
from kedja.compiler.clock import Seconds, measured, table, timed
from kedja.compiler.fingerprint import fingerprint
from kedja.compiler.inline import is_hosted, opened
from kedja.compiler.runtime import Program, RunResult, result_of
from kedja.compiler.runtime_direct import Direct
from kedja.compiler.runtime_loading import prepare
from kedja.compiler.runtime_plan import Plan
from kedja.compiler.runtime_recording import compiling
from kedja.compiler.runtime_target import Target, current_target
from kedja.compiler.stages import Staged
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ground.flags import flags
from kedja.ground.report import TIMINGS, report
from kedja.ir.graph import Node, topological, walks_remembered
from kedja.ir.op import Type

Advanced = tuple[int, str, BaseException | None]


class Executable:
    """A compiled graph: call it with arrays, or advance a carried state by many steps."""

    def __init__(self, program: Program, inputs: Sequence[Type], outputs: Sequence[Type]) -> None:
        self.program = program
        self._inputs = inputs
        self._outputs = outputs

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, as new arrays (carried ones are not among them)."""
        found = [np.empty(kind.shape, kind.dtype) for kind in self._outputs]
        given = [self._checked(*each) for each in zip(arrays, self._inputs, strict=True)]
        self.program.run(given, found)
        return found

    @cached_property
    def direct(self) -> Direct:
        """For callers that know the addresses of all arrays."""
        return Direct(self.program)

    def _checked(self, array: np.ndarray, kind: Type) -> np.ndarray:
        if array.dtype != kind.dtype:
            raise DtypeError(f"an input of {array.dtype} where the program takes {kind}")
        if array.shape != kind.shape:
            raise ShapeError(f"an input of shape {list(array.shape)} where it takes {kind}")
        return np.ascontiguousarray(array)

    def advance(
        self,
        state: Sequence[np.ndarray],
        fixed: Sequence[np.ndarray],
        steps: int,
        *,
        progress: Callable[[int], None] | None = None,
        cancellable: bool = False,
    ) -> Advanced:
        """Run steps that update `state` in place: (whole steps done, status, what interrupted)."""
        interrupt: BaseException | None = None
        outputs = [np.empty(kind.shape, kind.dtype) for kind in self._outputs]
        try:
            result = self.program.run(
                [*state, *map(np.ascontiguousarray, fixed)],
                outputs,
                steps=steps,
                progress=progress,
                cancellable=cancellable,
            )
        except BaseException as error:
            found = result_of(error)
            if found is None:
                raise
            result, interrupt = RunResult(found.steps_done, "cancelled"), error
        return result.steps_done, result.status, interrupt


def compile(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    *,
    carry: Mapping[int, int] | None = None,
    watch: int | None = None,
) -> Executable | Staged:
    """A program for a graph.

    `carry` says which output replaces which input (its array is then updated in place, and the
    output is not returned); `watch` is the output that must stay finite, or the run ends.
    """
    with compiling("compile"), walks_remembered(), measured() as seconds:
        return _compiled(outputs, inputs, dict(carry or {}), watch, seconds)


def _compiled(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    carried: dict[int, int],
    watch: int | None,
    seconds: Seconds,
) -> Executable | Staged:
    start = time.perf_counter()
    with timed("inline"):
        outputs = opened(outputs)
    order = topological(outputs)
    if any(map(is_hosted, order)):
        staged = Staged(outputs, inputs, carried, watch, compile)
        report(TIMINGS, f"{len(staged.stages)} stages, {time.perf_counter() - start:.3f} s")
        return staged
    constants = [node for node in order if node.op.name == "constant"]
    target = current_target()
    made, how = _built(outputs, inputs, constants, carried, watch, target)
    values = [np.ascontiguousarray(node.attrs["value"]) for node in constants]
    with timed("load"):
        program = Program(made.plan, made.object_code, values, target, made.arena)
    launches, total = len(made.plan.launches), time.perf_counter() - start
    report(TIMINGS, lambda: f"{how}: {launches} launches, {total:.3f} s\n  {table(seconds)}")
    returned = [node.type for i, node in enumerate(outputs) if i not in carried]
    return Executable(program, [node.type for node in inputs], returned)


def _built(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    constants: Sequence[Node],
    carried: dict[int, int],
    watch: int | None,
    target: Target,
) -> tuple[Build, str]:
    """The plan and the object code, made or out of the cache, and which of the two."""
    prepare()  # the program will run in it
    if not flags().use_cache:
        return build(outputs, inputs, constants, carried, watch, target), "compiled"
    with timed("cache"):
        key = fingerprint(outputs, inputs, constants, carried, watch, target.key())
        cached = runtime_cache.load(key)
        if cached is not None:
            return Build(Plan.from_json(cached[0]), cached[1]), "from the cache"
    made = build(outputs, inputs, constants, carried, watch, target)
    with timed("cache"):
        runtime_cache.store(key, made.plan.to_json(), made.object_code)
    return made, "compiled"


def build(*given: Any, text: bool = False) -> Build:
    """All passes run; they are loaded now, since a program from the cache does without them."""
    made: Build = importlib.import_module("kedja.compiler.codegen").build(*given, text=text)
    return made


def compile_and_run(outputs: Sequence[Node]) -> list[np.ndarray]:
    """The values of a graph without inputs, by a program made for it."""
    found: list[np.ndarray] = compile(outputs, [])()
    return found


def assembly_of(outputs: Sequence[Node], inputs: Sequence[Node]) -> str:
    """The assembly of the kernels of a graph, for people to read."""
    constants = [n for n in topological(outputs) if n.op.name == "constant"]
    return build(outputs, inputs, constants, {}, None, current_target(), text=True).assembly
