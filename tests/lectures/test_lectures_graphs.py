"""The lectures on graphs: linear maps, the chain rule, the gates, the network, the squared error.

The pages in `docs/lectures` show these numbers; here they are compared with NumPy and with closed
forms. Next: `test_lectures_models.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from docs.lectures.figures import run_page
from kedja import nn

TIERS = ("interpret", "compile")
OUTPUTS = [0.54, 0.24, 0.92, 0.61, 0.51, 0.14, 0.42, 0.32, 0.51, 0.87]


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# ------------------------------------------------------------------------------- linear maps


@pytest.mark.parametrize("tier", TIERS)
def test_a_matrix_is_a_linear_map(tier):
    weight, a, b = drawn(0, 3, 5), drawn(1, 5), drawn(2, 5)

    @kj.jit
    def both(a, b):
        return weight @ (a + b), weight @ a + weight @ b, weight @ (7.0 * a), 7.0 * (weight @ a)

    with kj.scope(tier=tier):
        of_sum, sum_of, of_multiple, multiple_of = (each.numpy() for each in both(a, b))
    np.testing.assert_allclose(of_sum, sum_of, rtol=1e-12)
    np.testing.assert_allclose(of_multiple, multiple_of, rtol=1e-12)


def test_with_a_bias_it_is_not_linear_but_a_chain_of_them_is_still_one():
    layer = nn.Linear(3, 3, key=kj.random.key(0)).astype(kj.float64)
    a, b = drawn(1, 3), drawn(2, 3)
    gap = (layer(a) + layer(b) - layer(a + b)).numpy()
    np.testing.assert_allclose(gap, layer.bias.numpy(), rtol=1e-12)


@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=6), seed=st.integers(0, 1000))
def test_any_chain_of_linear_layers_is_one_layer(sizes, seed):
    chain = nn.mlp(sizes, "identity", key=kj.random.key(seed)).astype(kj.float64)
    slope, offset = np.eye(sizes[0]), np.zeros(sizes[0])
    for layer in chain:
        if isinstance(layer, nn.Linear):
            weight, bias = layer.weight.numpy(), layer.bias.numpy()
            slope, offset = weight @ slope, weight @ offset + bias
    x = drawn(seed, 4, sizes[0])
    np.testing.assert_allclose(chain(x).numpy(), x @ slope.T + offset, rtol=1e-9, atol=1e-9)


def test_a_nonlinearity_breaks_the_chain():
    for name in ("relu", "tanh", "sigmoid"):
        net = nn.mlp([2, 3, 1], name, key=kj.random.key(0)).astype(kj.float64)
        a, b = drawn(3, 2), drawn(4, 2)
        middle = (net(a) + net(b)).numpy() / 2
        assert abs(middle - net((a + b) / 2).numpy()).max() > 1e-4  # a line would go through it


def test_linear_layers_learn_the_best_line_and_no_more():
    page = run_page("01-linear-maps")
    x, y = page["x"][:, 0].astype(np.float64), page["y"][:, 0].astype(np.float64)
    line = np.polynomial.Polynomial.fit(x, y, 1)
    np.testing.assert_allclose(page["linear"](page["x"]).numpy()[:, 0], line(x), atol=2e-3)
    left = np.mean((line(x) - y) ** 2)
    assert left == pytest.approx(0.5 - 3 / np.pi**2, abs=1e-4)
    assert nn.mse_loss(page["bent"](page["x"]), page["y"]).item() < left / 100


# ---------------------------------------------------------------------------- the chain rule


def reciprocal(x):
    return 1 / (1 - kj.exp(-x))


def exponential(w0, w1, x):
    return 1 + kj.exp(w0 + w1 * x)


def test_each_module_knows_its_derivative_as_a_formula():
    found = kj.derive(reciprocal)
    steps = [(module.name, module.formula, module.partials) for module in found.modules]
    assert steps == [
        ("a", "-x", {"x": "-1"}),
        ("b", "exp(a)", {"a": "exp(a)"}),
        ("c", "1 - b", {"b": "-1"}),
        ("f", "1 / c", {"c": "-1 / c ** 2"}),
    ]
    assert found.formula == "-exp(-x) / (1 - exp(-x)) ** 2"


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.25, 2.0, 6.0])
def test_each_module_multiplies_the_gradient_on_the_way_back(x):
    found = kj.explain(reciprocal, at={"x": x})
    a, b = -x, math.exp(-x)
    c = 1 - b
    values = {"x": x, "a": a, "b": b, "c": c, "f": 1 / c}
    gradients = {"f": 1.0, "c": -1 / c**2, "b": 1 / c**2, "a": b / c**2, "x": -b / c**2}
    for name in "xabcf":
        assert found[name].value == pytest.approx(values[name], rel=1e-12)
        assert found[name].gradient == pytest.approx(gradients[name], rel=1e-12)


@pytest.mark.parametrize("tier", TIERS)
def test_both_weights_get_their_gradient_and_one_step_goes_down(tier):
    @kj.jit
    def step(w0, w1, x, rate):
        g0, g1 = kj.grad(exponential, (0, 1))(w0, w1, x)
        return g0, g1, w0 - rate * g0, w1 - rate * g1

    given = [np.array(each) for each in (-1.0, 0.5, 2.0, 0.1)]
    with kj.scope(tier=tier):
        g0, g1, w0, w1 = (each.item() for each in step(*given))
    assert (g0, g1) == pytest.approx((math.exp(0), 2 * math.exp(0)), rel=1e-12)
    assert (w0, w1) == pytest.approx((-1.1, 0.3), rel=1e-12)
    after = exponential(w0, w1, 2.0).item()
    assert after == pytest.approx(1 + math.exp(-0.5), rel=1e-6)
    assert after < exponential(-1.0, 0.5, 2.0).item()


def test_the_gradients_are_formulas_too():
    found = kj.derive(exponential, wrt=["w0", "w1"])
    assert found.formulas == {"w0": "exp(w0 + w1 * x)", "w1": "x * exp(w0 + w1 * x)"}


def test_add_distributes_and_multiply_swaps():
    found = kj.explain(lambda x, y, z: (x + y) * z, at={"x": 3, "y": -1, "z": 5})
    assert found["a"].gate.startswith("add distributes")
    assert found["x"].gradient == found["y"].gradient == found["a"].gradient == 5
    assert found["f"].gate.startswith("multiply swaps")
    assert (found["a"].gradient, found["z"].gradient) == (5, 2)  # each has the other's value


def test_copy_adds():
    found = kj.explain(lambda x: kj.sin(x) * kj.exp(x), at={"x": 0.5})
    shares = [share.item() for _, share in found["x"].added]
    assert shares == pytest.approx([math.cos(0.5) * math.exp(0.5), math.sin(0.5) * math.exp(0.5)])
    assert found["x"].gradient == pytest.approx(sum(shares), rel=1e-15)
    assert found["x"].rule.startswith("copy adds")


@pytest.mark.parametrize(("x", "z", "to_x", "to_z"), [(2, 1, 1, 0), (1, 2, 0, 1), (2, 2, 0.5, 0.5)])
def test_max_routes(x, z, to_x, to_z):
    found = kj.explain(lambda x, z: kj.maximum(x, z), at={"x": x, "z": z})
    assert found["f"].gate.startswith("max routes")
    assert (found["x"].gradient, found["z"].gradient) == (to_x, to_z)


# --------------------------------------------------------------------------------- a network


def test_the_network_of_the_lectures_has_81_parameters():
    net = nn.mlp([4, 5, 5, 3, 2], "sigmoid", key=kj.random.key(0))
    rows = kj.summary(net).rows
    assert [row.parameters for row in rows if row.kind == "Linear"] == [25, 30, 18, 8]
    assert net.num_parameters == 81 == sum(each.size for _, each in net.parameters())


@pytest.mark.parametrize("tier", TIERS)
def test_every_unit_by_hand_equals_the_compiled_value(tier):
    page = run_page("04-network")
    net, x = page["net"], page["x"]
    with kj.scope(tier=tier):
        found = page["layers"](net, kj.tensor(x))
    a = [float(each) for each in x]
    for place in range(0, 7, 2):
        weight, bias = net[place].weight.tolist(), net[place].bias.tolist()
        z = [
            sum(w * each for w, each in zip(row, a, strict=True)) + b
            for row, b in zip(weight, bias, strict=True)
        ]
        a = z if place == 6 else [1 / (1 + math.exp(-each)) for each in z]
        ours = found[place] if place == 6 else found[place + 1]
        assert ours.tolist() == pytest.approx(a, abs=2e-6)
    assert found[1][0].item() == pytest.approx(1 / (1 + math.exp(-0.95)), abs=1e-6)


# --------------------------------------------------------------------------- the squared error


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("label", "error"), [(2, 2.3032), (9, 2.4032)])
def test_the_squared_error_of_the_ten_outputs(tier, label, error):
    outputs = np.array(OUTPUTS)
    with kj.scope(tier=tier):
        found = kj.jit(lambda o: nn.squared_error(o, label))(outputs).item()
    assert found == pytest.approx(error, abs=1e-9)
    one_hot = [float(i == label) for i in range(10)]
    assert sum((o - y) ** 2 for o, y in zip(OUTPUTS, one_hot, strict=True)) == pytest.approx(found)
    assert nn.squared_error(outputs, np.array(one_hot)).item() == pytest.approx(error, abs=1e-9)
