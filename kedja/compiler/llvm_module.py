"""An LLVM module that knows its target, so that emitters can ask it. Next: `llvm_ir.py`."""

from __future__ import annotations

from kedja.compiler import llvm_ir as ir
from kedja.compiler.runtime_target import Target


class KernelModule(ir.Module):
    """The kernels of one program; emitters ask it what the target's instructions can do."""

    def __init__(self, target: Target) -> None:
        super().__init__("kedja")
        self.target = target


def new_module(target: Target) -> KernelModule:
    """A module for the kernels of one program."""
    return KernelModule(target)


def converts_half(module: ir.Module) -> bool:
    """Whether float16 and float32 are converted by instructions: without them LLVM would call
    a routine of a runtime library, which object code does not have."""
    return isinstance(module, KernelModule) and module.target.has_half


def rounds_to_brain(module: ir.Module) -> bool:
    """Whether an instruction rounds float32 to bfloat16."""
    return isinstance(module, KernelModule) and module.target.has_bfloat16_dot
