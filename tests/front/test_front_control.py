"""scan, while_loop, fori_loop, cond, checkpoint and own derivatives, eager and compiled.

Values and gradients to second order are compared with loops written out in Python, which need none
of these ops, and with JAX where it is installed (`test_front_vmap.py` has more of it).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.compiler.inline import opened
from kedja.ground.errors import GradientError, ShapeError, TracingError, UsageError
from kedja.ir.graph import topological

RNG = np.random.default_rng(3)


def array(*shape):
    return kj.tensor(RNG.uniform(-1, 1, shape))


def close(found, expected, rtol=1e-11):
    for mine, theirs in zip(kj.tree.leaves(found), kj.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(theirs), rtol=rtol, atol=1e-12)


def both(f, *args):
    """The result, which is the same when the function is compiled."""
    found = f(*args)
    close(kj.jit(f)(*args), found)
    return found


def cell(carry, x, w):
    after = kj.tanh(carry @ w + x)
    return after, after * x


def by_scan(w, start, xs, reverse=False):
    last, ys = kj.scan(lambda c, x: cell(c, x, w), start, xs, reverse=reverse)
    return kj.sum(last * last) + kj.sum(kj.sin(ys))


def written_out(w, start, xs, reverse=False):
    ys, places = [None] * len(xs), range(len(xs))[:: -1 if reverse else 1]
    for i in places:
        start, ys[i] = cell(start, xs[i], w)
    return kj.sum(start * start) + kj.sum(kj.sin(kj.stack(ys)))


CELL = (array(3, 3), array(3), array(5, 3))
derivatives = pytest.mark.parametrize(
    "derive",
    [
        lambda f: f,
        lambda f: kj.grad(f, (0, 1, 2)),
        lambda f: kj.grad(lambda *a: kj.sum(kj.grad(f, 2)(*a) ** 2), (0, 1, 2)),
        lambda f: lambda *a: kj.jvp(f, a, a)[1],
        lambda f: lambda *a: kj.jvp(lambda *b: kj.grad(f)(*b), a, a)[1],
        lambda f: kj.grad(lambda *a: kj.jvp(f, a, a)[1], (0, 1, 2)),
    ],
    ids=["value", "grad", "grad-grad", "jvp", "jvp-grad", "grad-jvp"],
)


@derivatives
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_its_loop_written_out(derive, reverse):
    found = both(derive(lambda *a: by_scan(*a, reverse=reverse)), *CELL)
    close(found, derive(lambda *a: written_out(*a, reverse=reverse))(*CELL))


def test_a_scan_keeps_trees_and_dtypes():
    def step(carry, x):
        count, total = carry["count"], carry["total"]
        after = {"count": count + 1, "total": total + x["a"] * x["b"][0]}
        return after, (count, {"doubled": 2 * x["a"]})

    xs = {"a": kj.tensor([1.0, 2.0, 3.0]), "b": [kj.tensor([[1.0], [2.0], [3.0]])]}
    start = {"count": kj.tensor(0), "total": kj.zeros(1)}
    last, (counts, ys) = both(lambda s, x: kj.scan(step, s, x), start, xs)
    assert last["count"].item() == 3
    assert last["count"].dtype == np.int64
    assert last["total"].tolist() == [14.0]
    assert counts.tolist() == [0, 1, 2]
    assert ys["doubled"].tolist() == [2.0, 4.0, 6.0]


def test_a_scan_without_arrays_counts_its_steps():
    f = lambda x: kj.scan(lambda c, _: (c * 2, None), x, length=10)[0]  # noqa: E731
    assert both(f, 1.0).item() == 1024
    assert both(kj.grad(f), 1.0).item() == 1024


@pytest.mark.parametrize("length", [0, 1])
def test_a_scan_of_no_steps_or_one(length):
    w, start, xs = CELL
    f = lambda w, s, x: kj.scan(lambda c, x: cell(c, x, w), s, x)  # noqa: E731
    last, ys = both(f, w, start, xs[:length])
    assert ys.shape == (length, 3)
    if length == 0:
        close(last, start)
    loss = lambda *a: kj.sum(f(*a)[0])  # noqa: E731
    assert [g.shape for g in both(kj.grad(loss, (0, 1, 2)), w, start, xs[:length])] == [
        (3, 3),
        (3,),
        (length, 3),
    ]


def test_long_scans_do_not_grow_the_graph():
    f = lambda x: kj.scan(lambda c, _: (c + x, c), 0.0, length=5000)[0]  # noqa: E731
    assert both(f, 1.0).item() == 5000
    assert both(kj.grad(f), 1.0).item() == 5000


def test_scans_nest():
    def rows(matrix, w):
        def outer(carry, row):
            inner = kj.scan(lambda c, x: (c * w + x, None), carry, row)[0]
            return inner, inner

        return kj.sum(kj.scan(outer, kj.tensor(np.float64(0.5)), matrix)[1] ** 2)

    def loops(matrix, w):
        carry, total = kj.tensor(np.float64(0.5)), 0.0
        for row in matrix:
            for x in row:
                carry = carry * w + x
            total = total + carry**2
        return total

    matrix, w = array(3, 4), kj.tensor(np.float64(0.9))
    for derive in (lambda f: f, lambda f: kj.grad(f, (0, 1))):
        close(both(derive(rows), matrix, w), derive(loops)(matrix, w))


def test_the_gradient_reaches_what_a_body_uses_from_outside():
    w = kj.tensor([2.0], requires_grad=True)
    last, _ = kj.scan(lambda c, _: (c * w, None), kj.ones(1), length=3)
    last.sum().backward()
    assert w.grad.tolist() == [12.0]


def scans_in(compiled):
    """The scans that a compiled function runs."""
    (program,) = compiled.programs
    return [n for n in topological(opened(program.traced.outputs)) if n.op.name == "scan"]


def test_a_compiled_scan_saves_what_it_needs_once():
    """The way there runs once: the scan that saves values for the way back gives its values too."""
    compiled = kj.jit(kj.value_and_grad(by_scan))
    compiled(*CELL)
    assert len(scans_in(compiled)) == 2


def test_many_scans_in_a_row_are_merged_without_recursion():
    def chain(x):
        for _ in range(600):
            x = kj.scan(lambda c, _: (kj.sin(c), None), x, length=1)[0]
        return x

    with kj.scope(tier="interpret"):
        compiled = kj.jit(kj.value_and_grad(chain))
        compiled(0.5)
    assert len(scans_in(compiled)) == 1200


# ------------------------------------------------------------------------------------- while


def test_a_while_loop_depends_on_the_data():
    def halved(x):
        return kj.while_loop(lambda c: c[0] > 1, lambda c: (c[0] / 2, c[1] + 1), (x, 0))

    last, steps = both(halved, 100.0)
    assert (last.item(), steps.item()) == (100 / 2**7, 7)
    last, steps = both(halved, 0.5)
    assert steps.item() == 0
    _, tangent = both(lambda x: kj.jvp(lambda y: halved(y)[0], (x,), (1.0,)), 100.0)
    assert tangent.item() == 2**-7


def test_reverse_mode_through_a_while_loop_says_why_not():
    f = lambda x: kj.while_loop(lambda c: c < 9, lambda c: c * x, x)  # noqa: E731
    with pytest.raises(GradientError, match="not known beforehand"):
        kj.grad(f)(2.0)


def test_a_vectorised_while_loop_keeps_what_has_finished():
    f = lambda x: kj.while_loop(lambda c: c < 100, lambda c: c * c, x)  # noqa: E731
    xs = kj.tensor([3.0, 200.0, 10.0])
    assert both(kj.vmap(f), xs).tolist() == [6561.0, 200.0, 100.0]


def test_a_fori_loop_counts():
    assert both(lambda x: kj.fori_loop(0, 5, lambda i, c: c + i * x, 0.0), 2.0).item() == 20
    assert kj.fori_loop(3, 3, lambda i, c: c + 1, 7).item() == 7
    assert both(kj.grad(lambda x: kj.fori_loop(0, 3, lambda i, c: c * x, 1.0)), 2.0).item() == 12


# -------------------------------------------------------------------------------------- cond


@pytest.mark.parametrize("x", [2.0, -2.0])
def test_cond_takes_one_branch(x):
    f = lambda x: kj.cond(x > 0, lambda x: x**3, lambda x: -x, x)  # noqa: E731
    expected = (8.0, 12.0, 12.0) if x > 0 else (2.0, -1.0, 0.0)
    found = [both(each, x).item() for each in (f, kj.grad(f), kj.grad(kj.grad(f)))]
    assert tuple(found) == expected
    assert both(lambda x: kj.jvp(f, (x,), (1.0,))[1], x).item() == expected[1]


def test_cond_runs_one_branch_only():
    def hang(x):
        return kj.while_loop(lambda c: c >= 0, lambda c: c + 0, x)

    assert both(lambda x: kj.cond(x > 0, lambda x: x + 1, hang, x), 2.0).item() == 3


def test_a_vectorised_cond_chooses_by_example():
    f = lambda x: kj.cond(x > 0, lambda x: x * 10, lambda x: -x, x)  # noqa: E731
    xs = kj.tensor([1.0, -2.0, 3.0])
    assert both(kj.vmap(f), xs).tolist() == [10.0, 2.0, 30.0]
    assert both(kj.vmap(kj.grad(f)), xs).tolist() == [10.0, -1.0, 10.0]


# -------------------------------------------------------------------------------- vectorised


@derivatives
def test_a_vectorised_scan_is_a_scan_for_each_example(derive):
    w, start, xs = CELL[0], array(4, 3), array(4, 5, 3)
    f = derive(by_scan)
    found = both(kj.vmap(f, in_axes=(None, 0, 0)), w, start, xs)
    each = [f(w, start[i], xs[i]) for i in range(4)]
    close(found, kj.tree.map(lambda *rows: kj.stack(rows), *each))


def test_a_scan_of_gradients_descends():
    loss = lambda w: kj.sum((w - 3.0) ** 2)  # noqa: E731

    def step(w, _):
        return w - 0.1 * kj.grad(loss)(w), loss(w)

    w, losses = both(lambda w: kj.scan(step, w, length=60), kj.zeros(2))
    close(w, np.full(2, 3.0), rtol=1e-5)
    assert losses.shape == (60,)


# -------------------------------------------------------------------------------- checkpoint


@derivatives
def test_a_checkpoint_changes_no_value(derive):
    def layer(w, x):
        return kj.tanh(x @ w)

    def net(w, start, xs, wrap):
        h = wrap(layer)(w, xs)
        h = wrap(lambda h: kj.sin(layer(w, h)) + start)(h)
        return kj.sum(h * h)

    plain = derive(lambda *a: net(*a, wrap=lambda f: f))(*CELL)
    close(both(derive(lambda *a: net(*a, wrap=kj.checkpoint)), *CELL), plain)


def arena(f, *args):
    """The bytes of the one block of memory in which a compiled function works."""
    compiled = kj.jit(f)
    compiled(*args)
    (program,) = compiled.programs
    return program.run.program.plan.arena_bytes


def test_checkpoints_save_memory():
    width, layers = 64, 24
    w = kj.tensor(RNG.standard_normal((layers, width, width)).astype(np.float32) / 8)
    x = kj.tensor(RNG.standard_normal((512, width)).astype(np.float32))

    def deep(w, x, wrap):
        def block(w, h):
            for i in range(w.shape[0]):
                h = kj.tanh(kj.sin(h @ w[i]))
            return h

        for start in range(0, layers, 4):
            x = wrap(block)(w[start : start + 4], x)
        return kj.sum(x * x)

    kept = arena(kj.grad(lambda *a: deep(*a, wrap=lambda f: f)), w, x)
    again = arena(kj.grad(lambda *a: deep(*a, wrap=kj.checkpoint)), w, x)
    assert again < 0.65 * kept


# ---------------------------------------------------------------------------- own derivatives


def make_clipped():
    @kj.custom_vjp
    def clipped(x, limit):
        return x

    clipped.defvjp(lambda x, limit: (x, limit), lambda limit, g: (kj.clip(g, -limit, limit), None))
    return clipped


def test_an_own_reverse_rule_is_used():
    clipped = make_clipped()
    f = lambda x: kj.sum(10 * clipped(x, 2.0) ** 2)  # noqa: E731
    assert both(kj.grad(f), kj.tensor([0.05, 3.0])).tolist() == [1.0, 2.0]
    assert both(f, kj.tensor([1.0, 2.0])).item() == 50
    rows = kj.tensor([[0.05, 3.0], [1.0, -1.0]])
    assert both(kj.vmap(kj.grad(f)), rows).tolist() == [[1.0, 2.0], [2.0, -2.0]]
    with pytest.raises(GradientError, match="reverse rule only"):
        kj.jvp(f, (kj.tensor([1.0]),), (kj.tensor([1.0]),))


def test_an_own_forward_rule_serves_both_modes():
    @kj.custom_jvp
    def log1pexp(x):
        return kj.log(1 + kj.exp(x))

    log1pexp.defjvp(lambda p, t: (log1pexp(*p), t[0] * kj.sigmoid(p[0])))
    assert both(kj.grad(log1pexp), 100.0).item() == 1.0
    assert both(lambda x: kj.jvp(log1pexp, (x,), (1.0,))[1], 100.0).item() == 1.0
    assert both(kj.vmap(kj.grad(kj.grad(log1pexp))), kj.tensor([0.0])).tolist() == [0.25]


def test_fixed_arguments_come_first():
    @kj.custom_vjp
    def scaled(function, x):
        return function(x)

    def bwd(function, residuals, g):
        assert function is kj.sin
        return (7.0 * g,)

    scaled = kj.custom_vjp(scaled._f, nondiff_argnums=(0,))
    scaled.defvjp(lambda function, x: (function(x), None), bwd)
    assert kj.grad(lambda x: scaled(kj.sin, x))(0.3).item() == 7.0


def test_an_own_rule_must_see_all_that_is_differentiated():
    def f(x):
        @kj.custom_vjp
        def g(y):
            return x * y

        g.defvjp(lambda y: (y, None), lambda _, c: (c,))
        return g(2.0)

    with pytest.raises(GradientError, match="from outside"):
        kj.grad(f)(1.0)


# ------------------------------------------------------------------------------------ errors


def test_a_rule_that_is_missing_or_wrong_is_told():
    bare = kj.custom_vjp(lambda x: x)
    with pytest.raises(UsageError, match="defvjp"):
        bare(1.0)
    bare.defvjp(lambda x: (x, None), lambda _, g: (g, g))
    with pytest.raises(UsageError, match="a tuple of 1"):
        kj.grad(bare)(1.0)
    bare.defvjp(lambda x: (x, None), lambda _, g: (kj.ones(3),))
    with pytest.raises(ShapeError, match=r"float32\[3\]"):
        kj.grad(bare)(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kj.scan(lambda c, x: (c, x), 0.0), "without length"),
        (lambda: kj.scan(lambda c, x: (c, x), 0.0, 1.0), "scalar"),
        (lambda: kj.scan(lambda c, x: (c, x), 0.0, [kj.ones(2), kj.ones(3)]), r"\[2, 3\] steps"),
        (lambda: kj.scan(lambda c, x: c, 0.0, kj.ones(2)), "return a pair"),
        (lambda: kj.scan(lambda c, x: ((c, c), x), 0.0, kj.ones(2)), "another structure"),
        (lambda: kj.scan(lambda c, x: (c.astype(int), x), 0.0, kj.ones(2)), r"into int64\[\]"),
        (lambda: kj.scan(lambda c, x: (c, x), 0.0, length=-1), "-1"),
        (lambda: kj.scan(lambda c, x: (c, "y"), 0.0, length=1), "returned str"),
        (lambda: kj.scan(lambda c, x: (c, x), "start", length=1), "str among"),
        (lambda: kj.while_loop(lambda c: c, lambda c: c, 1.0), "truth value"),
        (lambda: kj.while_loop(lambda c: c < 1, lambda c: (c,), 1.0), "another structure"),
        (lambda: kj.while_loop(lambda c: c < 1, lambda c: c > 2, 1.0), r"into bool\[\]"),
        (lambda: kj.cond(kj.ones(2) > 0, lambda: 1, lambda: 2), "kj.where"),
        (lambda: kj.cond(True, lambda: 1, lambda: 2.0), "branches"),
    ],
)
def test_wrong_use_is_told(call, message):
    with pytest.raises((ShapeError, UsageError, TracingError), match=message):
        call()


def test_a_condition_on_a_value_inside_a_body_is_told():
    def step(c, x):
        return (c if c > 0 else x), x

    with pytest.raises(TracingError, match=r"no value|has none"):
        kj.scan(step, 0.0, kj.ones(3))
