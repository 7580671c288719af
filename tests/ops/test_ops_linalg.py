"""Linear algebra beyond the walk over the table: numbers, PyTorch's gradients, hard matrices.

Single ops are checked against finite differences to second order in `test_table.py`; here stand
coinciding values, low rank, singular and empty matrices, and errors that name the matrix.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.autodiff.reverse import vjp
from kedja.ground.dtypes import HALVES
from kedja.ground.errors import DataError, DtypeError, ShapeError
from kedja.interpret.reference import run
from kedja.ir.graph import apply, constant, parts
from kedja.ir.op import TABLE, Bundle
from kedja.ops.contract import swapped
from kedja.ops.matrices import matmul, positive_definite, well_conditioned
from tests.fixtures import total, variables

RNG = np.random.default_rng(4)
EMPTY = ((0, 0), (2, 0, 0), (0, 3, 3))
SQUARE_OPS = ("cholesky", "inv", "det", "cofactor", "slogdet", "eigh", "eigvalsh", "qr", "svd")
ATTRS = {"qr": {"mode": "reduced"}, "svd": {"full_matrices": True}}


def outputs(name, *nodes, **attrs):
    node = apply(name, *nodes, **{**ATTRS.get(name, {}), **attrs})
    return parts(node) if isinstance(node.type, Bundle) else [node]


def values(name, *arrays, **attrs):
    found = run(outputs(name, *map(constant, arrays), **attrs))
    return found if len(found) > 1 else found[0]


# ----------------------------------------------------------------------------------- values


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 80),
    k=st.integers(0, 3),
    kind=st.integers(0, 7),
)
def test_triangular_solves_solve(seed, n, k, kind):
    """All eight kinds, up to several blocks of rows; the other half is not read."""
    rng = np.random.default_rng(seed)
    lower, transposed, unit = (bool(kind >> bit & 1) for bit in range(3))
    a = rng.uniform(-1, 1, (2, n, n)) / n + np.eye(n)
    b = rng.standard_normal((2, n, k))
    x = values("triangular_solve", a, b, lower=lower, transposed=transposed, unit_diagonal=unit)
    full = np.tril(a) if lower else np.triu(a)
    if unit:
        full[..., range(n), range(n)] = 1
    full = full.swapaxes(-1, -2) if transposed else full
    np.testing.assert_allclose(full @ x, b, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(0, 70), n=st.integers(0, 70))
def test_elimination_gives_back_the_matrix(seed, m, n):
    x = np.random.default_rng(seed).standard_normal((2, m, n))
    order, lower, upper = values("lu", x)
    np.testing.assert_allclose(
        lower @ upper, np.take_along_axis(x, order[..., None], -2), atol=1e-11
    )
    assert np.abs(lower).max(initial=0) <= 1
    np.testing.assert_array_equal(np.sort(order, -1), np.tile(np.arange(m), (2, 1)))


def test_elimination_is_that_of_lapack():
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((3, 50, 40))
    order, lower, upper = values("lu", x)
    exchanged, theirs, rest = torch.linalg.lu(torch.tensor(x))
    np.testing.assert_array_equal(exchanged.numpy().argmax(-2), order)
    np.testing.assert_allclose(lower, theirs.numpy(), atol=1e-12)
    np.testing.assert_allclose(upper, rest.numpy(), atol=1e-12)


def test_cofactors_are_minors():
    x = RNG.standard_normal((4, 4))
    minors = np.array(
        [
            [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(4)]
            for i in range(4)
        ]
    )
    np.testing.assert_allclose(values("cofactor", x), minors, atol=1e-12)
    x[3] = x[0] + x[1]  # rank 3
    expected = np.linalg.det(np.delete(np.delete(x, 3, 0), 0, 1)) * -1
    np.testing.assert_allclose(values("cofactor", x)[3, 0], expected, atol=1e-12)


@pytest.mark.parametrize("shape", EMPTY, ids=str)
@pytest.mark.parametrize("name", SQUARE_OPS)
def test_empty_matrices(name, shape):
    (x,) = xs = variables([np.zeros(shape)])
    found = outputs(name, x)
    results = run(found, {x: np.zeros(shape)})
    for node, result in zip(found, results, strict=True):
        assert result.shape == node.shape
    sums = sum((total(each) for each in found[1:]), start=total(found[0]))
    (g,) = vjp([sums], [constant(np.ones(()))], xs)
    assert g is None or run([g], {x: np.zeros(shape)})[0].shape == shape
    if name == "det":
        np.testing.assert_array_equal(results[0], np.ones(shape[:-2]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_keep_the_dtype(dtype):
    for name in (*SQUARE_OPS, "lu", "svdvals"):
        x = positive_definite(RNG, (3, 3)).astype(dtype)
        found = values(name, x)
        several = found if isinstance(found, list) else [found]
        assert {each.dtype for each in several} <= {np.dtype(dtype), np.dtype(np.int64)}


# -------------------------------------------------------------------------- PyTorch's gradients


def mine_gradients(f, arrays):
    """First and second derivatives of a scalar function of matrices."""
    xs = variables(arrays)
    first = vjp([f(*xs)], [constant(np.ones(()))], xs)
    again = sum((total(g * g) for g in first), start=constant(np.zeros(())))
    second = vjp([again], [constant(np.ones(()))], xs)
    return run([*first, *second], dict(zip(xs, arrays, strict=True)))


def torch_gradients(torch, f, arrays):
    xs = [torch.tensor(each, requires_grad=True) for each in arrays]
    first = torch.autograd.grad(f(*xs), xs, create_graph=True)
    second = torch.autograd.grad(sum((g * g).sum() for g in first), xs)
    return [each.detach().numpy() for each in (*first, *second)]


S = positive_definite(RNG, (2, 4, 4))
A, B = well_conditioned(RNG, (2, 4, 4)), RNG.standard_normal((2, 4, 3))
TALL, WIDE_ONE = well_conditioned(RNG, (2, 5, 3)), well_conditioned(RNG, (3, 5))


def mine_eigh(x):
    values_, vectors = outputs("eigh", x)
    return total(values_ * values_ * values_) + total(apply("sin", vectors * vectors))


def torch_eigh(torch):
    def f(x):
        values_, vectors = torch.linalg.eigh((x + x.mT) / 2)
        return (values_**3).sum() + torch.sin(vectors * vectors).sum()

    return f


def mine_svd(x):
    u, s, vh = outputs("svd", x, full_matrices=False)
    return total(s * s * s) + total(apply("sin", u * u)) + total(apply("exp", vh * vh))


def torch_svd(torch):
    def f(x):
        u, s, vh = torch.linalg.svd(x, full_matrices=False)
        return (s**3).sum() + torch.sin(u * u).sum() + torch.exp(vh * vh).sum()

    return f


def mine_qr(x):
    q, r = outputs("qr", x)
    return total(apply("sin", q * q)) + total(r * r * r * r)


def torch_qr(torch):
    def f(x):
        q, r = torch.linalg.qr(x)
        return torch.sin(q * q).sum() + (r**4).sum()

    return f


def mine_lu(x):
    _, lower, upper = outputs("lu", x)
    return total(apply("sin", lower)) + total(upper * upper * upper)


def torch_lu(torch):
    def f(x):
        _, lower, upper = torch.linalg.lu(x)
        return torch.sin(lower).sum() + (upper**3).sum()

    return f


def simple(name, **attrs):
    """The sum of cubes of an op's last output."""

    def f(*xs):
        y = outputs(name, *xs, **attrs)[-1]
        return total(y * y * y)

    return f


def cubes(function):
    def f(*xs):
        y = function(*xs)
        y = y if hasattr(y, "ndim") else y[-1]
        return (y**3).sum()

    return f


COMPARED = {
    "cholesky": (
        simple("cholesky"),
        lambda t: cubes(lambda x: t.linalg.cholesky((x + x.mT) / 2)),
        [S],
    ),
    "inv": (simple("inv"), lambda t: cubes(t.linalg.inv), [A]),
    "det": (simple("det"), lambda t: cubes(t.linalg.det), [A]),
    "slogdet": (simple("slogdet"), lambda t: cubes(t.linalg.slogdet), [A]),
    "solve": (simple("solve"), lambda t: cubes(t.linalg.solve), [A, B]),
    "triangular_solve": (
        simple("triangular_solve", lower=True, transposed=False, unit_diagonal=False),
        lambda t: cubes(lambda a, b: t.linalg.solve_triangular(a, b, upper=False)),
        [A + 2 * np.eye(4), B],
    ),
    "eigvalsh": (
        simple("eigvalsh"),
        lambda t: cubes(lambda x: t.linalg.eigvalsh((x + x.mT) / 2)),
        [S],
    ),
    "svdvals": (simple("svdvals"), lambda t: cubes(t.linalg.svdvals), [TALL]),
    "pinv": (
        lambda x: simple("pinv")(x, constant(np.full(2, 1e-9))),
        lambda t: cubes(t.linalg.pinv),
        [TALL],
    ),
    "eigh": (mine_eigh, torch_eigh, [S]),
    "svd tall": (mine_svd, torch_svd, [TALL]),
    "svd wide": (mine_svd, torch_svd, [WIDE_ONE]),
    "qr tall": (mine_qr, torch_qr, [TALL]),
    "qr wide": (mine_qr, torch_qr, [WIDE_ONE]),
    "lu square": (mine_lu, torch_lu, [A]),
    "lu tall": (mine_lu, torch_lu, [TALL]),
    "lu wide": (mine_lu, torch_lu, [WIDE_ONE]),
}


@pytest.mark.parametrize("name", COMPARED)
def test_gradients_to_second_order_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    mine, theirs, arrays = COMPARED[name]
    found = mine_gradients(mine, arrays)
    expected = torch_gradients(torch, theirs(torch), arrays)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8 * max(1, np.abs(b).max()))


# ------------------------------------------------------------- coinciding values, low rank


def gradient(f, x):
    (node,) = variables([x])
    (g,) = vjp([f(node)], [constant(np.ones(()))], [node])
    return run([g], {node: x})[0]


def test_equal_eigenvalues_have_derivatives():
    """Σλ³ = tr A³ has the gradient 3·A², also where two eigenvalues are equal."""
    x = np.diag([1.0, 2.0, 2.0])
    for f in (cubed, simple("eigvalsh")):
        found = gradient(f, x)
        np.testing.assert_allclose(found, 3 * x @ x, atol=1e-12)


def cubed(x):
    values_, _ = outputs("eigh", x)
    return total(values_ * values_ * values_)


@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_vectors_of_equal_values_have_none(name):
    """A number in its place would be wrong: V·diag(λ³)·Vᵀ has a gradient there, by another way."""
    w = constant(np.arange(9.0).reshape(3, 3))

    def f(x):
        vectors = outputs(name, x)[0 if name == "svd" else 1]
        return total(vectors * w)

    assert not np.isfinite(gradient(f, np.diag([2.0, 2.0, 1.0]))).all()


def test_singular_values_of_zero():
    found = gradient(lambda x: total(apply("svdvals", x)), np.diag([3.0, 1.0, 0.0]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.diag(found)[:2], [1, 1])


def test_the_determinant_of_a_singular_matrix_has_a_gradient():
    x = np.diag([2.0, 3.0, 0.0])
    np.testing.assert_allclose(
        gradient(lambda x: total(apply("det", x)), x), np.diag([0, 0, 6.0]), atol=1e-12
    )
    assert not gradient(lambda x: total(apply("det", x)), np.zeros((3, 3))).any()


@pytest.mark.parametrize("full", [False, True])
def test_projections_on_completed_bases_have_the_right_gradient(full):
    """I − U₂U₂ᵀ = U₁U₁ᵀ, so their gradients are opposite, though U₂ is anybody's choice."""
    w = constant(RNG.standard_normal((5, 5)))

    def f(x):
        u = outputs("svd", x, full_matrices=True)[0]
        starts, stops = ((0, 3), (5, 5)) if full else ((0, 0), (5, 3))
        part = apply("slice", u, starts=starts, stops=stops, steps=(1, 1))
        return total(matmul(part, swapped(part)) * w)

    global_sign = -1 if full else 1
    x = np.array(TALL[0])
    projection = gradient(f, x) * global_sign
    inverse = np.linalg.inv(x.T @ x)
    p, ws = x @ inverse @ x.T, run([w])[0]
    expected = (np.eye(5) - p) @ (ws + ws.T) @ x @ inverse
    np.testing.assert_allclose(projection, expected, atol=1e-10)


def test_the_pseudo_inverse_of_low_rank():
    x = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    np.testing.assert_allclose(values("pinv", x, np.array(1e-9)), np.linalg.pinv(x), atol=1e-14)
    found = gradient(lambda n: total(apply("pinv", n, constant(np.array(1e-9)))), x)
    assert np.isfinite(found).all()


# ---------------------------------------------------------------------------------- errors


def test_no_square_no_matrix_no_half():
    for name in ("cholesky", "inv", "det", "slogdet", "eigh", "eigvalsh", "cofactor"):
        with pytest.raises(ShapeError, match=f"{name} of shape .*: 2 rows and 3 columns"):
            outputs(name, *variables([np.zeros((2, 3))]))
    for name in ("qr", "svd", "svdvals", "lu"):
        with pytest.raises(ShapeError, match="matrices have two axes"):
            outputs(name, *variables([np.zeros(3)]))
    for dtype in (*HALVES, np.dtype(np.int64)):
        with pytest.raises(DtypeError, match="does not take"):
            outputs("inv", *variables([np.zeros((2, 2), dtype)]))
    with pytest.raises(ShapeError, match="right sides"):
        outputs("solve", *variables([np.eye(3), np.zeros((2, 1))]))


BAD = np.stack([np.eye(2), np.eye(2), np.zeros((2, 2))])[None]


@pytest.mark.parametrize(
    ("name", "what"),
    [("cholesky", "is not positive definite"), ("inv", "is singular"), ("solve", "is singular")],
)
def test_errors_name_the_matrix(name, what):
    more = [np.ones((1, 3, 2, 1))] if name == "solve" else []
    with pytest.raises(DataError, match=rf"{name}: matrix \[0, 2\] of the batch {what}"):
        values(name, BAD, *more)
    with pytest.raises(DataError, match=f"{name}: the matrix {what}"):
        values(name, BAD[0, 2], *(each[0, 2] for each in more))


def test_a_zero_on_the_diagonal_of_a_triangle():
    attrs = {"lower": True, "transposed": False, "unit_diagonal": False}
    a = np.eye(3)
    a[1, 1] = 0
    with pytest.raises(DataError, match=r"singular, element 1 of its diagonal is 0"):
        values("triangular_solve", a, np.ones((3, 1)), **attrs)
    values("triangular_solve", a, np.ones((3, 1)), **{**attrs, "unit_diagonal": True})


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "svd", "svdvals"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(name, value):
    x = np.stack([np.eye(2), np.full((2, 2), value)])
    with pytest.raises(DataError, match=r"matrix \[1\] of the batch holds NaN or infinity"):
        values(name, x)


@pytest.mark.parametrize("name", ["inv", "det", "cofactor", "qr", "lu", "cholesky"])
def test_nan_gives_nan_elsewhere(name):
    found = values(name, np.stack([np.eye(2), np.full((2, 2), np.nan)]))
    last = found[-1] if isinstance(found, list) else found
    assert np.isnan(last[1]).any()
    assert not np.isnan(last[0]).any()


def test_all_of_it_runs_on_the_host_and_says_why():
    families = [op for op in TABLE.values() if op.family in ("linalg", "decompositions")]
    assert len(families) == 14
    assert all(len(op.lowering.reason) > 10 for op in families)
