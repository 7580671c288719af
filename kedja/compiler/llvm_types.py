"""The types and constants of LLVM's IR, as its assembly writes them.

Not here: instructions (`llvm_ir.py`, which also gives these names to the emitters).
Next: `llvm_ir.py`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any


class Type:
    """A type; those that are written the same are equal."""

    __slots__ = ("text",)

    element: Type  # of vectors and arrays
    count: int
    width: int  # of integers

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Type) and self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.text)

    def __call__(self, value: Any) -> Constant:
        """A constant of this type."""
        return Constant(self, value)


class VoidType(Type):
    """What a function without a result gives."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("void")


class PointerType(Type):
    """An address; what stands there is known to loads and stores."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("ptr")


class IntType(Type):
    """An integer of so many bits."""

    __slots__ = ("width",)

    def __init__(self, width: int) -> None:
        super().__init__(f"i{width}")
        self.width = width


class HalfType(Type):
    """float16."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("half")


class FloatType(Type):
    """float32."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("float")


class DoubleType(Type):
    """float64."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("double")


class VectorType(Type):
    """So many elements in a register."""

    __slots__ = ("count", "element")

    def __init__(self, element: Type, count: int) -> None:
        super().__init__(f"<{count} x {element}>")
        self.element, self.count = element, count


class ArrayType(Type):
    """So many elements in memory."""

    __slots__ = ("count", "element")

    def __init__(self, element: Type, count: int) -> None:
        super().__init__(f"[{count} x {element}]")
        self.element, self.count = element, count


class LiteralStructType(Type):
    """Several values of their own types."""

    __slots__ = ("elements",)

    def __init__(self, elements: Sequence[Type]) -> None:
        super().__init__(f"{{{', '.join(map(str, elements))}}}")
        self.elements = tuple(elements)


class FunctionType(Type):
    """What a function takes and returns."""

    __slots__ = ("args", "return_type", "var_arg")

    def __init__(self, return_type: Type, args: Sequence[Type], var_arg: bool = False) -> None:
        more = ["..."] if var_arg else []
        super().__init__(f"{return_type} ({', '.join([*map(str, args), *more])})")
        self.return_type, self.args, self.var_arg = return_type, tuple(args), var_arg


# -------------------------------------------------------------------------- values, constants


class Value:
    """Something that instructions take: `text` is how they name it."""

    __slots__ = ("text", "type")

    constant: Any  # of constants

    def __init__(self, type: Type, text: str) -> None:
        self.type = type
        self.text = text

    def __str__(self) -> str:
        return f"{self.type.text} {self.text}"


class Undefined:
    """Stands for a value that does not matter."""


class Constant(Value):
    """A number, several in a list, one for all lanes of a vector, None for no address."""

    __slots__ = ("constant",)

    def __init__(self, type: Type, constant: Any) -> None:
        super().__init__(type, _text(type, constant))
        is_number = isinstance(type, IntType) and constant is not Undefined
        self.constant = int(constant) if is_number else constant


def _text(type: Type, value: Any) -> str:
    if value is Undefined:
        return "undef"
    match type:
        case IntType():
            return str(int(value))
        case FloatType() | DoubleType() | HalfType():
            return _float(type.text, float(value))
        case VectorType():
            return _vector(type, value)
        case ArrayType():
            return f"[{', '.join([str(_as_constant(type.element, each)) for each in value])}]"
        case PointerType() if value is None:
            return "null"
        case LiteralStructType() if value is None:
            return "zeroinitializer"
    raise TypeError(f"no constants of type {type}")


def _as_constant(type: Type, value: Any) -> Constant:
    return value if isinstance(value, Constant) else Constant(type, value)


def _vector(type: VectorType, value: Any) -> str:
    if not isinstance(value, list | tuple):
        return f"splat ({_as_constant(type.element, value)})"
    lanes = [str(_as_constant(type.element, each)) for each in value]
    if len(set(lanes)) == 1:
        return f"splat ({lanes[0]})"
    return f"<{', '.join(lanes)}>"


def _float(kind: str, value: float) -> str:
    """The bits, as LLVM wants those of float32 too: as a float64. Whole numbers are readable."""
    if kind == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    exact = ctypes.c_float(value).value if kind == "float" else value
    if exact.is_integer() and abs(exact) < 1e6:
        return repr(exact)
    return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"
