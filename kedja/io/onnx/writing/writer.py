"""Making the nodes of an ONNX graph: names, attributes, constants, shapes that follow the batch.

Not here: which nodes a graph needs (`selection.py`). Next: `selection.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.io.onnx import elements, extra
from kedja.io.onnx.writing.extents import Extent, Line

Array = np.ndarray[Any, np.dtype[Any]]
END = np.iinfo(np.int64).max
BEFORE_FIRST = np.iinfo(np.int64).min + 1


class Names:
    """Names that are used once in a whole model."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """The name itself, or one with a number where it is taken."""
        name = wanted
        while name in self._used:
            self._next[wanted] = self._next.get(wanted, 0) + 1
            name = f"{wanted}_{self._next[wanted]}"
        self._used.add(name)
        return name


class Writer:
    """The nodes of one graph. Arrays all stand in the outermost one."""

    def __init__(self, names: Names, opset: int, root: Writer | None = None) -> None:
        self.names = names
        self.opset = opset
        self.root = root or self
        self.nodes: list[Any] = []
        self.arrays: dict[str, Array] = {}
        self.scope = ""
        self.batch: tuple[str, int] | None = None  # the input and the axis that have the batch
        self._constants: dict[Any, str] = {}
        self._extents: dict[Line, str] = {}

    def inner(self) -> Writer:
        """The writer of a graph inside this one."""
        return Writer(self.names, self.opset, self.root)

    # ------------------------------------------------------------------ nodes

    def add(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """A node with one output; gives the output's name."""
        return self.add_several(op, inputs, 1, **attrs)[0]

    def add_several(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        """A node with several outputs."""
        label = self.names.take(f"{self.scope}/{op}" if self.scope else op)
        outputs = [
            self.names.take(f"{label}:{place}" if place else f"{label}:0") for place in range(count)
        ]
        given = {name: value for name, value in attrs.items() if value is not None}
        make = extra.load().helper.make_node
        self.nodes.append(make(op, list(inputs), outputs, name=label, **given))
        return outputs

    # ------------------------------------------------------------------ arrays

    def array(self, value: Array, name: str) -> str:
        """An array of the model under a name of its own."""
        taken = self.names.take(name)
        self.root.arrays[taken] = value
        return taken

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A small array; equal ones are written once."""
        array = np.asarray(value, dtype)
        key = array.dtype.name, array.shape, hashlib.sha256(array.tobytes()).digest()
        known = self.root._constants
        if key not in known:
            known[key] = self.array(array, _constant_name(array))
        return known[key]

    # ------------------------------------------------------------------ shapes

    def ints(self, numbers: Sequence[Extent]) -> str:
        """Whole numbers as a line of int64, some of which may follow the batch size."""
        if not any(isinstance(each, Line) for each in numbers):
            return self.constant(list(numbers), np.int64)
        pieces: list[str] = []
        fixed: list[int] = []
        for each in numbers:
            if isinstance(each, Line):
                pieces += [self.constant(fixed, np.int64)] if fixed else []
                pieces.append(self.extent(each))
                fixed = []
            else:
                fixed.append(each)
        pieces += [self.constant(fixed, np.int64)] if fixed else []
        return pieces[0] if len(pieces) == 1 else self.add("Concat", pieces, axis=0)

    def extent(self, line: Line) -> str:
        """A number that follows the batch size, as an array of one."""
        if self is not self.root:
            return self.root.extent(line)
        if line not in self._extents:
            self._extents[line] = self._computed(line)
        return self._extents[line]

    def _computed(self, line: Line) -> str:
        if line == Line(1, 0):
            assert self.batch is not None
            name, axis = self.batch
            return self.add("Shape", [name], start=axis, end=axis + 1)
        size = self.extent(Line(1, 0))
        if line.slope != 1:
            size = self.add("Mul", [size, self.constant([line.slope], np.int64)])
        if line.start:
            size = self.add("Add", [size, self.constant([line.start], np.int64)])
        return size


def _constant_name(array: Array) -> str:
    """What a constant is called: its value, if it is short."""
    if array.size <= 4 and array.ndim <= 1:
        text = "_".join(str(each) for each in array.reshape(-1).tolist())
        return f"const_{re.sub('[^A-Za-z0-9_.-]', '', text)}"
    return f"const_{array.dtype.name}_{'x'.join(map(str, array.shape))}"


def tensor_proto(array: Array, name: str) -> Any:
    """An array as ONNX stores it."""
    onnx = extra.load()
    proto = onnx.TensorProto()
    proto.name = name
    proto.data_type = elements.CODE_OF[array.dtype]
    proto.dims.extend(array.shape)
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    proto.raw_data = little.tobytes()
    return proto


def value_info(name: str, dtype: Any, shape: Sequence[Extent | str]) -> Any:
    """The declaration of an input or output; what follows the batch is `batch` or unknown."""
    dims: list[Any] = [_dim(each) for each in shape]
    helper = extra.load().helper
    return helper.make_tensor_value_info(name, elements.CODE_OF[dtype], dims)


def _dim(extent: Extent | str) -> Any:
    if isinstance(extent, Line):
        return "batch" if extent == Line(1, 0) else None
    return extent
