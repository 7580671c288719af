"""Targets and the code that is emitted for them; none but the host's is run.

Not here: running programs (`test_runtime.py`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest import mock

import pytest
from runtime_kernels import kernels

from kedja.compiler import llvm_ir as ir
from kedja.compiler import runtime_target
from kedja.compiler.llvm_blocks import F32, I64, PTR, declare, for_range, function, load_at
from kedja.compiler.runtime_native import emit_runtime
from kedja.compiler.runtime_object import (
    Library,
    assembly,
    code_of,
    compile_module,
    complete,
    machine_of,
)
from kedja.compiler.runtime_target import (
    V3,
    V4,
    Target,
    current_target,
    host_target,
    named_target,
)
from kedja.compiler.runtime_threads import System
from kedja.ground.errors import UsageError, VerificationError
from kedja.ground.flags import scope


def squares(target: Target) -> ir.Module:
    """x[i] <- x[i] * x[i] + x[i], in vectors of the target's width."""
    lanes = target.vector_bits // 32
    vector = ir.VectorType(F32, lanes)
    module = ir.Module("squares")
    b, made = function(module, "kedja_squares", {"x": PTR, "n": I64})
    fma = declare(module, f"llvm.fma.v{lanes}f32", [vector] * 3, vector)
    with for_range(b, 0, made.args[1], lanes) as i:
        place = b.gep(made.args[0], [i], source_etype=F32)
        value = load_at(b, place, 0, vector, align=4)
        b.store(b.call(fma, [value, value, value]), place, align=4)
    b.ret_void()
    return module


@pytest.mark.parametrize(
    ("name", "instruction", "register"),
    [("avx512", "vfmadd", "%zmm"), ("avx2", "vfmadd", "%ymm"), ("neon", "fmla", "4s")],
)
def test_every_named_target_can_be_emitted_for(name: str, instruction: str, register: str) -> None:
    target = named_target(name)
    text = assembly(squares(target), target)
    assert instruction in text
    assert register in text
    assert "callq" not in text
    assert compile_module(squares(target), target, passes=1)[:4] == b"\x7fELF"


@pytest.mark.parametrize("waiting", ["futex", "posix", "windows"])
@pytest.mark.parametrize("name", ["avx2", "neon"])
def test_the_runtime_can_be_emitted_for_other_systems(name: str, waiting: str) -> None:
    target = named_target(name)
    system = System(target.architecture, waiting)  # type: ignore[arg-type]
    text = assembly(emit_runtime(target, system), target, passes=2)
    spin, flush = {"avx2": ("pause", "ldmxcsr"), "neon": ("isb", "fpcr")}[name]
    assert spin in text
    assert flush in text.lower()
    assert ("syscall" in text) == (waiting == "futex")
    assert ("SwitchToThread" in text) == (waiting == "windows")


def test_the_host_is_what_its_features_say() -> None:
    host = host_target()
    assert host.runs_here()
    assert host.name == "host"
    assert host.vector_bits in (128, 256, 512)
    assert 4096 <= host.l1 < host.l2


@pytest.mark.parametrize(
    ("present", "cpu", "bits", "registers", "masked"),
    [
        (V4 | V3, "x86-64-v4", 512, 32, True),
        (V3 | {"avx512f"}, "x86-64-v3", 256, 16, False),
        (V4, "x86-64", 128, 16, False),
        ({"sse2", "avx"}, "x86-64", 256, 16, False),
        (set(), "x86-64", 128, 16, False),
    ],
)
def test_the_cpu_follows_from_the_feature_list(
    present: set[str], cpu: str, bits: int, registers: int, masked: bool
) -> None:
    listed = ",".join(["-amx-tile", *(f"+{name}" for name in sorted(present))])
    made = runtime_target._x86_target("x86_64-unknown-linux-gnu", listed)
    assert (made.cpu, made.vector_bits, made.registers) == (cpu, bits, registers)
    assert made.has_masked_ops == masked
    assert made.has_fma == ("fma" in present)


def test_a_processor_without_the_features_does_not_run_the_code() -> None:
    poor = Target("host", host_target().triple, "x86-64", "+sse2", 128, 16)
    with mock.patch("kedja.compiler.runtime_target.host_target", lambda: poor):
        assert not replace(poor, cpu="x86-64-v3").runs_here()
        assert not replace(poor, features="+sse2,+avx").runs_here()
        assert poor.runs_here()


def test_keys_tell_targets_apart() -> None:
    targets = [named_target(name) for name in ("avx512", "avx2", "neon")]
    targets.append(replace(targets[0], features="+avx512fp16"))
    assert len({target.key() for target in targets}) == 4
    assert targets[0].key() == named_target("avx512").key()


def test_the_flag_names_the_target() -> None:
    assert current_target() == host_target()
    with scope(target="neon"):
        assert current_target().architecture == "aarch64"
    with pytest.raises(UsageError, match="unknown target"):
        named_target("sparc")


def test_a_module_that_llvm_refuses_is_a_bug_that_is_named() -> None:
    with pytest.raises(VerificationError, match="LLVM refuses"):
        compile_module("define void @kedja_x() { ret i32 1 }", host_target())


@pytest.mark.parametrize("text", ["ret i32 1", "ret void, 1", "%x = add i32 %y, 1 ret void"])
def test_a_module_that_is_refused_in_a_thread_is_named_too(text: str) -> None:
    with pytest.raises(VerificationError, match=r"LLVM refuses .*[a-z]"):
        code_of(f"define void @kedja_x() {{ {text} }}", machine_of(host_target()))


def test_two_threads_generate_the_code_of_one() -> None:
    """Each module has a context of its own, so that LLVM needs no lock."""
    texts = [complete(squares(host_target()), host_target()) for _ in range(8)]
    alone = [code_of(text, machine_of(host_target())) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda text: code_of(text, machine_of(host_target())), texts)
        assert list(found) == alone


def test_a_symbol_that_is_not_ours_is_never_looked_up() -> None:
    library = Library(kernels(), host_target())
    assert library.address("kedja_count")
    with pytest.raises(VerificationError, match="does not begin"):
        library.address("labs")
