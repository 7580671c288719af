"""derive, explain and show: the lectures' examples, tensors of any shape, and wrong questions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front.tensor import Tensor
from kedja.ground.errors import DtypeError, GradientError, KedjaError, UsageError


def reciprocal(x: Tensor) -> Any:
    """The lecture's f(x) = 1/(1 − e^(−x))."""
    return 1 / (1 - kj.exp(-x))


def exponential(w0: Tensor, w1: Tensor, x: Tensor) -> Any:
    """The lecture's f = 1 + e^(w0 + w1·x)."""
    return 1 + kj.exp(w0 + w1 * x)


AT = {"w0": -1, "w1": 0.5, "x": 2}


# ------------------------------------------------------------------------------------ derive


def test_the_modules_of_the_lecture(golden: Callable[[str, str], None]) -> None:
    found = kj.derive(reciprocal)
    golden("derive_reciprocal", f"{found}\n")
    assert [(m.name, m.formula, m.partials) for m in found.modules] == [
        ("a", "-x", {"x": "-1"}),
        ("b", "exp(a)", {"a": "exp(a)"}),
        ("c", "1 - b", {"b": "-1"}),
        ("f", "1 / c", {"c": "-1 / c ** 2"}),
    ]


def test_the_product_of_the_modules_is_the_derivative() -> None:
    x = 0.7
    found = kj.derive(reciprocal)
    names: dict[str, Any] = {"x": x, "exp": math.exp}
    product = 1.0
    for module in found.modules:
        names[module.name] = eval(module.formula, {}, names)
        [partial] = module.partials.values()
        product *= eval(partial, {}, names)
    assert product == pytest.approx(eval(found.formula, {}, names), rel=1e-12)
    numeric = kj.explain(reciprocal, at={"x": x})["x"].gradient
    assert numeric is not None and product == pytest.approx(float(numeric), rel=1e-12)


def test_several_variables_give_a_line_each() -> None:
    found = kj.derive(exponential)
    assert found.formulas == {
        "w0": "exp(w0 + w1 * x)",
        "w1": "x * exp(w0 + w1 * x)",
        "x": "w1 * exp(w0 + w1 * x)",
    }
    assert found.formula.splitlines()[1] == "df/dw1 = x * exp(w0 + w1 * x)"
    assert list(kj.derive(exponential, "w1").formulas) == ["w1"]
    assert list(kj.derive(exponential, ["x", "w0"]).formulas) == ["x", "w0"]


def test_arguments_are_passed_by_position_and_by_name() -> None:
    def f(x: Tensor, /, y: Tensor, scale: float = 2.0, *, shift: Tensor) -> Tensor:
        return x * y * scale + shift

    assert kj.derive(f).formulas == {"x": "2 * y", "y": "2 * x", "shift": "1"}
    assert kj.explain(f, at={"x": 1.0, "y": 2.0, "shift": 3.0, "scale": 4.0}).value == 11.0


def test_a_derivative_can_be_derived_again() -> None:
    second = kj.derive(kj.grad(lambda x: x**3))
    assert second.formula == "6 * x"
    assert kj.derive(lambda x: x**3).gradients["x"].shape == ()


def test_a_variable_that_does_not_matter_has_derivative_zero() -> None:
    assert kj.derive(lambda x, y: x * 2.0).formulas == {"x": "2", "y": "0"}


def test_arrays_have_shapes_and_modules_say_what_becomes_of_a_gradient() -> None:
    found = kj.derive(
        lambda x, w: kj.sum(kj.sigmoid(x @ w)), "w", shapes={"x": (4, 3), "w": (3, 2)}
    )
    assert found.formula == "x.T @ (sigmoid(x @ w) * (1 - sigmoid(x @ w)))"
    product = found.modules[0]
    assert product.partials == {"x": "g @ w.T", "w": "x.T @ g"}
    assert product.texts() == ["x gets g @ w.T", "w gets x.T @ g"]
    assert "g is the gradient that arrives" in str(found)


def test_a_tensor_is_derived_by_its_named_leaves() -> None:
    w = kj.tensor(2.0, name="w")
    x = kj.tensor(3.0, name="x")
    assert kj.derive(w * x + w).formulas == {"w": "1 + x", "x": "w"}
    assert kj.derive(w * x + w, wrt=x).formula == "w"


def test_leaves_without_a_name_are_called_as_in_the_code() -> None:
    slope = kj.tensor(2.0, requires_grad=True)
    data = kj.tensor([1.0, 2.0])
    other = kj.tensor([1.0, 2.0]) * 3.0
    found = kj.derive(kj.sum(slope * data * other))
    assert found.formulas == {"slope": "sum(3 * data * [1, 2], axes=(0,))"}


def test_long_derivatives_name_their_parts() -> None:
    def tower(x: Tensor) -> Tensor:
        for _ in range(12):
            x = x * kj.sin(x)
        return x

    found = kj.derive(tower)
    assert found.where and "where u1 = " in str(found)
    names: dict[str, Any] = {"x": 0.9, "sin": math.sin, "cos": math.cos}
    for name, text in found.where:
        names[name] = eval(text, {}, names)
    expected = kj.grad(tower)(kj.tensor(0.9, kj.float64)).item()
    assert eval(found.formula, {}, names) == pytest.approx(expected, rel=1e-9)


def test_a_derivation_is_json_and_html() -> None:
    found = kj.derive(exponential)
    assert json.loads(found.json())["derivatives"]["w0"] == "exp(w0 + w1 * x)"
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == str(found)
    assert "<table" in bundle["text/html"]


# ----------------------------------------------------------------------------------- explain


def test_the_table_of_the_lecture(golden: Callable[[str, str], None]) -> None:
    found = kj.explain(exponential, at=AT, sources=False)
    golden("explain_exponential", f"{found}\n")
    assert found.table() == str(found).split("\n\n")[1]  # no terminal, no colours
    assert {name: float(g) for name, g in found.gradients.items() if g is not None} == {
        "w0": 1.0, "w1": 2.0, "x": 0.5,
    }  # fmt: skip


def test_one_update_lowers_the_function() -> None:
    rate = 0.1
    found = kj.explain(exponential, at=AT, wrt=["w0", "w1"])
    moved = dict(AT)
    for name, gradient in found.gradients.items():
        assert gradient is not None
        moved[name] = AT[name] - rate * float(gradient)  # w <- w - eta df/dw
    assert moved == pytest.approx({"w0": -1.1, "w1": 0.3, "x": 2})
    assert float(kj.explain(exponential, at=moved).value) == pytest.approx(1 + math.exp(-0.5))


def test_a_gradient_that_was_not_computed_is_none() -> None:
    found = kj.explain(exponential, at=AT, wrt="w1")
    assert found["w0"].gradient is None
    assert found["x"].gradient is None
    assert found["a"].gradient is not None
    assert json.loads(found.json())["nodes"][0]["gradient"] is None
    flat = kj.explain(lambda x, y: x * 2.0, at={"x": 1.0, "y": 1.0})
    assert flat.gradients["y"] is None


def test_copy_adds_what_all_users_give() -> None:
    found = kj.explain(lambda x: x * x + kj.sin(x), at={"x": 2.0})
    row = found["x"]
    assert [name for name, _ in row.added] == ["a", "a", "b"]
    assert row.gradient is not None
    assert float(row.gradient) == pytest.approx(sum(float(g) for _, g in row.added))
    assert row.rule == "copy adds: 2 from a, 2 from a, -0.416147 from b"


def test_copy_adds_only_what_leads_to_the_variables() -> None:
    found = kj.explain(lambda x, y: x * y + x * 3.0, at={"x": 2.0, "y": 5.0}, wrt="y")
    assert found["x"].adds == ""


def test_the_gates_have_their_names() -> None:
    found = kj.explain(lambda a, b: kj.maximum(a * b, a + b) - kj.exp(a), at={"a": 1.0, "b": 2.0})
    rules = {row.op: row.gate.split(":")[0] for row in found.rows if row.gate}
    assert rules == {
        "multiply": "multiply swaps",
        "add": "add distributes",
        "maximum": "max routes",
        "exp": "multiplies by exp(a), the local derivative",
        "subtract": "subtract distributes, with the sign turned for the second",
    }
    routed = {row.op: row.gradient for row in found.rows}
    assert routed["add"] == 1 and routed["multiply"] == 0


def test_gradients_agree_with_grad_for_arrays() -> None:
    rng = np.random.default_rng(0)
    at = {"x": rng.standard_normal((4, 3)), "w": rng.standard_normal((3, 2))}

    def loss(x: Tensor, w: Tensor) -> Any:
        return kj.mean(kj.tanh(x @ w) ** 2)

    found = kj.explain(loss, at=at)
    expected = kj.grad(loss, (0, 1))(at["x"], at["w"])
    for name, gradient in zip("xw", expected, strict=True):
        np.testing.assert_allclose(found.gradients[name], gradient.numpy(), rtol=1e-12)
    assert "min " in found["x"].cells(sources=True)[2]
    assert "copy adds: the gradients from" in found["b"].rule
    assert str(found["x"].node.type) == "float64[4, 3]"


def test_a_module_is_explained_with_its_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))

    def loss(model: nn.Module, x: Tensor) -> Any:
        return kj.sum(model(x))

    at = {"model": model, "x": np.ones((4, 2), np.float32)}
    found = kj.explain(loss, at=at, wrt="model")
    assert set(found.gradients) == {
        "model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias",
    }  # fmt: skip
    assert all(gradient is not None for gradient in found.gradients.values())
    assert found["x"].gradient is None
    alone = kj.explain(model, at={"x": np.ones((4, 2), np.float32)})
    assert "0.weight" in [row.name for row in alone.rows]


def test_a_tensor_is_explained_and_its_leaves_can_be_replaced() -> None:
    w = kj.tensor([1.0, 2.0], requires_grad=True, name="w")
    loss = kj.sum(w * w)
    assert float(kj.explain(loss).value) == 5.0
    other = kj.explain(loss, at={"w": [3.0, 4.0]})
    assert float(other.value) == 25.0
    np.testing.assert_array_equal(other.gradients["w"], [6.0, 8.0])


def test_a_vector_has_values_but_no_gradients() -> None:
    found = kj.explain(lambda x: x * 2.0, at={"x": np.ones(3)})
    assert found["x"].gradient is None
    assert found.value.tolist() == [2.0, 2.0, 2.0]


def test_a_number_alone_is_a_graph_of_one_row() -> None:
    assert [row.name for row in kj.explain(kj.tensor(3.0)).rows] == ["f"]
    assert kj.explain(lambda x: x, at={"x": 2.0})["x"].gradient == 1


def test_lines_of_code_are_shown_unless_left_out() -> None:
    found = kj.explain(exponential, at=AT)
    assert "test_explain.py:" in str(found)
    assert "test_explain.py" not in str(kj.explain(exponential, at=AT, sources=False))


def test_json_and_picture_of_an_explanation() -> None:
    found = kj.explain(lambda x: kj.log(x), at={"x": 0.0})
    data = json.loads(found.json())
    assert data["value"] is None  # log(0)
    assert data["nodes"][1]["inputs"] == ["x"]
    picture = kj.explain(exponential, at=AT).svg()
    texts = [each.text for each in ElementTree.fromstring(picture).iter() if each.text]
    assert "a = w1 * x" in texts and "value 1" in texts and "gradient 2" in texts
    assert "multiply swaps" in texts


def test_a_notebook_gets_the_table_and_the_picture() -> None:
    bundle = kj.explain(exponential, at=AT)._repr_mimebundle_()
    assert "<table" in bundle["text/html"] and "<svg" in bundle["text/html"]
    assert "http" not in bundle["text/html"].replace("http://www.w3.org/2000/svg", "")


def test_a_terminal_gets_colours_unless_it_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    found = kj.explain(exponential, at=AT)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in found.table()  # the values are green
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in found.table()


# -------------------------------------------------------------------------------------- show


def test_a_function_a_tensor_and_a_compiled_function_are_shown() -> None:
    assert "tanh(%0)" in str(kj.show(lambda x: kj.tanh(x)))
    assert "input x" in str(kj.show(lambda x: kj.tanh(x), at={"x": np.ones(3)}))
    w = kj.tensor(2.0, name="w")
    assert "constant w" in str(kj.show(w * 3.0))
    assert str(kj.show({"a": w * 3.0, "b": w})).endswith("return %2, %0")
    with kj.scope(tier="interpret"):
        compiled = kj.jit(lambda x: kj.sum(x * x))
        assert "input x " in str(kj.show(compiled))  # not called yet: traced with scalars
        compiled(np.ones(5, np.float32))
        assert "float32[5]" in str(kj.show(compiled))


def test_a_module_is_a_container_unless_it_is_given_arguments() -> None:
    model = nn.Linear(2, 1)
    x = np.ones((3, 2), np.float32)
    grads = kj.grad(lambda model: kj.sum(model(x)))(model)
    assert str(kj.show(grads)).count("return") == 1
    assert "matmul" in str(kj.show(model, at={"x": x}))
    with pytest.raises(UsageError, match="to call a module"):
        kj.explain(model)


# ----------------------------------------------------------------------------- wrong questions


def freed() -> Any:
    """A loss after backward()."""
    w = kj.tensor(2.0, requires_grad=True)
    loss = w * w
    loss.backward()
    return loss


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: kj.derive(lambda x: x, wrt="z"), UsageError, "no variable 'z'"),
        (lambda: kj.explain(exponential, at={"w0": 1.0}), UsageError, "no value for w1, x"),
        (lambda: kj.explain(exponential, at={**AT, "u": 1}), UsageError, "no variable 'u'"),
        (lambda: kj.explain(exponential), UsageError, "no value for w0"),
        (lambda: kj.derive(lambda *xs: xs[0]), UsageError, "have no names"),
        (lambda: kj.derive(lambda x: x, shapes={"x": (3,)}), GradientError, "not a float scalar"),
        (lambda: kj.derive(lambda x: x > 0), GradientError, "bool"),
        (lambda: kj.explain(freed()), GradientError, "freed"),
        (lambda: kj.explain(lambda x: (x, x), at={"x": 1.0}), UsageError, "2 results"),
        (lambda: kj.derive(lambda x: "no"), KedjaError, "returned str"),
        (lambda: kj.show("text"), UsageError, "cannot show"),
        (lambda: kj.show(None), UsageError, "cannot show"),
        (lambda: kj.derive(kj.tensor(1.0, name="a") * 2, wrt="b"), UsageError, "variables are: a"),
        (
            lambda: kj.explain(kj.sum(kj.tensor([1.0], name="w") * 2), at={"w": [1.0, 2.0]}),
            UsageError,
            "shape",
        ),
        (
            lambda: kj.derive(kj.sum(kj.tensor([1, 2], name="n") * 2.0), wrt="n"),
            GradientError,
            "int64",
        ),
        (lambda: kj.explain(lambda x: x @ x, at={"x": np.ones((2, 3))}), KedjaError, "matmul"),
        (
            lambda: kj.explain(lambda x: x, at={"x": np.ones(2, np.complex64)}),
            DtypeError,
            "complex",
        ),
    ],
)
def test_wrong_questions_are_answered(
    ask: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask()
