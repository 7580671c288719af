"""What the rule of an operator is handed beside its inputs: attributes, version, known values.

A rule is called as `rule(call, *inputs)`; an input is a tensor, a list (ONNX's sequences) or None
where it is left out. Rules give one value, or a tuple of them for several outputs.
Next: `operators/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from kedja.front.tensor import Tensor, as_tensor, from_value
from kedja.ground.errors import DataError, TracingError, UnsupportedError
from kedja.io.onnx.plan import Array, Plan, Step

Value = Any  # Tensor | list | None
RunInner = Callable[[Plan, Sequence[Value]], list[Value]]


class Call:
    """One call of an operator."""

    def __init__(self, step: Step, attributes: Mapping[str, Any], run: RunInner) -> None:
        self.step = step
        self.attributes = attributes
        self.run = run

    @property
    def version(self) -> int:
        """The version of the operator's set that the model was made for."""
        return self.step.version

    @property
    def operator(self) -> str:
        """The operator's name."""
        return self.step.operator

    @property
    def outputs(self) -> int:
        """How many outputs are named, those without a user counted as well."""
        return len(self.step.outputs)

    def wants(self, place: int) -> bool:
        """Whether an output is used at all."""
        return place < len(self.step.outputs) and bool(self.step.outputs[place])

    # ------------------------------------------------------------------ attributes

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or what stands for it where it is not given."""
        found = self.attributes.get(name)
        return default if found is None else found

    def need(self, name: str) -> Any:
        """An attribute that must be there."""
        if self.attributes.get(name) is None:
            raise DataError(f"ONNX {self.operator} without its attribute {name!r}")
        return self.attributes[name]

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        """An attribute that is one of some words."""
        found = self.get(name, default)
        if found not in allowed:
            self.refuse(f"{name}={found!r}")
        return str(found)

    def refuse(self, what: str) -> NoReturn:
        """Raise UnsupportedError: the operator is known, but not in this form."""
        raise UnsupportedError(f"ONNX {self.operator} with {what} has no counterpart here")

    def wrong(self, what: str) -> NoReturn:
        """Raise DataError: the model itself is wrong."""
        raise DataError(f"ONNX {self.operator}: {what}")

    # ------------------------------------------------------------------ values

    def array(self, value: Value, what: str) -> Array:
        """The value of an input that must be known, because shapes follow from it."""
        if not isinstance(value, Tensor):
            self.wrong(f"{what} is missing")
        if not value.is_known:
            raise TracingError(
                f"ONNX {self.operator}: {what} depends on an input of the compiled function, and "
                "shapes depend on it",
                fix="call the model without jit, or compute this part outside of it",
            )
        return value.numpy()

    def ints(self, value: Value, what: str) -> list[int]:
        """The whole numbers of an input whose value must be known."""
        return [int(each) for each in np.atleast_1d(self.array(value, what)).reshape(-1)]

    def integer(self, value: Value, what: str) -> int:
        """The one whole number of an input whose value must be known."""
        found = self.ints(value, what)
        if len(found) != 1:
            self.wrong(f"{what} has {len(found)} elements instead of one")
        return found[0]

    def axes(self, value: Value, before: int) -> list[int] | None:
        """Axes, which are an attribute up to version `before` of the set and then an input."""
        if self.version < before:
            found = self.get("axes")
            return None if found is None else list(found)
        return None if value is None else self.ints(value, "axes")


def is_known(*values: Value) -> bool:
    """Whether all values (those that are there) can be looked at now."""
    return all(each.is_known for each in values if isinstance(each, Tensor))


def tensor_of(array: Any) -> Tensor:
    """A tensor of a NumPy array that nobody changes."""
    given = np.asarray(array)
    return from_value(given) if given.flags.c_contiguous else as_tensor(given)


def of_dtype(array: Any, like: Tensor) -> Tensor:
    """Numbers that were computed here, in the dtype of a tensor beside them."""
    return tensor_of(np.asarray(array).astype(like.dtype))
