"""Modules, functions and blocks of LLVM's IR, written as text.

Not here: the instructions in the blocks (`llvm_ir.py`), types and constants (`llvm_types.py`).
Next: `llvm_ir.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedja.compiler.llvm_types import Constant, FunctionType, PointerType, Type, Value

PTR = PointerType()


class Module:
    """Functions and constants that are compiled together."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.triple = self.data_layout = ""
        self.globals: dict[str, Any] = {}
        self._metadata: dict[str, str] = {}

    @property
    def functions(self) -> list[Function]:
        """All functions, declarations too."""
        return [each for each in self.globals.values() if isinstance(each, Function)]

    @property
    def length(self) -> int:
        """About how many instructions it has."""
        return sum(each.count for each in self.functions)

    def get_global(self, name: str) -> Any:
        """The function or the variable of that name."""
        return self.globals[name]

    def add_metadata(self, values: Sequence[Value | str]) -> str:
        """The name of a list of values that instructions refer to."""
        text = ", ".join(each if isinstance(each, str) else str(each) for each in values)
        return self._metadata.setdefault(text, f"!{len(self._metadata)}")

    def __str__(self) -> str:
        head = [f'target triple = "{self.triple}"'] if self.triple else []
        head += [f'target datalayout = "{self.data_layout}"'] if self.data_layout else []
        tail = [f"{name} = !{{{text}}}" for text, name in self._metadata.items()]
        return "\n".join([*head, *(each.definition() for each in self.globals.values()), *tail, ""])


class GlobalVariable(Value):
    """Memory of a module."""

    def __init__(self, module: Module, kind: Type, name: str) -> None:
        super().__init__(PTR, f"@{name}")
        self.kind, self.linkage, self.global_constant = kind, "", False
        self.initializer: Constant | None = None
        module.globals[name] = self

    def definition(self) -> str:
        """The line that makes it."""
        how = "constant" if self.global_constant else "global"
        words = (self.text, "=", self.linkage, how, str(self.initializer or self.kind))
        return " ".join(filter(None, words))


class Function(Value):
    """A function: declared as long as it has no blocks."""

    def __init__(self, module: Module, kind: FunctionType, name: str) -> None:
        super().__init__(PTR, f"@{name}")
        self.module, self.name, self.function_type = module, name, kind
        self.args = [Argument(each, f"%{i}") for i, each in enumerate(kind.args)]
        self.blocks: list[Block] = []
        self.attributes: set[str] = set()
        self.linkage = ""
        self.allocated: list[str] = []
        self.count = 0  # of names given
        module.globals[name] = self

    def append_basic_block(self, name: str = "") -> Block:
        """A new block behind the others."""
        self.count += 1
        block = Block(self, f"{name}.{self.count}")
        self.blocks.append(block)
        return block

    def definition(self) -> str:
        """Its text."""
        kind = self.function_type
        if not self.blocks:
            takes = ", ".join([*map(str, kind.args), *(["..."] if kind.var_arg else [])])
            return f"declare {kind.return_type} {self.text}({takes})"
        words = ("define", self.linkage, str(kind.return_type), self._head())
        lines = [" ".join(filter(None, words))]
        for block in self.blocks:
            lines.append(f"{block.name}:")
            lines += self.allocated if block is self.blocks[0] else ()
            lines += [each if isinstance(each, str) else each.line() for each in block.lines]
        return "\n".join([*lines, "}"])

    def _head(self) -> str:
        takes = ", ".join(map(str, self.args))
        return " ".join([f"{self.text}({takes})", *sorted(self.attributes), "{"])


class Argument(Value):
    """What a function is given; it may be named until it is used."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """How it is called."""
        return self.text[1:]

    @name.setter
    def name(self, name: str) -> None:
        self.text = f"%{name}"


class Block:
    """Instructions that run one after the other; the last one leads elsewhere."""

    __slots__ = ("function", "is_terminated", "lines", "name")

    def __init__(self, function: Function, name: str) -> None:
        self.function, self.name = function, name
        self.lines: list[str | Phi] = []
        self.is_terminated = False


class Phi(Value):
    """A value that comes from the block that ran before."""

    __slots__ = ("incoming",)

    def __init__(self, type: Type, text: str) -> None:
        super().__init__(type, text)
        self.incoming: list[tuple[Value, Block]] = []

    def add_incoming(self, value: Value, block: Block) -> None:
        """The value that it has when that block ran before."""
        self.incoming.append((value, block))

    def line(self) -> str:
        """The instruction."""
        pairs = ", ".join([f"[{each.text}, %{block.name}]" for each, block in self.incoming])
        return f"  {self.text} = phi {self.type.text} {pairs}"
