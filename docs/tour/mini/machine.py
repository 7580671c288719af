"""From LLVM's language to machine code that can be called. Here the pipeline ends."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from mini.emit import I64, PTR, Emitter, repeat
from mini.graph import Node
from mini.loops import Load, Nest, nests, numbered
from mini.meaning import Array
from mini.simplify import simplify

NOTHING: Mapping[int, int] = MappingProxyType({})


def module_of(order: Sequence[Nest], memory: Sequence[Node]) -> ir.Module:
    """A function tour(addresses, steps) that goes through all nests in order, steps times."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, I64]), "tour")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    addresses, steps = function.args
    places = [b.gep(addresses, [I64(i)], source_etype=PTR) for i in range(len(memory))]
    pointers = {node: b.load(at, typ=PTR) for node, at in zip(memory, places, strict=True)}

    def step(_: ir.Value) -> None:
        for nest in order:
            Emitter(b, pointers).nest(nest)

    repeat(b, steps, step)
    b.ret_void()
    return module


def compiled(module: ir.Module) -> llvm.ExecutionEngine:
    """Machine code for this processor, in memory and ready to be called."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(features=features, opt=2)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(parsed, passes)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


class Program:
    """A compiled graph. `carry` says which output becomes which input before the next step."""

    def __init__(
        self, outputs: Sequence[Node], inputs: Sequence[Node], carry: Mapping[int, int] = NOTHING
    ) -> None:
        self.inputs, self.outputs = inputs, simplify(outputs)
        order = nests(self.outputs)
        for i, j in carry.items():
            index = numbered("i", inputs[j].shape)
            order.append(Nest(inputs[j], index, Load(self.outputs[i], index)))
        memory = list(dict.fromkeys([*inputs, *(nest.node for nest in order)]))
        self.memory = {node: np.zeros(node.shape) for node in memory}
        self.module = module_of(order, memory)
        self.engine = compiled(self.module)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self.function = kind(self.engine.get_function_address("tour"))
        addresses = [array.ctypes.data for array in self.memory.values()]
        self.addresses = (ctypes.c_void_p * len(addresses))(*addresses)

    def __call__(self, *arrays: Array, steps: int = 1) -> list[Array]:
        """The outputs after some steps, between which nothing goes through Python."""
        for node, array in zip(self.inputs, arrays, strict=True):
            self.memory[node][...] = array
        self.function(self.addresses, steps)
        return [self.memory[node].copy() for node in self.outputs]
