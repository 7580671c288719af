"""Attention: softmax(q kᵀ·scale) v, its logarithm of sums, and its gradient, one record each.

    attention            y    = P v,  P = softmax(s),  s = q kᵀ·scale
    attention_by_rows    the same as (…, L, H, V): the compiler's, where a transpose follows
    attention_logsumexp  l    = log Σ exp(s), from which P = exp(s − l) is computed again
    attention_gradient   dv   = Pᵀ g,  dq = dS k·scale,  dk = dSᵀ q·scale,
                         dS   = P∘(g vᵀ − Σ(g∘y))          the three by its attribute `of`
    attention_joint_gradient   the three as (…, L, 3, H, D): the compiler's, where q, k and v are
                         slices of one value in that order

With `causal`, query i attends to the keys 0 … i. Shapes: q (…, L, D), k (…, S, D), v (…, S, V) →
y (…, L, V), l (…, L); leading axes are equal. On half dtypes l is float32. The compiler has one
kernel for y and l, and one for the three gradients, neither of which writes the matrix P to memory;
derivatives of the gradient, and what these kernels do not take, are by expansion. Not here: masks
that are given, dropout, groups of heads (`kedja/nn/attention.py`).
Sources: A. Vaswani et al.: Attention is all you need (2017); T. Dao: FlashAttention-2 (2023).
Next: `kedja/compiler/attention_plan.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import FLOATS, float32, int64, is_half
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply, expanded, full
from kedja.ir.op import ByExpansion, Case, Inner, Kernel, Leading, Op, Type, register
from kedja.ops import xla_rules
from kedja.ops.reduce import spread
from kedja.ops.samples import Sampler
from kedja.ops.types import TypeRule, require_dtype
from kedja.ops.xla_rules import TakesHalves

PARTS = ("query", "key", "value")  # what `attention_gradient` is the gradient of
Nodes = Sequence[Node]

# ------------------------------------------------------------------------------------ types


def require_fit(name: str, q: Type, k: Type, v: Type) -> None:
    """Raise unless queries, keys and values go together."""
    require_dtype(name, q.dtype, FLOATS)
    shapes = f"{name} of queries {list(q.shape)}, keys {list(k.shape)}, values {list(v.shape)}"
    if not q.dtype == k.dtype == v.dtype:
        raise DtypeError(f"{name} of {q.dtype.name}, {k.dtype.name} and {v.dtype.name}")
    if min(len(each.shape) for each in (q, k, v)) < 2 or k.shape[-2] == 0:
        raise ShapeError(shapes, fix="at least the axes (L, D), and one key")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(shapes, fix="(…, L, D), (…, S, D) and (…, S, V)")
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise ShapeError(shapes, fix="the axes before the last two are equal")


def attention_type(q: Type, k: Type, v: Type, *, scale: float, causal: bool) -> Type:
    """(…, L, V) of the queries' dtype."""
    require_fit("attention", q, k, v)
    return Type((*q.shape[:-1], v.shape[-1]), q.dtype)


def by_rows_type(q: Type, k: Type, v: Type, *, scale: float, causal: bool) -> Type:
    """(…, L, H, V) of the queries' dtype, for three axes and more."""
    y = attention_type(q, k, v, scale=scale, causal=causal)
    if len(y.shape) < 3:
        raise ShapeError(f"attention_by_rows of {y}", fix="at least the axes (H, L, V)")
    *lead, heads, rows, out = y.shape
    return Type((*lead, rows, heads, out), y.dtype)


def logsumexp_type(q: Type, k: Type, *, scale: float, causal: bool) -> Type:
    """(…, L), float32 for half dtypes."""
    require_fit("attention_logsumexp", q, k, k)
    return Type(q.shape[:-1], float32 if is_half(q.dtype) else q.dtype)


def gradient_type(
    q: Type, k: Type, v: Type, y: Type, total: Type, g: Type, *, scale: float, causal: bool, of: str
) -> Type:
    """The type of q, k or v."""
    require_fit("attention_gradient", q, k, v)
    expected = attention_type(q, k, v, scale=scale, causal=causal)
    if not y.dtype == g.dtype == q.dtype:
        raise DtypeError(f"attention_gradient of {y.dtype.name}, {g.dtype.name}, {q.dtype.name}")
    if y != expected or g != expected or total.shape != q.shape[:-1]:
        raise ShapeError(f"attention_gradient of {y}, {total} and {g} where y is {expected}")
    require_dtype("attention_gradient's sums", total.dtype, (wide(q.dtype), q.dtype))
    return (q, k, v)[PARTS.index(of)]


def joint_type(
    q: Type, k: Type, v: Type, y: Type, total: Type, g: Type, *, scale: float, causal: bool
) -> Type:
    """(…, L, 3, H, D) for queries, keys and values (…, H, L, D)."""
    gradient_type(q, k, v, y, total, g, scale=scale, causal=causal, of="query")
    if not q.shape == k.shape == v.shape or len(q.shape) < 3:
        raise ShapeError(
            f"attention_joint_gradient of {q}, {k}, {v}", fix="three of the shape (…, H, L, D)"
        )
    *lead, heads, rows, width = q.shape
    return Type((*lead, rows, 3, heads, width), q.dtype)


def wide(dtype: np.dtype) -> np.dtype:
    """What a half dtype is computed in; other dtypes are their own."""
    return float32 if is_half(dtype) else dtype


# ---------------------------------------------------------------------------------- meaning


class Meaning(NamedTuple):
    """What the ops compute, by a module like NumPy and its matrix product."""

    np: Any
    product: Callable[[Any, Any], Any]

    def scores(self, q: Any, k: Any, scale: float, causal: bool) -> Any:
        """q kᵀ·scale, −∞ where a query must not attend to a key."""
        found = self.product(q, self.np.swapaxes(k, -1, -2)) * scale
        if not causal:
            return found
        allowed = np.arange(q.shape[-2])[:, None] >= np.arange(k.shape[-2])
        return self.np.where(allowed, found, -np.inf)

    def attention(self, q: Any, k: Any, v: Any, *, scale: float, causal: bool) -> Any:
        """softmax(s) v."""
        s = self.scores(q, k, scale, causal)
        powers = self.np.exp(s - self.peak(s))
        weights = powers / self.np.sum(powers, axis=-1, keepdims=True)
        return self.product(weights.astype(v.dtype), v)

    def by_rows(self, q: Any, k: Any, v: Any, *, scale: float, causal: bool) -> Any:
        """softmax(s) v with the heads behind the queries."""
        y = self.attention(q, k, v, scale=scale, causal=causal)
        return self.np.swapaxes(y, -3, -2)

    def peak(self, s: Any) -> Any:
        """The largest element of each row; 0 where it is infinite."""
        peak = self.np.max(s, axis=-1, keepdims=True)
        return self.np.where(self.np.isfinite(peak), peak, self.np.zeros_like(peak))

    def logsumexp(self, q: Any, k: Any, *, scale: float, causal: bool) -> Any:
        """log Σ exp(s)."""
        s = self.scores(q, k, scale, causal)
        peak = self.peak(s)
        return self.np.log(self.np.sum(self.np.exp(s - peak), axis=-1)) + peak[..., 0]

    def gradient(
        self, q: Any, k: Any, v: Any, y: Any, total: Any, g: Any,
        *, scale: float, causal: bool, of: str,
    ) -> Any:  # fmt: skip
        """dq, dk or dv."""
        turn = self.np.swapaxes
        weights = self.np.exp(self.scores(q, k, scale, causal) - total[..., None])
        if of == "value":
            return self.product(turn(weights, -1, -2).astype(v.dtype), g)
        inner = self.np.sum(g * y, axis=-1, keepdims=True, dtype=total.dtype)
        ds = weights * (self.product(g, turn(v, -1, -2)) - inner)
        if of == "query":
            return self.product(ds.astype(k.dtype), k) * scale
        return self.product(turn(ds, -1, -2).astype(q.dtype), q) * scale

    def joint(self, q: Any, *more: Any, scale: float, causal: bool) -> Any:
        """dq, dk and dv side by side."""
        found = (self.gradient(q, *more, scale=scale, causal=causal, of=of) for of in PARTS)
        return self.np.stack([self.np.swapaxes(each, -3, -2) for each in found], axis=-3)


NUMPY = Meaning(np, np.matmul)


def by_numpy(name: str) -> Callable[..., np.ndarray]:
    """The meaning of one of the ops."""
    rule = getattr(NUMPY, name)

    def call(*arrays: np.ndarray, **attrs: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(rule(*arrays, **attrs))

    return call


def by_xla(name: str) -> TakesHalves:
    """The same by JAX; the products take halves as they are and add up in float32."""

    def rule(x: Any, *values: Any, **attrs: Any) -> Any:
        meaning = Meaning(x.np, lambda a, b: xla_rules.matmul(x, a, b))
        return getattr(meaning, name)(*values, **attrs)

    return TakesHalves(rule)


# -------------------------------------------------------------------------------- expansions


def swapped(x: Node) -> Node:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return apply("transpose", x, axes=(*range(rank - 2), rank - 1, rank - 2))


def scores(q: Node, k: Node, scale: float, causal: bool) -> Node:
    """q kᵀ·scale, −∞ where a query must not attend to a key."""
    found = apply("matmul", q * scale, swapped(k))
    if not causal:
        return found
    row, column = (apply("iota", shape=found.shape[-2:], axis=axis, dtype=int64) for axis in (0, 1))
    allowed = apply("broadcast", apply("greater_equal", row, column), shape=found.shape)
    return apply("where", allowed, found, full(float("-inf"), found.shape, found.dtype))


def expand_attention(q: Node, k: Node, v: Node, *, scale: float, causal: bool) -> Node:
    """softmax(s) v."""
    s = scores(q, k, scale, causal)
    return apply("matmul", apply("softmax", s, axes=(len(s.shape) - 1,)), v)


def expand_logsumexp(q: Node, k: Node, *, scale: float, causal: bool) -> Node:
    """log Σ exp(s)."""
    s = scores(q, k, scale, causal)
    return apply("logsumexp", s, axes=(len(s.shape) - 1,))


def expand_gradient(
    q: Node, k: Node, v: Node, y: Node, total: Node, g: Node, *, scale: float, causal: bool, of: str
) -> Node:
    """dq, dk or dv from P = exp(s − l)."""
    s = scores(q, k, scale, causal)
    last = (len(s.shape) - 1,)
    weights = apply("exp", s - spread(total, s, last))
    if of == "value":
        return apply("matmul", swapped(weights), g)
    inner = apply("sum", g * y, axes=last)
    ds = weights * (apply("matmul", g, swapped(v)) - spread(inner, s, last))
    if of == "query":
        return apply("matmul", ds, k) * scale
    return apply("matmul", swapped(ds), q) * scale


def rows_first(rank: int) -> tuple[int, ...]:
    """The permutation that exchanges the axes −3 and −2: heads and queries."""
    return (*range(rank - 3), rank - 2, rank - 3, rank - 1)


def expand_by_rows(q: Node, k: Node, v: Node, *, scale: float, causal: bool) -> Node:
    """softmax(s) v with the heads behind the queries."""
    y = expand_attention(q, k, v, scale=scale, causal=causal)
    return apply("transpose", y, axes=rows_first(len(y.shape)))


def expand_joint(
    q: Node, k: Node, v: Node, y: Node, total: Node, g: Node, *, scale: float, causal: bool
) -> Node:
    """dq, dk and dv side by side."""
    given, attrs = (q, k, v, y, total, g), {"scale": scale, "causal": causal}
    parts = []
    for of in PARTS:
        part = expand_gradient(*given, **attrs, of=of)  # type: ignore[arg-type]
        rows = apply("transpose", part, axes=rows_first(len(q.shape)))
        shape = (*rows.shape[:-2], 1, *rows.shape[-2:])
        parts.append(apply("reshape", rows, shape=shape))
    return apply("concatenate", *parts, axis=len(q.shape) - 2)


# ------------------------------------------------------------------------------- derivatives


def forward(d: Any, node: Node, tangents: Sequence[Node | None]) -> Node:
    """Through the expansion."""
    pairs = zip(node.inputs, tangents, strict=True)
    moved: Node = d.jvp([expanded(node)], {x: t for x, t in pairs if t is not None})[0]
    return moved


def reverse(d: Any, node: Node, g: Node, wanted: Sequence[bool]) -> list[Node | None]:
    """One op for each of q, k and v, which the compiler computes together."""
    total = apply("attention_logsumexp", *node.inputs[:2], **node.attrs)
    given = (*node.inputs, node, total, g)
    return [
        apply("attention_gradient", *given, **node.attrs, of=of) if want else None
        for of, want in zip(PARTS, wanted, strict=True)
    ]


# --------------------------------------------------------------------------------- the table

SHAPES = (  # leading axes, L, S, D, V
    ((2, 3), 4, 4, 3, 3),
    ((2,), 3, 5, 4, 2),
    ((), 5, 3, 2, 3),
    ((1, 2), 1, 1, 1, 1),
)


def sample_attention(rng: np.random.Generator) -> Sequence[Case]:
    """Equal and different lengths, causal or not."""
    cases = []
    for place, (lead, rows, keys, width, out) in enumerate(SHAPES):
        shapes = ((rows, width), (keys, width), (keys, out))
        inputs = tuple(rng.uniform(-2, 2, (*lead, *shape)) for shape in shapes)
        cases.append(Case(inputs, {"scale": 0.7, "causal": place % 2 == 0}))
    return cases


def sample_by_rows(rng: np.random.Generator) -> Sequence[Case]:
    """The same with heads."""
    return [case for case in sample_attention(rng) if case.inputs[0].ndim > 2]


def sample_logsumexp(rng: np.random.Generator) -> Sequence[Case]:
    """The queries and keys of the same."""
    return [Case(case.inputs[:2], case.attrs) for case in sample_attention(rng)]


def sample_gradient(rng: np.random.Generator) -> Sequence[Case]:
    """Outputs and sums as they belong to the inputs; each of the three gradients."""
    cases = []
    for place, case in enumerate(sample_attention(rng)):
        y = NUMPY.attention(*case.inputs, **case.attrs)
        total = NUMPY.logsumexp(*case.inputs[:2], **case.attrs)
        given = (*case.inputs, y, total, rng.uniform(-2, 2, y.shape))
        cases += [Case(given, {**case.attrs, "of": PARTS[(place + i) % 3]}) for i in range(2)]
    return cases


def sample_joint(rng: np.random.Generator) -> Sequence[Case]:
    """Heads of equal shapes."""
    return [_without_part(case) for case in sample_gradient(rng) if is_joint(case)]


def is_joint(case: Case) -> bool:
    """Whether queries, keys and values have one shape with heads."""
    q, k, v = case.inputs[:3]
    return q.ndim > 2 and q.shape == k.shape == v.shape


def _without_part(case: Case) -> Case:
    return Case(case.inputs, {key: case.attrs[key] for key in ("scale", "causal")})


def op(
    name: str,
    type: TypeRule,
    meaning: str,
    expand: Callable[..., Node],
    sample: Sampler,
    formula: str,
    derivative: Inner | ByExpansion = ByExpansion(),  # noqa: B008
) -> Op:
    """One entry of the table below."""
    return Op(
        name,
        type=type,
        numpy=by_numpy(meaning),
        derivative=derivative,
        lowering=Kernel(name),
        batch=Leading(),
        xla=by_xla(meaning),
        formula=formula,
        sample=sample,
        dtypes=FLOATS,
        expand=expand,
        gate="as the parts of softmax(q kᵀ) v, whose weights are computed again",
    )


# fmt: off
register(
    (
        op("attention", attention_type, "attention", expand_attention, sample_attention,
           "attention({0}, {1}, {2}, scale={scale}, causal={causal})", Inner(forward, reverse)),
        op("attention_by_rows", by_rows_type, "by_rows", expand_by_rows, sample_by_rows,
           "attention_by_rows({0}, {1}, {2}, scale={scale}, causal={causal})"),
        op("attention_logsumexp", logsumexp_type, "logsumexp", expand_logsumexp, sample_logsumexp,
           "attention_logsumexp({0}, {1}, scale={scale}, causal={causal})"),
        op("attention_gradient", gradient_type, "gradient", expand_gradient, sample_gradient,
           "attention_gradient({*}, scale={scale}, causal={causal}, of={of})"),
        op("attention_joint_gradient", joint_type, "joint", expand_joint, sample_joint,
           "attention_joint_gradient({*}, scale={scale}, causal={causal})"),
    ),
    "attention",
)
# fmt: on
