"""A graph compiled by XLA: called with arrays, or run for many steps on a carried state.

The interface is that of kedja's own compiler (`kedja/compiler/pipeline.py`). Programs are kept by
the structure of their graph (`key.py`); constants are handed to them like inputs, so that no array
becomes a literal of the program. JAX's 64-bit types are on for the scope of each call only. Work
goes to JAX's default device; the flags `threads`, `cache` and `target` do not concern XLA.

Steps run in one XLA loop, in calls of about a tenth of a second, between which progress is told
and Ctrl-C is heard; a single step cannot be interrupted. Where a run is cut into calls changes no
bit: every call runs the same program, which takes the number of steps as an input.
Next: `lower.py`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import DtypeError, ShapeError
from kedja.ground.flags import flags
from kedja.ground.report import GRAPHS, LOOPS, MACHINE, TIMINGS, report
from kedja.ir.graph import Node
from kedja.ir.op import Type
from kedja.ir.show import GraphView
from kedja.ir.verify import verify
from kedja.xla.extra import wide
from kedja.xla.key import constants_of, key_of
from kedja.xla.lower import Lowering

Advanced = tuple[int, str, BaseException | None]
Arrays = Sequence[np.ndarray]

KEPT = 256  # programs; the one that was not asked for longest is dropped
CALL_SECONDS = 0.1  # how long a call of several steps should take
MOST_GROWTH = 8  # how many times more steps a call takes than the one before

# Every op rounds to its dtype; by default XLA leaves out the rounding of halves between ops.
OPTIONS = {"xla_allow_excess_precision": False}


class _Problem(NamedTuple):
    """What is to be compiled."""

    outputs: tuple[Node, ...]
    inputs: tuple[Node, ...]
    constants: tuple[Node, ...]
    carry: Mapping[int, int]
    watch: int | None

    @property
    def rest(self) -> list[int]:
        """The outputs that are not carried."""
        return [place for place in range(len(self.outputs)) if place not in self.carry]

    def values(self, arrays: Sequence[Any], constants: Sequence[Any]) -> list[Any]:
        """The outputs, under JAX's tracer."""
        held = dict(zip(self.constants, constants, strict=True))
        bound = dict(zip(self.inputs, arrays, strict=True))
        return Lowering(held).values(self.outputs, bound)


class Executable:
    """A compiled graph: call it with arrays, or advance a carried state by many steps."""

    def __init__(self, problem: _Problem, program: Any) -> None:
        self._program = program
        self._carry = dict(problem.carry)
        self._inputs = [node.type for node in problem.inputs]
        with wide() as jax:
            self._constants = [jax.device_put(each.attrs["value"]) for each in problem.constants]
        self._pace = 0.0  # seconds per step of the last call; 0 where none has run

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, as new arrays (carried ones are not among them: they go into the inputs)."""
        given = [_checked(*each) for each in zip(arrays, self._inputs, strict=True)]
        with wide():
            if not self._carry:
                return [np.array(each) for each in self._program(given, self._constants)]
            _, _, state, rest = self._program(given, self._constants, np.int64(1))
            _store(given, self._carry, state)
            return [np.array(each) for each in rest]

    def advance(
        self,
        state: Arrays,
        fixed: Arrays,
        steps: int,
        *,
        progress: Callable[[int], None] | None = None,
        cancellable: bool = False,
    ) -> Advanced:
        """Run steps that update `state` in place: (whole steps done, status, what interrupted)."""
        given = [_checked(*each) for each in zip([*state, *fixed], self._inputs, strict=True)]
        run = _Run(self, given, steps, watched=cancellable or progress is not None)
        interrupt: BaseException | None = None
        try:
            run.to_the_end(progress)
        except BaseException as error:  # whatever it is, the state must be whole first
            interrupt = error
        try:
            _store(given, self._carry, run.state)
        except KeyboardInterrupt as error:
            _store(given, self._carry, run.state)  # half a step must not stay behind
            interrupt = error
        if interrupt is not None and not cancellable:
            raise interrupt
        status = "cancelled" if interrupt is not None else "done" if run.finite else "nonfinite"
        return run.done, status, interrupt


class _Reached(NamedTuple):
    """Where a run stands; one value, so that Ctrl-C finds either the old one or the new one."""

    done: int
    finite: bool
    state: Sequence[Any]


class _Run:
    """Steps of one program, in calls of about `CALL_SECONDS`."""

    def __init__(self, executable: Executable, given: Arrays, steps: int, watched: bool) -> None:
        self._executable = executable
        self._given: list[Any] = list(given)
        self._steps = steps
        self._watched = watched
        places = executable._carry.values()
        self._reached = _Reached(0, True, [given[place] for place in places])

    @property
    def done(self) -> int:
        """Whole steps."""
        return self._reached.done

    @property
    def finite(self) -> bool:
        """Whether the watched value was finite in every step."""
        return self._reached.finite

    @property
    def state(self) -> Sequence[Any]:
        """The carried arrays, in the order of `carry`."""
        return self._reached.state

    def to_the_end(self, progress: Callable[[int], None] | None) -> None:
        """All steps, or as many as stay finite; progress is told after each call."""
        count = 1
        while self.finite and self.done < self._steps:
            before, start = self.done, time.perf_counter()
            count = self._count(count)
            self._call(count)
            if self.done > before:
                self._executable._pace = (time.perf_counter() - start) / (self.done - before)
            if progress is not None and self.done > before:
                progress(self.done)

    def _count(self, before: int) -> int:
        """How many steps the next call takes."""
        left = self._steps - self.done
        if not self._watched:
            return left
        pace = self._executable._pace
        wanted = int(CALL_SECONDS / pace) if pace else 1
        return max(1, min(left, wanted, MOST_GROWTH * before if self.done else wanted))

    def _call(self, count: int) -> None:
        each = self._executable
        with wide() as jax:
            if self.done == 0:  # everything that the steps read goes to the device once
                self._given = [jax.device_put(array) for array in self._given]
            for place, value in zip(each._carry.values(), self.state, strict=True):
                self._given[place] = value
            done, finite, state, _ = each._program(self._given, each._constants, np.int64(count))
            self._reached = _Reached(self.done + int(done), bool(finite), state)


def _checked(array: np.ndarray, kind: Type) -> np.ndarray:
    if array.dtype != kind.dtype:
        raise DtypeError(f"an input of {array.dtype} where the program takes {kind}")
    if array.shape != kind.shape:
        raise ShapeError(f"an input of shape {list(array.shape)} where it takes {kind}")
    return array


def _store(given: Arrays, carry: Mapping[int, int], state: Sequence[Any]) -> None:
    for place, value in zip(carry.values(), state, strict=True):
        given[place][...] = np.asarray(value)


# ------------------------------------------------------------------------------- compiling

_programs: OrderedDict[Hashable, Any] = OrderedDict()
_lock = threading.Lock()


def compile(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    *,
    carry: Mapping[int, int] | None = None,
    watch: int | None = None,
) -> Executable:
    """A program for a graph.

    `carry` says which output replaces which input (its array is then updated in place, and the
    output is not returned); `watch` is the output that must stay finite, or the run ends.
    Raises MissingExtra where JAX is not installed.
    """
    constants = constants_of(outputs, inputs)
    problem = _Problem(tuple(outputs), tuple(inputs), tuple(constants), dict(carry or {}), watch)
    return Executable(problem, _program(problem))


def run(
    outputs: Sequence[Node], bound: Mapping[Node, np.ndarray] | None = None
) -> list[np.ndarray]:
    """The values of the outputs, given those of the inputs in `bound`, as the interpreter's."""
    given = dict(bound or {})
    return compile(outputs, list(given))(*given.values())


def compile_and_run(outputs: Sequence[Node]) -> list[np.ndarray]:
    """The values of a graph without inputs, by a program made for it."""
    return run(outputs)


def _program(problem: _Problem) -> Any:
    """The executable of a graph, made now or earlier for an equal one."""
    with wide() as jax:
        carried = tuple(problem.carry.items())
        graph = key_of(problem.outputs, problem.inputs)
        kinds = tuple(each.type for each in problem.constants)
        key = (graph, kinds, carried, problem.watch, jax.config.jax_default_device)
        with _lock:
            if key in _programs:
                _programs.move_to_end(key)
                report(TIMINGS, "an equal graph was compiled by XLA before")
                return _programs[key]
        made = _build(problem, jax)
    with _lock:
        _programs[key] = made
        if len(_programs) > KEPT:
            _programs.popitem(last=False)
    return made


def _build(problem: _Problem, jax: Any) -> Any:
    """Traced and compiled. Nothing of the graph is kept."""
    start = time.perf_counter()
    report(GRAPHS, lambda: f"graph:\n{GraphView(problem.outputs).listing()}")
    if flags().verify:
        verify(problem.outputs)
    types = [
        [jax.ShapeDtypeStruct(*each.type) for each in group]
        for group in (problem.inputs, problem.constants)
    ]
    function = problem.values
    if problem.carry:
        function = _loop(problem, jax)
        types.append(jax.ShapeDtypeStruct((), np.int64))
    lowered = jax.jit(function).lower(*types)
    report(LOOPS, lambda: f"StableHLO:\n{lowered.as_text()}")
    made = lowered.compile(compiler_options=OPTIONS)
    report(MACHINE, lambda: f"HLO after XLA's passes:\n{made.as_text()}")
    report(TIMINGS, lambda: f"compiled by XLA: {time.perf_counter() - start:.3f} s")
    return made


def _loop(problem: _Problem, jax: Any) -> Callable[..., Any]:
    """Steps as long as there are any and the watched value stays finite.

    The step that makes it NaN or infinite leaves the state as it was.
    """
    np, lax = jax.numpy, jax.lax
    places = list(problem.carry.values())

    def steps(given: Sequence[Any], constants: Sequence[Any], count: Any) -> Any:
        def body(at: Any) -> Any:
            done, _, state, _ = at
            arrays = list(given)
            for place, value in zip(places, state, strict=True):
                arrays[place] = value
            found = problem.values(arrays, constants)
            fine = _finite(np, found, problem.watch)
            after = [found[place] for place in problem.carry]
            kept = [np.where(fine, new, old) for new, old in zip(after, state, strict=True)]
            return done + fine, fine, kept, [found[place] for place in problem.rest]

        rest = [np.zeros(*problem.outputs[place].type) for place in problem.rest]
        start = (np.int64(0), np.bool_(True), [given[place] for place in places], rest)
        return lax.while_loop(lambda at: (at[0] < count) & at[1], body, start)

    return steps


def _finite(np: Any, found: Sequence[Any], watch: int | None) -> Any:
    return np.bool_(True) if watch is None else np.all(np.isfinite(found[watch]))
