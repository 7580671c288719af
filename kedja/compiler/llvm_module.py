"""An empty LLVM module with opaque names, so that only `llvm*` files import llvmlite."""

from __future__ import annotations

from llvmlite import ir


def new_module() -> ir.Module:
    """A module for the kernels of one program."""
    return ir.Module("kedja")
