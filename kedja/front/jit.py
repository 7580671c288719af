"""`kj.jit`: a Python function traced once for each kind of arguments, compiled, then run natively.

Tracing calls the function with tensors that have types but no values; what it returns is a graph.
Not here: what the compiler does with it (`kedja/compiler/pipeline.py`). Next: `explain.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, NamedTuple

import numpy as np

from kedja.front import ambient, donation, evaluate, flat, tree
from kedja.front.chunks import chunks
from kedja.front.dispatch import MISS, Route, route
from kedja.front.precision import product_dtype
from kedja.front.results import around_arrays
from kedja.front.signature import ARRAYS, Described, Roles, changes
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value
from kedja.front.weights import learned
from kedja.ground.collection import paused
from kedja.ground.dtypes import as_dtype
from kedja.ground.errors import TracingError, UsageError
from kedja.ground.flags import BACKENDS, flags, require
from kedja.ground.report import TIMINGS, report
from kedja.interpret import reference
from kedja.ir.graph import Node, topological, variable
from kedja.ir.op import Type

MOST_ROUTES = 4  # kinds of calls that find the short way by themselves
MOST_TRIES = 8  # to find one for a program


class Traced:
    """A function as a graph: its inputs, its outputs, and how the outputs fit together.

    It is `open` where it uses tensors from outside that are traced or differentiated there.
    """

    def __init__(
        self, inputs: list[Node], outputs: list[Node], structure: tree.Structure, tracks: bool
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.structure = structure
        own = set(inputs)
        foreign = (n.op.name == "input" and n not in own for n in topological(outputs))
        self.open = tracks or any(foreign)


def trace(f: Callable[..., Any], types: Sequence[Type], rebuild: Callable[..., Any]) -> Traced:
    """Call `f(*rebuild(tensors))` with value-less tensors of these types."""
    inputs = [variable(f"x{i}", each) for i, each in enumerate(types)]
    args, kwargs = rebuild([from_node(node) for node in inputs])
    with ambient.tracing():
        leaves, structure = tree.flatten(f(*args, **kwargs))
    tracks = any(isinstance(leaf, Tensor) and leaf.tracks for leaf in leaves)
    return Traced(inputs, [_output(leaf) for leaf in leaves], structure, tracks)


def without_value(name: str, shape: Sequence[int], dtype: np.dtype) -> Tensor:
    """A tensor that has a type but no value, as functions meet it while they are traced."""
    return from_node(variable(name, Type(tuple(shape), dtype)))


def _output(leaf: Any) -> Node:
    if not isinstance(leaf, ARRAYS):
        raise TracingError(
            f"a compiled function returned {type(leaf).__name__}",
            fix="return tensors, in lists, tuples, dicts or modules",
        )
    return as_tensor(leaf).node


def _argument(leaf: Any) -> Tensor:
    """An argument as a tensor; arrays are not copied, since they are used at once."""
    if isinstance(leaf, np.ndarray) and as_dtype(leaf.dtype) == leaf.dtype:
        return from_value(leaf)
    return as_tensor(leaf)


@dataclass(frozen=True)
class Program:
    """One traced and compiled version of a function; `run` is None where it is interpreted."""

    traced: Traced
    run: Any
    gifts: Sequence[donation.Gift]  # the donated inputs
    carry: Mapping[int, int]  # output -> the donated input in whose memory it is written
    names: tuple[str, ...]  # of the inputs: the paths of the arguments
    learned: tuple[bool | None, ...]  # of the inputs: whether arrays of modules are learned
    made: Callable[[Sequence[np.ndarray]], Any]  # from the outputs to what the function returns


class Call(NamedTuple):
    """The arguments of one call, taken apart."""

    structure: tree.Structure
    leaves: list[Any]
    places: list[int]  # of the leaves that are inputs of the program
    tensors: list[Tensor]

    @property
    def static(self) -> tuple[Any, ...]:
        """The leaves that are part of the program."""
        places = set(self.places)
        return tuple(leaf for place, leaf in enumerate(self.leaves) if place not in places)

    def filled(self, fresh: Sequence[Tensor]) -> Any:
        """The arguments with other tensors in the places of the inputs."""
        leaves = list(self.leaves)
        for place, each in zip(self.places, fresh, strict=True):
            leaves[place] = each
        return tree.unflatten(self.structure, leaves)


class Compiled:
    """What `jit` returns: callable as the function itself."""

    def __init__(self, f: Callable[..., Any], roles: Roles, backend: str | None = None) -> None:
        self._f = f
        self._roles = roles
        self._backend = backend
        self._programs: dict[Any, Program] = {}
        self._routes: tuple[Route, ...] = ()
        self._known: dict[int, tuple[Route, ...]] = {}  # of each program
        self._last: list[tuple[str, str]] | None = None  # what the last trace was for
        self.compile_seconds = 0.0
        update_wrapper(self, f, updated=())  # f may be compiled itself, with attributes like ours

    @property
    def programs(self) -> list[Program]:
        """The versions that were compiled so far, the last one last."""
        return list(self._programs.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for each in self._routes:
            found = each(args, kwargs)
            if found is not MISS:
                return found
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no route knows."""
        call = self._taken_apart(args, kwargs)
        if any(each.tracks or not each.is_known for each in call.tensors):
            return self._f(*args, **kwargs)  # inside another trace: part of its graph
        key = self._key(call)
        if key not in self._programs:
            with paused():
                self._programs[key] = self._build(call)
        program = self._programs[key]
        if program.traced.open:
            del self._programs[key]
            return self._f(*args, **kwargs)
        self._remember(program, call, args, kwargs)
        if program.gifts:
            flat.forget((args, kwargs))
        found = self._run(program, call.tensors)
        for gift in program.gifts:
            for place in gift.unit.numbers:
                call.tensors[place].give_up()
        return program.made(found)

    def _remember(
        self, program: Program, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Find the short way for later calls like this one.

        A program whose calls are never alike (an array in pieces …) is given up after some.
        """
        known = self._known.get(id(program), ())
        gone = [each for each in known[-1:] if each not in self._routes]
        if gone:  # calls of other kinds came between
            self._routes = (*gone, *self._routes[: MOST_ROUTES - 1])
            return
        if len(known) == MOST_TRIES:
            return
        traced = program.traced
        types = [n.type for n in traced.inputs], [n.type for n in traced.outputs]
        wrapped = self._roles.wrapped(args, kwargs)
        structures = call.structure, traced.structure
        made = route(program.run, types, structures, wrapped, program.gifts)
        if made is not None:
            self._known[id(program)] = (*known, made)
            self._routes = (made, *self._routes[: MOST_ROUTES - 1])

    def _taken_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        leaves, structure = tree.flatten(self._roles.wrapped(args, kwargs))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, ARRAYS)]
        return Call(structure, leaves, places, [_argument(leaves[place]) for place in places])

    def _key(self, call: Call) -> Any:
        static = call.static
        try:
            hash(static)
        except TypeError:
            wrong = next(each for each in static if type(each).__hash__ is None)
            raise UsageError(
                f"an argument of type {type(wrong).__name__} in a compiled function",
                fix="pass arrays, containers of arrays, or hashable values",
            ) from None
        types = tuple((each.shape, each.dtype) for each in call.tensors)
        now = flags()
        tier = now.tier, self._backend or now.backend
        return call.structure, static, types, tier, ambient.current_mode(), product_dtype()

    def _build(self, call: Call) -> Program:
        start = time.perf_counter()

        def rebuild(fresh: Sequence[Tensor]) -> Any:
            return self._roles.unwrapped(*call.filled(fresh))

        traced = trace(self._f, [each.node.type for each in call.tensors], rebuild)
        chunks.release()  # compiling takes memory, and so does what is compiled
        gifts = self._gifts(call, traced)
        carry: Mapping[int, int] = {}
        run = None
        if flags().tier != "interpret" and not traced.open:
            carry = donation.carry(gifts)
            compiler = evaluate.compiler(self._backend)
            run = compiler.compile(traced.outputs, traced.inputs, carry=carry)
        seconds = time.perf_counter() - start
        self.compile_seconds += seconds
        described = self._roles.described(*tree.unflatten(call.structure, call.leaves))
        self._tell(call, described, seconds)
        marks = learned(call.structure)
        return Program(
            traced,
            run,
            gifts,
            carry,
            tuple(described[place][0] for place in call.places),
            tuple(marks[place] for place in call.places),
            around_arrays(traced.structure, [node.type for node in traced.outputs]),
        )

    def _gifts(self, call: Call, traced: Traced) -> list[donation.Gift]:
        """The donated arguments, and which results are written over them."""
        if not self._roles.donated:
            return []
        given = self._roles.donated_leaves(*tree.unflatten(call.structure, call.leaves))
        number = {place: i for i, place in enumerate(call.places)}
        donated = [
            each._replace(start=number[each.start])
            for each in donation.units(call.structure)
            if all(given[place] for place in each.numbers)
        ]
        inputs, outputs = ([n.type for n in nodes] for nodes in (traced.inputs, traced.outputs))
        results = list(donation.units(traced.structure))
        return donation.gifts((donated, inputs), (results, outputs))

    def _tell(self, call: Call, now: Described, seconds: float) -> None:
        """Say why the function was traced (`KEDJA_DEBUG=1`)."""
        why = "first call" if self._last is None else changes(self._last, now)
        self._last = now
        name = getattr(self._f, "__qualname__", type(self._f).__name__)  # modules have none
        types = ", ".join(str(each.node.type) for each in call.tensors)
        report(TIMINGS, lambda: f"jit {name}: {why} ({types}), {seconds:.3f} s")

    def _run(self, program: Program, tensors: list[Tensor]) -> list[np.ndarray]:
        if program.run is None:
            values = [each.numpy() for each in tensors]
            bound = dict(zip(program.traced.inputs, values, strict=True))
            return [value.copy() for value in reference.run(program.traced.outputs, bound)]
        if not program.carry:
            found: list[np.ndarray] = program.run(*(each.numpy() for each in tensors))
            return found
        return self._run_in_place(program, tensors)

    def _run_in_place(self, program: Program, tensors: list[Tensor]) -> list[np.ndarray]:
        """As above, where some results are written over donated arguments."""
        donated = set(program.carry.values())
        values = donation.arrays(tensors, donated)
        others = iter(program.run(*values))
        return [
            values[program.carry[place]] if place in program.carry else next(others)
            for place in range(len(program.traced.outputs))
        ]


Names = str | int | Sequence[str | int]


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static: Names = (),
    donate: Names = (),
    backend: str | None = None,
) -> Any:
    """Compile a function of tensors; usable as a decorator, with or without options.

    Arrays and numbers among the arguments (in any nesting of containers and modules) are inputs
    of the compiled program; other arguments must be hashable and lead to a program of their own
    for each value, as do arrays of other shapes and dtypes (`KEDJA_DEBUG=1` tells which argument
    made it compile again). A Python number is an input too: a float32 or int64 scalar inside. A
    function that closes over tensors that require a gradient is not compiled: it runs as it is.

    `static` names arguments (or gives their places) that are no inputs but part of the program,
    as the number of steps of a loop or a shape; they must be hashable.

    `donate` names arguments that are given up: results of the same types are written in their
    memory, and they cannot be looked at afterwards. (`fit` does so by itself.)

    `backend` is "cpu" for our own compiler or "xla" for JAX's, which runs the program on the device
    that JAX prefers (a GPU or TPU, where it sees one); by default the flag `backend` decides. XLA
    needs the extra `xla`: MissingExtra says how to install it.

    >>> import kedja as kj
    >>> @kj.jit
    ... def f(x):
    ...     return kj.sum(x * x)
    >>> f(kj.tensor([1.0, 2.0])).item()
    5.0
    >>> @kj.jit(static="times", donate="x")
    ... def g(x, times):
    ...     return x * 2**times
    >>> g(kj.tensor([1.0, 2.0]), times=3).tolist()
    [8.0, 16.0]
    """
    if backend is not None:
        require("backend", backend, BACKENDS)
    if f is None:
        return lambda function: jit(function, static=static, donate=donate, backend=backend)
    return Compiled(f, Roles.of(f, static, donate), backend)
