"""Graphs through JAX: the same values as everywhere else, and JAX itself left as it was.

Op by op, `tests/ops/test_executors.py` compares. Next: `test_xla_loop.py`.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.ground.errors import DtypeError, ShapeError, TracingError, UsageError
from kedja.ground.flags import flags
from kedja.interpret import reference
from kedja.ir.graph import apply, constant, variable
from kedja.ir.op import TABLE, Type
from kedja.xla import program
from tests.fixtures import float32, float64

jax = pytest.importorskip("jax")
X = np.random.default_rng(0).standard_normal((7, 5))


def in_xla(f, *args):
    """The values of a function's results, compiled by XLA."""
    found = kj.jit(f, backend="xla")(*args)
    return [leaf.numpy() for leaf in kj.tree.leaves(found)]


def same(f, *args, rtol=1e-12):
    """XLA gives what the interpreter gives."""
    with kj.scope(tier="interpret"):
        expected = [leaf.numpy() for leaf in kj.tree.leaves(f(*args))]
    for mine, right in zip(in_xla(f, *args), expected, strict=True):
        assert mine.dtype == right.dtype
        np.testing.assert_allclose(mine, right, rtol=rtol, atol=1e-13)


# ----------------------------------------------------------------------------- what is computed


def test_transformations_compose_inside_and_outside():
    def f(x):
        return kj.sum(kj.tanh(x @ kj.matrix_transpose(x)))

    same(kj.grad(f), X)
    same(kj.grad(kj.jit(f, backend="xla")), X)
    same(lambda x: kj.jvp(kj.grad(f), (x,), (kj.ones_like(x),)), X)
    same(kj.vmap(kj.grad(lambda row: kj.sum(kj.sin(row) ** 2))), X)
    same(kj.hessian(lambda row: kj.sum(kj.exp(row)) ** 2), X[0])


def test_loops_and_branches():
    def step(carry, x):
        carry = kj.tanh(carry + x)
        return carry, kj.sum(carry)

    def f(x):
        last, sums = kj.scan(step, kj.zeros(5, "float64"), x)
        return kj.cond(kj.sum(last) > 0, lambda y: y * 2, lambda y: y - 1, sums)

    same(f, X)
    same(kj.grad(lambda x: kj.sum(f(x))), X)
    same(lambda x: kj.while_loop(lambda v: kj.sum(kj.abs(v)) < 100, lambda v: v * 1.5, x), X)


def test_random_bits_are_the_same_bits():
    key = kj.random.key(2**40 + 7)

    def draw(key):
        first, second = kj.random.split(key)
        return (
            kj.random.bits(first, (100,)),
            kj.random.uniform(second, (33,)),
            kj.random.bits(kj.random.fold_in(key, 3), (7, 5), 1),
        )

    for mine, right in zip(in_xla(draw, key), draw(key), strict=True):
        np.testing.assert_array_equal(mine, right.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_rounded_after_every_op(dtype):
    x = kj.tensor(np.linspace(0, 1, 1000), dtype)

    def f(x):
        return (x + 3) - 3, x * x + x / 3, kj.sum(x), x.reshape(10, 100) @ x.reshape(100, 10)

    first, second, total, product = in_xla(f, x)
    with kj.scope(tier="interpret"):
        right = [each.numpy() for each in f(x)]
    np.testing.assert_array_equal(first, right[0])
    np.testing.assert_array_equal(second, right[1])
    assert total.dtype == product.dtype == x.dtype
    np.testing.assert_allclose(total.astype(float64), right[2].astype(float64), rtol=0.01)
    np.testing.assert_allclose(product.astype(float64), right[3].astype(float64), rtol=0.01)


def test_indices_out_of_range_stay_inside_as_in_compiled_programs():
    def f(x, index):
        return kj.take(x, index), kj.scatter_add(kj.zeros(4), index, x[:3])

    taken, added = in_xla(f, np.arange(1, 5, dtype=np.float32), np.array([-7, 9, 2]))
    assert taken.tolist() == [1, 4, 3]
    assert added.tolist() == [1, 0, 3, 2]


def test_integers_divided_by_zero_are_zero_as_in_numpy():
    for dtype in (np.int8, np.int64, np.uint16):
        a = np.array([7, 0, np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
        zero = np.zeros(4, dtype)
        for found in in_xla(lambda a, b: (a // b, a % b), a, zero):
            assert found.tolist() == [0, 0, 0, 0]


def test_a_graph_of_any_depth():
    def f(x):
        for _ in range(1500):
            x = kj.sin(x) * 1.5
        return x

    same(f, X[0])


def test_every_op_has_its_facet():
    assert not [name for name, op in TABLE.items() if op.xla is None]


# ------------------------------------------------------------------------------------- training


def test_a_training_step_has_the_compilers_losses():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((40, 8, 6)), rng.integers(0, 3, (40, 8))
    model = nn.mlp([6, 16, 3], "gelu", key=kj.random.key(1))
    model = kj.tree.map(lambda leaf: kj.astype(leaf, float64), model)
    optimizer = optim.AdamW(1e-2)

    def step(model, state, x, y):
        loss, grads = kj.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
        return *optimizer.update(model, grads, state), loss

    def losses(backend):
        run, now, state, found = kj.jit(step, backend=backend), model, optimizer.init(model), []
        for each_x, each_y in zip(x, y, strict=True):
            now, state, loss = run(now, state, each_x, each_y)
            found.append(loss.item())
        return found

    np.testing.assert_allclose(losses("xla"), losses("cpu"), rtol=1e-9)


# ---------------------------------------------------------------------------- JAX is left alone


def test_64_bit_types_are_on_for_the_call_only():
    before = jax.config.jax_enable_x64
    theirs = jax.jit(lambda x: x * 2.0)
    assert theirs(jax.numpy.ones(3)).dtype == float32
    with kj.scope(tier="compile", backend="xla"):
        assert (kj.tensor(X) * 2).numpy().dtype == float64
        assert jax.config.jax_enable_x64 == before
        assert theirs(jax.numpy.arange(3.0)).dtype == float32
    assert jax.numpy.arange(3).dtype == np.int32
    assert jax.random.normal(jax.random.key(0)).dtype == float32
    with pytest.raises(TracingError):
        program.compile([variable("x", Type((), float64)) + 1], [])
    assert jax.config.jax_enable_x64 == before


def test_threads_do_not_meet_in_the_switch():
    f = kj.jit(lambda x: kj.sum(x * x), backend="xla")
    ours, theirs = [], []

    def work(scale):
        for _ in range(20):
            ours.append(f(X * scale).item() / scale**2)
            theirs.append(jax.numpy.ones(1).dtype)

    threads = [threading.Thread(target=work, args=(scale,)) for scale in (1.0, 2.0, 4.0)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    np.testing.assert_allclose(ours, [(X * X).sum()] * 60, rtol=1e-12)
    assert theirs == [float32] * 60


# -------------------------------------------------------------------------- arrays in and out


def test_results_are_new_arrays_also_where_an_input_is_returned():
    f = kj.jit(lambda x: (x, x + 0), backend="xla")
    given = np.ones(1000, np.float32)
    returned, added = f(given)
    given[0] = 5
    assert returned.numpy()[0] == added.numpy()[0] == 1


def test_inputs_of_any_layout():
    for x in (X.T, X[::-1, ::2], np.asfortranarray(X), np.broadcast_to(X[0], (3, 5)), X[:0]):
        same(lambda x: kj.exp(x) * 2, x)


def test_donated_arguments_are_overwritten():
    f = kj.jit(lambda x, y: (x + y, kj.sum(y)), donate="x", backend="xla")
    x, y = kj.tensor(X), kj.tensor(X)
    added, total = f(x, y)
    np.testing.assert_array_equal(added.numpy(), X + X)
    np.testing.assert_allclose(total.numpy(), X.sum())
    with pytest.raises(UsageError):
        x.numpy()


def test_a_program_called_with_other_arrays_says_so():
    x = variable("x", Type((3,), float32))
    run = program.compile([x + 1], [x])
    with pytest.raises(DtypeError, match="float64"):
        run(np.zeros(3))
    with pytest.raises(ShapeError, match=r"\[4\]"):
        run(np.zeros(4, np.float32))


# ------------------------------------------------------------------------------------ programs


def test_equal_graphs_share_a_program_and_constants_are_not_part_of_it(capsys):
    def graph(fill, like=1.0):
        rows = constant(np.full(20_000, fill, np.float32))
        return [apply("sum", rows * like, axes=(0,))]

    with kj.scope(debug=4):
        (three,) = program.run(graph(3))
        text = capsys.readouterr().err
        (four,) = program.run(graph(4))
        again = capsys.readouterr().err
    assert (three, four) == (60_000, 80_000)
    assert "StableHLO" in text
    assert "compiled by XLA" in text
    assert len(text) < 10_000
    assert "StableHLO" not in again
    assert "before" in again
    assert program.run(graph(3, 2.0)) == [120_000]


def test_graphs_that_differ_in_a_sign_or_a_dtype_do_not_share():
    x = variable("x", Type((), float64))
    for value in (0.0, -0.0, 1.0, 1, True):
        graph = apply("full", value=value, shape=(), dtype=float64)
        (found,) = program.run([apply("atan2", graph, x)], {x: np.asarray(-1.0)})
        assert found == np.arctan2(value, -1.0)
    for dtype in (float32, float64):
        assert program.run([apply("full", value=1, shape=(2,), dtype=dtype)])[0].dtype == dtype


def test_constants_of_inner_graphs_are_their_own():
    def f(scale):
        rows = kj.tensor(np.full((3, 3), scale))
        return lambda x: kj.scan(lambda c, row: (kj.tanh(rows @ c + row), kj.sum(c)), x[0], x)[1]

    x = X[:4, :3]
    for scale in (0.25, 0.5):
        same(f(scale), x)


def test_run_is_the_interpreters_run():
    x = variable("x", Type((3,), float64))
    unused = variable("y", Type((2,), float32))
    y = apply("exp", x)
    bound = {x: np.arange(3.0), unused: np.zeros(2, np.float32)}
    found, expected = program.run([y, x], bound), reference.run([y, x], bound)
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    np.testing.assert_array_equal(program.run([y + 1], {y: np.ones(3)})[0], [2, 2, 2])
    with pytest.raises(TracingError, match="'x' has no value"):
        program.run([y])


# --------------------------------------------------------------------------------- the switches


def test_one_flag_sends_every_compiled_graph_through_jax(monkeypatch):
    calls = []
    compile = program.compile
    monkeypatch.setattr(program, "compile", lambda *a, **k: calls.append(a) or compile(*a, **k))
    f = kj.jit(lambda x: x + 1)
    f(X)
    assert not calls
    with kj.scope(backend="xla"):
        f(X)
        assert len(calls) == 1
        kj.jit(lambda x: x + 1, backend="cpu")(X)
        with kj.scope(tier="interpret"):
            f(X)
        assert len(calls) == 1
        with kj.scope(tier="compile"):
            (kj.tensor(X) + 1).numpy()
    assert len(calls) == 2


def test_the_environment_sets_the_backend(monkeypatch):
    monkeypatch.setattr("kedja.ground.flags._process", None)
    monkeypatch.setenv("KEDJA_BACKEND", "xla")
    assert flags().backend == "xla"
    monkeypatch.setattr("kedja.ground.flags._process", None)
    monkeypatch.setenv("KEDJA_BACKEND", "tpu")
    with pytest.raises(UsageError, match="cpu, xla"):
        flags()


def test_another_backend_is_refused_at_once():
    with pytest.raises(UsageError, match="'cuda'"):
        kj.jit(lambda x: x, backend="cuda")
    with pytest.raises(UsageError, match="'cuda'"), kj.scope(backend="cuda"):
        pass
