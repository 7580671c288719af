"""The loops and the LLVM code of a few small programs, as texts that people have read."""

from __future__ import annotations

import pytest

from kedja.compiler import codegen
from kedja.compiler.runtime_target import named_target
from kedja.compiler.schedule import Schedule
from tests.compiler.programs import SMALL


@pytest.mark.parametrize("name", SMALL)
def test_loops(name, golden):
    outputs, inputs = SMALL[name]()
    golden(f"loops_{name}", codegen.loops_of(outputs, inputs) + "\n")


def test_llvm_of_column_sums(golden):
    outputs, inputs = SMALL["column_sums"]()
    order = codegen.lower(outputs, inputs, [], {}, None).schedule
    emitter = codegen.Emitter(named_target("avx2"))
    assert isinstance(order, Schedule)
    emitter.uses(order)
    golden("llvm_column_sums", str(emitter.module))
