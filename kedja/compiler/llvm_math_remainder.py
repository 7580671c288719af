"""The remainder with the sign of the divisor, exactly as NumPy's `remainder`.

x − n·y with n = the rounded quotient is a float, so one fma gives it without error (as long as n
is one too). Quotients too large to be told apart from their neighbours take a loop that removes
the leading bits first; it stands behind a branch, and the builder ends up in the block after it.
Next: `kedja/compiler/llvm_math.py`.
"""

from __future__ import annotations

import math

from kedja.compiler.llvm_math_lanes import (
    Lanes,
    absolute,
    any_of,
    copysign,
    fma,
    intrinsic,
    rarely,
    where,
)


def remainder(x: Lanes, y: Lanes) -> Lanes:
    """x − ⌊x/y⌋·y for every finite x; NaN for y = 0 and for infinite x; x or y for infinite y."""
    usable = (absolute(x) < math.inf) & ~y.equals(0.0)
    far = _far(x, y) & usable
    (x,) = rarely(far, [x], lambda: [_nearer(x, y, far)])
    rest = _with_sign_of_x(x, y)
    rest = where(absolute(y).equals(math.inf) & usable, x, rest)
    opposite = (rest < 0.0) ^ (y < 0.0)
    floored = where(opposite, rest + y, rest)
    return where(rest.equals(0.0), copysign(rest, y), floored)


def _far(x: Lanes, y: Lanes) -> Lanes:
    """Where the quotient is too large for each integer below it to be a float."""
    return absolute(x / y) >= 2.0 ** (x.format.mantissa + 1)


def _with_sign_of_x(x: Lanes, y: Lanes) -> Lanes:
    """C's fmod, for near quotients: the rounded one is right or one too large."""
    n = intrinsic("trunc", x / y)
    rest = fma(-n, y, x)
    overshot = (rest * copysign(rest.like(1.0), x)) < 0.0
    return where(overshot, rest + copysign(y, x), rest)


def _nearer(x: Lanes, y: Lanes, far: Lanes) -> Lanes:
    """x with multiples of y removed, until no far lane is far: a loop, at most 40 times round."""
    builder = x.builder
    start, loop, done = builder.block, *(builder.append_basic_block() for _ in range(2))
    builder.branch(loop)
    builder.position_at_end(loop)
    phi = builder.phi(x.type)
    now = Lanes(builder, phi)
    quotient = now / y
    # Beyond the largest float, a multiple of y that is a power of two larger stands in for y.
    divisor = where(absolute(quotient).equals(math.inf), y * 2.0**x.format.bias, y)
    reduced = fma(-intrinsic("trunc", now / divisor), divisor, now)
    after = where(far & _far(now, y), reduced, now)
    phi.add_incoming(x.value, start)
    phi.add_incoming(after.value, loop)
    builder.cbranch(any_of(far & _far(after, y)).value, loop, done)
    builder.position_at_end(done)
    return after
