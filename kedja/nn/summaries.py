"""`kj.summary`: the layers of a network as a table, with shapes, parameters, flops and memory.

Given inputs (or their shapes), the network is traced once; nothing is computed. Not here: the graph
of a network (`kj.show`), its values and gradients (`kj.explain`). Next: `kedja/optim`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kedja.autodiff import reverse
from kedja.front import tables, tree
from kedja.front.jit import Traced, trace
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import DType, as_dtype, float32, is_float
from kedja.ground.errors import GradientError, UsageError
from kedja.ir import cost
from kedja.ir.fold import chain
from kedja.ir.graph import Layer, Node, topological, variable
from kedja.ir.op import Type
from kedja.nn.module import Module, watching

COLUMNS = ("layer", "class", "arrays", "output", "parameters", "flops", "kept")
NUMBERS = ("parameters", "flops", "kept")
STYLES = ("bold", "", "dim", "", "green", "cyan", "magenta")
FORMAT = "kedja-summary"


@dataclass(frozen=True)
class Row:
    """One layer, with all inside it; `times` equal ones in a row stand for each other.

    `shape` are its own arrays, `output` the types of what it returns (empty without inputs, and
    where it was not called). `parameters` counts learned numbers and frozen ones, `frozen` the
    latter, `buffers` those that are never learned; `flops` are floating-point operations, `kept`
    the bytes that are kept for the gradient, each of one of the `times`.
    """

    name: str
    kind: str
    shape: str = ""
    parameters: int = 0
    output: str = ""
    level: int = 0
    frozen: int = 0
    buffers: int = 0
    bytes: int = 0
    flops: int = 0
    kept: int = 0
    calls: int = 0
    times: int = 1

    @property
    def trainable(self) -> int:
        """How many numbers are learned."""
        return self.parameters - self.frozen

    def data(self) -> dict[str, Any]:
        """The row as a plain dict."""
        return {**vars(self)}


@dataclass(frozen=True)
class Summary:
    """The layers of a network; prints as a table, shows itself in a notebook.

    `total` is the row of the whole; `rows` are the layers inside, each after the one that it is in,
    down to the depth that was asked for.
    """

    rows: tuple[Row, ...]
    total: Row
    traced: bool = field(default=False, repr=False)

    @property
    def parameters(self) -> int:
        """How many numbers are learned or frozen."""
        return self.total.parameters

    @property
    def trainable(self) -> int:
        """How many numbers are learned."""
        return self.total.trainable

    @property
    def buffers(self) -> int:
        """How many numbers belong to the model but are never learned."""
        return self.total.buffers

    @property
    def flops(self) -> int:
        """The floating-point operations of one call; a multiply-add counts as two."""
        return self.total.flops

    @property
    def bytes(self) -> int:
        """The bytes of all arrays."""
        return self.total.bytes

    @property
    def kept(self) -> int:
        """The bytes of the values that the gradient keeps, beside the arrays and the inputs."""
        return self.total.kept

    # ----------------------------------------------------------------------------- views

    def _cells(self) -> list[list[str]]:
        whole = replace(self.total, name="total", shape="", level=0)
        return [_cells(row, self.traced) for row in (*self.rows, whole)]

    def __str__(self) -> str:
        table = tables.plain(COLUMNS, self._cells(), NUMBERS)
        return "\n".join([table, "", *self._notes()])

    def __repr__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The table for standard output: in colours on a terminal, plain columns elsewhere."""
        table = tables.rendered(COLUMNS, self._cells(), STYLES, NUMBERS)
        return "\n".join([table, "", *self._notes()])

    def __rich__(self) -> Any:
        return tables.rich_table(COLUMNS, self._cells(), STYLES, NUMBERS)

    def _notes(self) -> list[str]:
        total = self.total
        held = (
            f"{total.trainable:,} trainable, {total.frozen:,} frozen, {total.buffers:,} in buffers"
        )
        notes = [f"parameters: {held}; {cost.readable(total.bytes)}"]
        if self.traced:
            notes.append(f"flops: {total.flops:,} (a multiply-add counts as 2)")
            notes.append(f"kept for the gradient: {cost.readable(total.kept)}")
        return notes

    def data(self) -> dict[str, Any]:
        """The summary as plain dicts and lists; `json()` as text."""
        rows = [row.data() for row in self.rows]
        return {"format": FORMAT, "version": 1, "total": self.total.data(), "layers": rows}

    def json(self) -> str:
        """The summary as JSON: the row of the whole, and those of the layers."""
        return json.dumps(self.data())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        notes = "<br>".join(self._notes())
        table = tables.html(COLUMNS, self._cells(), NUMBERS)
        return {"text/plain": str(self), "text/html": f"{table}<p>{notes}</p>"}


def _cells(row: Row, traced: bool) -> list[str]:
    kind = f"{row.times} × {row.kind}, each" if row.times > 1 else row.kind
    kind = f"{kind}, {row.calls} calls" if row.calls > 1 else kind
    name = f"{'  ' * row.level}{row.name}"
    costs = [cost.shortened(row.flops), cost.readable(row.kept)] if traced else ["", ""]
    shape = "" if traced else row.shape
    output = (row.output or "not called") if traced else ""
    return [name, kind, shape, output, f"{row.parameters:,}", *costs]


# --------------------------------------------------------------------------------- making one


def summary(
    model: Module,
    *inputs: Any,
    depth: int | None = None,
    dtype: Any = float32,
    **named: Any,
) -> Summary:
    """The layers of a network: class, output, parameters, flops and memory, and the totals.

    `inputs` (and `named`, by the names of the arguments) are example inputs, or their shapes: a
    tuple of numbers is a shape of `dtype`, a pair `((64, 16), "int64")` one of another dtype.
    Without them only arrays and parameters are counted. `depth` leaves out layers nested deeper;
    equal layers in a row (`h.0 … h.11`) are one row, whose numbers are those of each.

    Floating-point operations count a multiply-add as two and a function such as exp as one; what
    moves values or computes with whole numbers counts nothing. `kept` are the bytes of values that
    a compiled training step keeps for the gradient, about: those that it needs on the way back and
    that are not cheap to compute again. All are those of inference, and of float32 unless the model
    is of another dtype. Raises UsageError for inputs that are neither arrays nor shapes, and
    whatever the model raises for inputs that do not fit.

    >>> from kedja import nn
    >>> print(summary(nn.mlp([784, 128, 10]), (32, 784)))
    layer  class       output            parameters   flops      kept
    0      Linear      float32[32, 128]     100,480  6.43 M  16.0 KiB
    1      ReLU        float32[32, 128]           0   4,096   0 bytes
    2      Linear      float32[32, 10]        1,290  82,240   0 bytes
    total  Sequential  float32[32, 10]      101,770  6.51 M  16.0 KiB
    <BLANKLINE>
    parameters: 101,770 trainable, 0 frozen, 0 in buffers; 397.5 KiB
    flops: 6,512,960 (a multiply-add counts as 2)
    kept for the gradient: 16.0 KiB
    """
    if not isinstance(model, Module):
        raise UsageError(
            f"summary of an object of type {type(model).__name__}",
            fix="give a module; kj.show shows functions and tensors",
        )
    counts = _counted(model)
    if inputs or named:
        args = [_example(each, dtype) for each in inputs]
        _trace(model, args, {name: _example(each, dtype) for name, each in named.items()}, counts)
    whole, *rows = _rows(counts)
    shown = [row for row in _with_runs(rows) if depth is None or row.level < depth]
    return Summary(tuple(shown), whole, bool(inputs or named))


@dataclass
class _Count:
    """What one module has and does itself, without those inside it."""

    kind: str
    shapes: list[str] = field(default_factory=list)
    output: str = ""
    calls: int = 0
    parameters: int = 0
    frozen: int = 0
    buffers: int = 0
    bytes: int = 0
    flops: int = 0
    kept: int = 0


Counts = dict[str, _Count]  # by the paths of the modules, the outermost (the empty path) first
SUMMED = ("parameters", "frozen", "buffers", "bytes", "flops", "kept")


def _counted(model: Module) -> Counts:
    """Every module with its own arrays; an array that stands at two places counts at the first."""
    counts: Counts = {}
    first: dict[int, str] = {}
    for path, module in model.modules():
        known = first.setdefault(id(module), path)
        kind = type(module).__name__
        counts[path] = _Count(kind if known == path else f"{kind} (the same as {known})")
    free = model.unfreeze()
    marks = zip(_marks(model), _marks(free), strict=True)
    for (path, leaf), (learned, learnable) in zip(tree.paths(model), marks, strict=True):
        owner = _owner(path, counts)
        _count_array(
            counts[owner], path[len(owner) :].lstrip("."), as_tensor(leaf), learned, learnable
        )
    return counts


def _marks(model: Module) -> list[bool]:
    return tree.trainable(tree.flatten(model)[1])


def _owner(path: str, counts: Counts) -> str:
    """The innermost module that an array stands in."""
    inside = [each for each in counts if each and path.startswith(f"{each}.")]
    return max(inside, key=len, default="")


def _count_array(count: _Count, name: str, array: Tensor, learned: bool, learnable: bool) -> None:
    count.shapes.append(f"{name} {list(array.shape)}")
    count.bytes += array.size * array.dtype.itemsize
    if learnable:
        count.parameters += array.size
        count.frozen += 0 if learned else array.size
    else:
        count.buffers += array.size


# --------------------------------------------------------------------------------- the inputs


@dataclass(frozen=True)
class _Example:
    """What stands for an input: its type."""

    type: Type


def _example(given: Any, dtype: Any) -> Any:
    """A tree of types: of arrays, or of the shapes that are given instead."""
    if _is_shape(given):
        return _Example(Type(tuple(int(n) for n in given), _dtype(dtype)))
    if isinstance(given, tuple) and len(given) == 2 and _is_shape(given[0]):
        return _Example(Type(tuple(int(n) for n in given[0]), _dtype(given[1])))
    if isinstance(given, (Tensor, np.ndarray, np.generic, int, float)):
        return _leaf(given)
    if isinstance(given, (list, tuple, Mapping)):
        return tree.map(_leaf, given)
    raise UsageError(
        f"an example input of type {type(given).__name__}",
        fix="give an array, or its shape: (32, 784), or ((32, 16), 'int64')",
    )


def _leaf(leaf: Any) -> _Example:
    return _Example(as_tensor(leaf).node.type)


def _is_shape(given: Any) -> bool:
    whole = (int, np.integer)
    return isinstance(given, tuple) and all(
        isinstance(n, whole) and not isinstance(n, bool) for n in given
    )


def _dtype(given: Any) -> DType:
    return as_dtype(np.dtype(given) if isinstance(given, str) else given)


# -------------------------------------------------------------------------------- the trace


def _trace(model: Module, args: list[Any], kwargs: dict[str, Any], counts: Counts) -> None:
    """Call the model with inputs that have no values, and count what its layers do."""
    leaves, structure = tree.flatten((args, kwargs))
    kinds = [leaf.type for leaf in leaves if isinstance(leaf, _Example)]

    def rebuild(fresh: Sequence[Tensor]) -> Any:
        remaining = iter(fresh)
        filled = [next(remaining) if isinstance(leaf, _Example) else leaf for leaf in leaves]
        return tree.unflatten(structure, filled)

    def heard(layer: Layer, module: Module, result: Any) -> None:
        count = counts[_path(layer, counts)]
        if _is_own(layer, counts):
            count.calls += 1
            count.output = _described(result)

    with watching(heard):
        traced = trace(lambda *a, **k: model(*a, **k), kinds, rebuild)
    arrays = {as_tensor(leaf).node for leaf in tree.leaves(model)}
    _count_work(traced, arrays, counts)
    _count_kept(model, traced, arrays, counts)


def _described(result: Any) -> str:
    """The types of what a module returned."""
    found = [each for each in tree.leaves(result) if isinstance(each, Tensor)]
    return ", ".join(str(each.node.type) for each in found) or "nothing"


def _path(layer: str, counts: Counts) -> str:
    """The module that a call belongs to: the innermost that stands in the network."""
    for each in reversed(chain(layer)):
        path = _own_path(each)
        if path in counts:
            return path
    return ""


def _own_path(layer: str) -> str:
    """The path of a call; a single layer that is the whole network is called by its class."""
    return "" if isinstance(layer, Layer) and layer.outer is None else str(layer)


def _is_own(layer: Layer, counts: Counts) -> bool:
    return _own_path(layer) in counts


def _count_work(traced: Traced, arrays: set[Node], counts: Counts) -> None:
    for node in topological(traced.outputs, leaves=arrays):
        if node not in arrays:
            counts[_path(node.scope, counts)].flops += cost.flops(node)


def _count_kept(model: Module, traced: Traced, arrays: set[Node], counts: Counts) -> None:
    """What the gradient of all float outputs by all learned arrays looks at."""
    pairs = zip(tree.leaves(model), _marks(model), strict=True)
    learned = [as_tensor(leaf).node for leaf, mark in pairs if mark]
    wanted = [node for node in learned if is_float(node.dtype)]
    outputs = [node for node in traced.outputs if is_float(node.dtype)]
    arriving = [variable("g", node.type) for node in outputs]
    try:
        found = reverse.vjp(outputs, arriving, wanted)
    except GradientError:  # a loop that has forward mode only keeps nothing
        return
    order = topological(traced.outputs, leaves=arrays)
    given = {*arrays, *traced.inputs, *arriving}
    for node in cost.kept(order, [g for g in found if g is not None], given):
        counts[_path(node.scope, counts)].kept += cost.nbytes([node])


# ----------------------------------------------------------------------------------- the rows


def _rows(counts: Counts) -> list[Row]:
    """A row for each module, with the sums over all inside it; the outermost first."""
    found = []
    for path, own in counts.items():
        inside = [each for name, each in counts.items() if _is_within(name, path)]
        sums = {key: sum(getattr(each, key) for each in inside) for key in SUMMED}
        level = sum(_is_within(path, each) for each in counts) - 2
        row = Row(path, own.kind, ", ".join(own.shapes), level=max(0, level), **sums)
        found.append(replace(row, output=own.output, calls=own.calls))
    return found


def _is_within(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


def _with_runs(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows, of layers that repeat only the first with those inside it."""
    groups = _siblings(rows)
    place = 0
    while place < len(groups):
        first = groups[place]
        alike = 1
        while place + alike < len(groups) and _repeats(first, groups[place + alike]):
            alike += 1
        head, *inside = first
        if alike > 1:
            head = replace(
                head, name=f"{head.name} … {groups[place + alike - 1][0].name}", times=alike
            )
        yield head
        yield from _with_runs(inside)
        place += alike


def _siblings(rows: Sequence[Row]) -> list[list[Row]]:
    """Each row of the highest level with the rows inside it."""
    groups: list[list[Row]] = []
    for row in rows:
        if not groups or row.level <= groups[0][0].level:
            groups.append([row])
        else:
            groups[-1].append(row)
    return groups


def _repeats(first: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two layers differ in nothing but the number that their paths end with."""
    stems = [group[0].name.rstrip("0123456789") for group in (first, other)]
    numbered = stems[0] != first[0].name
    return numbered and stems[0] == stems[1] and _without_names(first) == _without_names(other)


def _without_names(group: Sequence[Row]) -> list[Row]:
    start = len(group[0].name)
    return [replace(row, name=row.name[start:]) for row in group]
