"""float16 and bfloat16 in machine code: every value widened, every kind of tie rounded, on every
target; and no routine of a runtime library called.

Beside this machine's code, that of a processor without conversion instructions is run.
Not here: which ops are computed in float32 (`test_widen.py`). Next: `tests/ops/test_casts.py`.
"""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import numpy as np
import pytest

from kedja.compiler.codegen import build
from kedja.compiler.llvm_module import converts_half, new_module
from kedja.compiler.pipeline import Executable
from kedja.compiler.runtime import Program
from kedja.compiler.runtime_target import Target, host_target, named_target
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ground.dtypes import ALL, HALVES, bfloat16, bool_, convert, float16, float32, float64
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type
from tests.compiler.jit_harness import undefined_symbols

INTEL = platform.machine() in ("x86_64", "AMD64")
PLAIN = Target("plain", llvm.get_process_triple(), "x86-64", "", 128, 16, has_fma=False)
RUN = [host_target(), *([named_target("avx2"), PLAIN] if INTEL else [])]
EMITTED = [*RUN, named_target("avx512"), named_target("neon")]
on_each = pytest.mark.parametrize("target", RUN, ids=lambda target: target.name)
in_each = pytest.mark.parametrize("dtype", HALVES, ids=lambda dtype: dtype.name)


def run_on(
    target: Target, outputs: list[Node], inputs: list[Node], *arrays: np.ndarray
) -> list[np.ndarray]:
    """The outputs of a graph by the code for a target."""
    made = build(outputs, inputs, [], {}, None, target)
    program = Program(made.plan, made.object_code, [], target)
    return Executable(program, [x.type for x in inputs], [y.type for y in outputs])(*arrays)


def cast_on(target: Target, array: np.ndarray, *dtypes: np.dtype) -> list[np.ndarray]:
    """An array in other dtypes, by the code for a target."""
    x = variable("x", Type(array.shape, array.dtype))
    return run_on(target, [apply("cast", x, dtype=dtype) for dtype in dtypes], [x], array)


def bits(array: np.ndarray) -> np.ndarray:
    """The bit patterns, with one for all NaN."""
    whole = {2: np.uint16, 4: np.uint32, 8: np.uint64}[array.dtype.itemsize]
    return np.where(np.isnan(convert(array, float64)), whole(2**16 - 1), array.view(whole))


def every(dtype: np.dtype) -> np.ndarray:
    """All 65536 numbers of a half dtype."""
    return np.arange(2**16, dtype=np.uint16).view(dtype)


def singles() -> np.ndarray:
    """float32 of every sign, exponent and ten leading bits, the rest near and at a tie."""
    upper = np.arange(2**19, dtype=np.uint32) << 13
    lower = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x1FFF], np.uint32)
    return np.asarray((upper[:, None] | lower).reshape(-1)).view(np.float32)


def doubles() -> np.ndarray:
    """float64 at ties of either half dtype and within a part in 2⁴⁰ and 2⁵² of them."""
    rng = np.random.default_rng(0)
    lead = 1 + rng.integers(0, 2**10, 4000) / 2**10
    ties = lead[:, None] + np.array([0, 2.0**-11, 2.0**-8, 2.0**-12])
    near = ties[..., None] + np.array([0, 2.0**-40, -(2.0**-40), 2.0**-52, -(2.0**-52)])
    exponents = np.concatenate([np.arange(-27, 18), rng.integers(-125, 128, 20)])
    spread = near.reshape(-1) * 2.0 ** rng.choice(exponents, near.size)
    ends = [0.0, np.inf, np.nan, 1e300, 1e-300, 65519.999, 65520.0, 2.0**-25, 2.0**128 - 2.0**119]
    both = np.concatenate([spread, ends])
    return np.concatenate([both, -both])


# ------------------------------------------------------------------------------- the numbers


@on_each
@in_each
def test_every_half_is_widened_exactly(target, dtype):
    x = every(dtype)
    single, double, truth = cast_on(target, x, float32, float64, bool_)
    np.testing.assert_array_equal(bits(single), bits(convert(x, float32)))
    expected = convert(x, float64)
    normal = np.abs(expected) >= 2.0**-126  # below it float32 is denormal
    np.testing.assert_array_equal(bits(double)[normal], bits(expected)[normal])
    np.testing.assert_array_equal(truth, convert(x, bool_))


@on_each
@in_each
def test_a_half_that_is_widened_and_rounded_is_itself(target, dtype):
    x = every(dtype)
    node = variable("x", Type(x.shape, dtype))
    there = apply("cast", node, dtype=float32)
    (back,) = run_on(target, [apply("cast", there, dtype=dtype)], [node], x)
    np.testing.assert_array_equal(bits(back), bits(x))


@on_each
def test_float32_is_rounded_to_the_nearest_even(target):
    x = singles()
    for found, dtype in zip(cast_on(target, x, *HALVES), HALVES, strict=True):
        np.testing.assert_array_equal(bits(found), bits(convert(x, dtype)), err_msg=dtype.name)


@on_each
@in_each
@pytest.mark.parametrize("op", ["add", "subtract"])
def test_results_of_arithmetic_are_rounded_like_all_others(target, dtype, op):
    """There an instruction rounds, which would take denormal numbers for 0."""
    x = singles()
    x = x[~(np.abs(x) < 2.0**-126) | (x == 0)]
    both = [variable(name, Type(x.shape, float32)) for name in "xy"]
    node = apply("cast", apply(op, *both), dtype=dtype)
    (found,) = run_on(target, [node], both, x, np.zeros_like(x))
    wanted = np.where(x == 0, 0, x) if op == "add" else x  # −0 + 0 is 0
    np.testing.assert_array_equal(bits(found), bits(convert(wanted, dtype)))


@on_each
def test_float64_is_rounded_once(target):
    x = doubles()
    for found, dtype in zip(cast_on(target, x, *HALVES), HALVES, strict=True):
        np.testing.assert_array_equal(bits(found), bits(convert(x, dtype)), err_msg=dtype.name)


@in_each
def test_no_half_is_nearer_to_a_float64_than_the_one_it_is_rounded_to(dtype):
    """The oracle of the test above, by distances: ml_dtypes by itself would round twice."""
    x = doubles()
    x = x[np.abs(x) < (3e38 if dtype == bfloat16 else 65000)]
    found = convert(x, dtype)
    place = found.view(np.int16).astype(np.int64) & 0x7FFF
    apart = np.abs(_number(place, dtype) - np.abs(x))
    for step in (-1, 1):
        other = np.abs(_number(np.maximum(place + step, 0), dtype) - np.abs(x))
        assert (apart <= other).all()
        tied = (apart == other) & (place + step >= 0)
        assert (place[tied] % 2 == 0).all()
    assert np.isinf(convert(np.array([1e39, -1e39]), dtype).astype(np.float64)).all()


def _number(place: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return place.astype(np.uint16).view(dtype).astype(np.float64)


@on_each
@in_each
def test_what_is_only_moved_keeps_its_bits(target, dtype):
    """Signalling NaN and denormal numbers included."""
    x = every(dtype)
    node = variable("x", Type(x.shape, dtype))
    choice = variable("c", Type(x.shape, bool_))
    moved = [
        apply("copy", node),
        apply("flip", node, axes=(0,)),
        apply("where", choice, node, apply("flip", node, axes=(0,))),
        apply("pad", node, low=(3,), high=(0,), interior=(1,), value=1.5),
    ]
    c = np.arange(x.size) % 3 == 0
    found = [each.view(np.uint16) for each in run_on(target, moved, [node, choice], x, c)]
    given = x.view(np.uint16)
    np.testing.assert_array_equal(found[0], given)
    np.testing.assert_array_equal(found[1], given[::-1])
    np.testing.assert_array_equal(found[2], np.where(c, given, given[::-1]))
    np.testing.assert_array_equal(found[3][3::2], given)
    assert (found[3][4::2].view(dtype) == dtype.type(1.5)).all()


# ------------------------------------------------------------------------------- the targets


@pytest.mark.parametrize("target", EMITTED, ids=lambda target: target.name)
@pytest.mark.parametrize("count", [1, 33])
def test_no_cast_calls_a_runtime_library(target, count):
    inputs = [variable("x", Type((count,), dtype)) for dtype in ALL]
    outputs = [apply("cast", x, dtype=dtype) for x in inputs for dtype in ALL]
    assert undefined_symbols(build(outputs, inputs, [], {}, None, target).object_code) == []


def test_conversions_are_instructions_where_there_are_some():
    assert not converts_half(new_module(PLAIN))
    assert all(converts_half(new_module(named_target(n))) for n in ("avx512", "avx2", "neon"))
    x = variable("x", Type((64,), float16))
    both = {
        target.name: build([apply("cast", x, dtype=float32)], [x], [], {}, None, target, text=True)
        for target in (named_target("avx2"), named_target("neon"))
    }
    assert "vcvtph2ps" in both["avx2"].assembly
    assert "fcvtl" in both["neon"].assembly
