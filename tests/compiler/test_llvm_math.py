"""The transcendental functions on numbers: accuracy, special values, lanes, denormals, targets.

The oracle of float32 is NumPy in float64; that of float64 is mpmath, or NumPy in long double where
mpmath is missing. The slow test tries a 61st of all float32: run it after changing a coefficient.
"""

from __future__ import annotations

import math
import platform
from functools import cache

import numpy as np
import pytest

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_math import VectorMath
from kedja.compiler.llvm_math_reduce import two_over_pi_words
from tests.compiler.jit_harness import (
    Kernel,
    cross_machine,
    denormals_flushed,
    kernel_ir,
    optimised,
    undefined_symbols,
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
WIDTH = {F32: 16, F64: 8}
INF, NAN = math.inf, math.nan

# name: largest error allowed in ulp (float32, float64), and an interval of special interest
BOUNDS = {
    "exp": (1.0, 1.0, (-88, 89)),
    "exp2": (1.3, 1.3, (-126, 128)),
    "expm1": (1.6, 2.3, (-2, 2)),
    "sinh": (1.9, 2.3, (-3, 3)),
    "cosh": (1.3, 1.3, (-3, 3)),
    "tanh": (2.0, 2.2, (-2, 2)),
    "sigmoid": (2.0, 2.1, (-20, 20)),
    "log": (1.0, 1.0, (0.2, 4)),
    "log2": (1.6, 1.1, (0.2, 4)),
    "log10": (1.5, 1.1, (0.2, 4)),
    "log1p": (1.2, 1.0, (-0.9, 2)),
    "asinh": (1.8, 1.8, (-3, 3)),
    "acosh": (1.9, 1.9, (1, 3)),
    "atanh": (1.8, 1.7, (-1, 1)),
    "softplus": (2.0, 1.8, (-20, 20)),
    "sin": (1.9, 2.0, (-100, 100)),
    "cos": (1.9, 2.0, (-100, 100)),
    "tan": (2.8, 2.8, (-100, 100)),
    "asin": (1.7, 1.8, (-1, 1)),
    "acos": (1.2, 1.3, (-1, 1)),
    "atan": (1.4, 2.6, (-3, 3)),
    "erf": (1.2, 1.2, (-4, 4)),
    "atan2": (1.8, 1.8, (-3, 3)),
    "pow": (0.6, 1.1, (-3, 3)),
    "remainder": (0.0, 0.0, (-30, 30)),
}
BINARY = ("atan2", "pow", "remainder")
UNARY = tuple(name for name in BOUNDS if name not in BINARY)
ODD = ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf")
NUMPY_NAMES = {
    **{name: f"arc{name[1:]}" for name in ("asin", "acos", "atan", "atan2")},
    **{name: f"arc{name[1:]}" for name in ("asinh", "acosh", "atanh")},
    "pow": "power",
}
COMPOSED = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x.dtype.type(0), x),
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
}


@pytest.fixture(autouse=True)
def no_float_warnings():
    """Overflow and invalid operands are the point here."""
    with np.errstate(all="ignore"):
        yield


def oracle(name, *operands):
    function = COMPOSED.get(name) or getattr(np, NUMPY_NAMES.get(name, name))
    return function(*operands)


@cache
def kernel(name, dtype, width):
    def emit(builder, *operands):
        return getattr(VectorMath(builder), name)(*operands)

    return Kernel(emit, dtype, width, arity(name))


def arity(name):
    return 2 if name in BINARY else 1


def numbers(name, dtype, count, seed=0):
    """Operands: half from the interval of interest, half of all magnitudes and signs."""
    rng = np.random.default_rng(seed)
    low, high = BOUNDS[name][2]
    top = 37 if dtype == F32 else 300
    one = rng.uniform(low, high, count)
    other = rng.choice([-1, 1], count) * 10 ** rng.uniform(-top, top, count)
    mixed = np.where(rng.random((arity(name), count)) < 0.5, one, other)
    return [row.astype(dtype) for row in mixed] if arity(name) == 2 else [mixed[0].astype(dtype)]


def ulps(got, true, dtype):
    """|got − true| in units in the last place of the true value, where that is a normal number."""
    tiny = np.finfo(dtype).tiny
    rounded = np.abs(true.astype(dtype))
    error = np.abs(got.astype(true.dtype) - true) / np.spacing(rounded).astype(true.dtype)
    normal = np.isfinite(rounded) & (rounded >= tiny)
    agree = (np.isnan(got) & np.isnan(rounded)) | (got == true.astype(dtype))
    small = np.isfinite(rounded) & (rounded < tiny) & (np.abs(got) <= tiny)
    return np.where(normal, error.astype(np.float64), np.where(agree | small, 0.0, INF))


# --- accuracy


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_is_within_its_bound(name):
    operands = numbers(name, F32, 40_000)
    got = kernel(name, F32, 16)(*operands)
    true = oracle(name, *operands) if name == "remainder" else wide_oracle(name, operands)
    assert ulps(got, true, F32).max() <= BOUNDS[name][0]


def wide_oracle(name, operands):
    return oracle(name, *(operand.astype(np.float64) for operand in operands))


@pytest.mark.parametrize("name", [name for name in BOUNDS if name != "remainder"])
def test_float64_is_within_its_bound(name):
    mpmath = pytest.importorskip("mpmath")
    operands = numbers(name, F64, 400)
    got = kernel(name, F64, 8)(*operands)
    for y, *xs in zip(got, *operands, strict=True):
        assert ulps_of(mpmath, name, y, xs) <= BOUNDS[name][1], xs


def ulps_of(mpmath, name, y, xs):
    """The error of one float64 in ulp, against mpmath with 80 digits (angles may need 300)."""
    composed = {
        "exp2": lambda x: mpmath.power(2, x),
        "log2": lambda x: mpmath.log(x, 2),
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
        "pow": mpmath.power,
    }
    with mpmath.workdps(400 if name in ("sin", "cos", "tan") else 80):
        function = composed.get(name) or getattr(mpmath, name)
        expected = oracle(name, *(np.array([x]) for x in xs))[0]
        if not (np.isfinite(expected) and abs(expected) >= np.finfo(F64).tiny):
            return 0.0 if same_or_tiny(y, expected) else INF
        true = function(*(mpmath.mpf(float(x)) for x in xs))
        return float(abs(mpmath.mpf(float(y)) - true) / math.ulp(float(true)))


def same_or_tiny(y, expected):
    both_nan = math.isnan(y) and math.isnan(expected)
    return both_nan or y == expected or abs(y - expected) <= 2 * np.finfo(F64).tiny


@pytest.mark.parametrize("name", UNARY)
def test_float64_agrees_with_long_double(name):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("long double is double here")
    if name == "erf":
        pytest.skip("NumPy has no erf; mpmath's test covers it")
    low, high = BOUNDS[name][2]
    x = np.random.default_rng(1).uniform(low, high, 20_000)
    true = oracle(name, x.astype(np.longdouble))
    assert ulps(kernel(name, F64, 8)(x), true, F64).max() <= BOUNDS[name][1]


@pytest.mark.slow
@pytest.mark.parametrize("name", UNARY)
def test_a_61st_of_all_float32(name):
    worst = 0.0
    for start in range(0, 1 << 32, 1 << 28):
        bits = np.arange(start + 11, start + (1 << 28), 61, dtype=np.uint64)
        x = bits.astype(np.uint32).view(np.float32)
        x = x[~(np.abs(x) < np.finfo(F32).tiny)]
        if len(x):
            error = ulps(kernel(name, F32, 16)(x), wide_oracle(name, [x]), F32)
            worst = max(worst, error.max())
    assert worst <= BOUNDS[name][0]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_of_every_size(name, dtype):
    """Across the limit of the fast reduction, up to the largest float, and close to multiples."""
    mpmath = pytest.importorskip("mpmath")
    near = [math.pi, 0.5 * math.pi, 355.0, 1e5 * math.pi, 2.0**17, 2.0**42]
    far = [1e9, 16367173 * 2.0**72, 1e22, 1.7e38, 6381956970095103 * 2.0**797, 1.7e308]
    x = np.array(near + far).astype(dtype)
    x = np.concatenate([x[np.isfinite(x)], np.nextafter(x[:6], dtype.type(INF))])
    got = kernel(name, dtype, WIDTH[dtype])(x)
    with mpmath.workdps(400):
        true = [getattr(mpmath, name)(mpmath.mpf(float(value))) for value in x]
        for y, exact in zip(got, true, strict=True):
            unit = float(np.spacing(dtype.type(abs(exact))))
            assert (
                abs(mpmath.mpf(float(y)) - exact) <= BOUNDS[name][0 if dtype == F32 else 1] * unit
            )


def test_two_over_pi():
    mpmath = pytest.importorskip("mpmath")
    words = two_over_pi_words()
    whole = sum(word << (64 * i) for i, word in enumerate(reversed(words)))
    with mpmath.workdps(500):
        assert whole == int(mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** (64 * len(words))))


# --- special values


def specials(dtype):
    info = np.finfo(dtype)
    positive = [0.0, info.tiny, 1e-20, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 1000.0, 1e9, info.max]
    return np.array([sign * x for x in [*positive, INF] for sign in (1, -1)] + [NAN], dtype)


def assert_same(got, want, dtype, bound):
    """The same NaNs, infinities and signed zeros, and else the same numbers within the bound."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    exact = np.isinf(want) | (want == 0)
    np.testing.assert_array_equal(got[exact], want[exact])
    np.testing.assert_array_equal(np.signbit(got[exact]), np.signbit(want[exact]))
    assert np.nanmax(ulps(got, want, dtype)) <= bound


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name, dtype):
    x = specials(dtype)
    want = wide_oracle(name, [x]).astype(dtype) if dtype == F32 else oracle(name, x)
    tiny = np.finfo(dtype).tiny
    want = np.where(np.abs(want) < tiny, np.copysign(0, want), want)  # denormal results may be 0
    assert_same(kernel(name, dtype, WIDTH[dtype])(x), want, dtype, 4.0)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name, dtype):
    """All pairs of special values, against NumPy in the same width."""
    grid = np.meshgrid(specials(dtype), specials(dtype))
    x, y = (axis.ravel() for axis in grid)
    want = oracle(name, x, y)
    normal = ~(np.abs(want) < np.finfo(dtype).tiny) | (want == 0)
    got = kernel(name, dtype, WIDTH[dtype])(x[normal], y[normal])
    assert_same(got, want[normal], dtype, 4.0)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_saturation_and_identities(dtype):
    def at(name, *xs):
        return [float(v) for v in kernel(name, dtype, WIDTH[dtype])(np.array(xs, dtype))]

    assert at("tanh", 20, -20, 1000, 0) == [1, -1, 1, 0]
    assert at("sigmoid", 1000, -1000, INF, -INF, 0) == [1, 0, 1, 0, 0.5]
    assert at("exp", 1000, -1000, 0, -0.0) == [INF, 0, 1, 1]
    assert at("exp2", 10, -3, 0, 0.0) == [1024, 0.125, 1, 1]
    assert at("erf", 7, -7, INF) == [1, -1, 1]
    assert at("log", 1, 0, INF) == [0, -INF, INF]
    assert at("log2", 8, 0.25, 1) == [3, -2, 0]
    assert at("log10", 1, 10, 100, 1000) == [0, 1, 2, 3]
    assert at("softplus", 1000, -1000, -INF) == [1000, 0, 0]
    assert at("cos", 0) == [1]
    assert at("expm1", -1000) == [-1]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "cos", "sigmoid"])
def test_never_above_one(name, dtype):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(-12, 12, 200_000), rng.normal(0, 0.01, 50_000) + math.pi / 2])
    assert np.abs(kernel(name, dtype, WIDTH[dtype])(x.astype(dtype))).max() <= 1


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ODD)
def test_odd_functions(name, dtype):
    (x,) = numbers(name, dtype, 2_000)
    run = kernel(name, dtype, WIDTH[dtype])
    np.testing.assert_array_equal(run(-x), -run(x))


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_remainder_is_exact_for_any_quotient(dtype):
    """Quotients from 1e-60 to beyond the largest float, where fmod is the only other way."""
    rng = np.random.default_rng(5)
    top = 37 if dtype == F32 else 300
    x, y = (
        (rng.choice([-1, 1], 20_000) * 10 ** rng.uniform(-top, top, 20_000)).astype(dtype)
        for _ in range(2)
    )
    want = np.remainder(x, y)
    usual = ~(np.abs(want) < np.finfo(dtype).tiny) | (want == 0)
    got = kernel("remainder", dtype, WIDTH[dtype])(x, y)
    np.testing.assert_array_equal(got[usual], want[usual])


# --- lanes, denormals, targets


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", BOUNDS)
def test_scalar_and_vector_give_the_same_bits(name, dtype):
    """Small and huge operands share vectors here: slow paths leave their neighbours alone."""
    some = [specials(dtype)] * arity(name)
    operands = [
        np.concatenate([a, b]) for a, b in zip(numbers(name, dtype, 3_000), some, strict=True)
    ]
    scalar, vector = (kernel(name, dtype, width)(*operands) for width in (1, WIDTH[dtype]))
    np.testing.assert_array_equal(np.isnan(scalar), np.isnan(vector))
    whole = np.int32 if dtype == F32 else np.int64
    numbers_only = ~np.isnan(scalar)
    bits = [run[numbers_only].view(whole) for run in (scalar, vector)]
    np.testing.assert_array_equal(*bits)


on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="sets x86's control word")


@on_x86
def test_denormals_are_flushed():
    """The tester tested: half of the smallest normal number is 0 inside, and not after."""
    halve = Kernel(lambda builder, x: builder.fmul(x, ir.Constant(x.type, 0.5)), F32, 1)
    tiny = np.array([np.finfo(F32).tiny])
    with denormals_flushed():
        assert halve(tiny) == 0
    assert halve(tiny) > 0


@on_x86
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", BOUNDS)
def test_flushed_denormals_bring_no_surprise(name, dtype):
    """With denormals flushed, no normal operand brings a NaN or moves a result noticeably."""
    tiny = np.finfo(dtype).tiny
    small = np.array([tiny, 1.5 * tiny, 3 * tiny, tiny / 2, tiny / 1000, 0.0], dtype)
    edge = np.linspace(-110, -80, 200) if dtype == F32 else np.linspace(-760, -700, 200)
    x = np.concatenate([specials(dtype), small, -small, edge.astype(dtype)])
    operands = [x, np.full_like(x, 0.75)] if name in BINARY else [x]
    usual = kernel(name, dtype, WIDTH[dtype])(*operands)
    with denormals_flushed():
        flushed = kernel(name, dtype, WIDTH[dtype])(*operands)
    normal = (np.abs(x) >= tiny) | (x == 0) | np.isnan(x)
    np.testing.assert_array_equal(np.isnan(flushed[normal]), np.isnan(usual[normal]))
    apart = normal & (flushed != usual) & ~np.isnan(usual)
    assert np.all(np.abs(flushed - usual)[apart] <= 2 * tiny)


TARGETS = {
    "avx512": ("x86_64-unknown-linux-gnu", "skylake-avx512", ""),
    "avx2": ("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma"),
    "neon": ("aarch64-unknown-linux-gnu", "generic", "+neon"),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_no_target_needs_libm(target, dtype):
    """Every function in one object file per target; nothing in it is left to be linked."""
    machine = cross_machine(*TARGETS[target])
    scalar = ir.FloatType() if dtype == F32 else ir.DoubleType()

    def everything(builder, x, y):
        math_of = VectorMath(builder)
        for name in BOUNDS:
            x = getattr(math_of, name)(*([x, y] if name in BINARY else [x]))
        return x

    for width in (1, WIDTH[dtype]):
        module = kernel_ir(everything, scalar, width, 2)
        module.triple = TARGETS[target][0]
        code = machine.emit_object(optimised(module, machine))
        assert undefined_symbols(code) == []


def test_undefined_symbols_are_found():
    """The tester tested: LLVM's own exp intrinsic is a call of libm."""

    def emit(builder, x):
        kind = ir.FunctionType(x.type, [x.type])
        function = ir.Function(builder.module, kind, "llvm.exp.f32")
        return builder.call(function, [x])

    machine = cross_machine(*TARGETS["avx2"])
    module = kernel_ir(emit, ir.FloatType(), 1, 1)
    assert undefined_symbols(machine.emit_object(optimised(module, machine))) == ["expf"]
