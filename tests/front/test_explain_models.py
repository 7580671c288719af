"""kj.explain of networks: folded by module, normalisation in training, loops step by step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front.tensor import Tensor
from kedja.ground.errors import GradientError, UsageError
from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.resnet import ResNet

F64 = kj.float64
RNG = np.random.default_rng(0)


def drawn(*shape: int) -> np.ndarray:
    """Numbers that are the same in every run of a test."""
    return np.random.default_rng(sum(shape)).standard_normal(shape)


# ---------------------------------------------------------------------------- folded by module


def gpt() -> GPT2:
    """A GPT of a few thousand parameters."""
    kj.random.seed(0)
    return GPT2(GPT2Config(vocab_size=11, n_positions=4, n_embd=8, n_layer=3, n_head=2))


def score(model: GPT2, tokens: Tensor) -> Any:
    """A scalar of the logits."""
    return kj.mean(kj.square(model(tokens)))


TOKENS = np.arange(6).reshape(2, 3)


def test_a_gpt_is_explained_by_its_modules():
    model = gpt()
    found = kj.explain(score, at={"model": model, "tokens": TOKENS})
    assert len(list(found.walk())) < 50
    logits = model(TOKENS)
    np.testing.assert_allclose(found["GPT2"].value, logits.numpy(), rtol=1e-6)
    expected = 2 * logits.numpy() / logits.size
    np.testing.assert_allclose(found["GPT2"].gradient, expected, rtol=1e-5)
    block = model.h[2](model.h[1](model.h[0](model.wte(TOKENS) + model.wpe(np.arange(3)))))
    np.testing.assert_allclose(found["h.0 … h.2"].value, block.numpy(), rtol=1e-5)
    assert found["ln_f"].formula == "LayerNorm(h.2)"


def test_its_gradients_are_those_of_grad():
    model = gpt()
    found = kj.explain(score, at={"model": model, "tokens": TOKENS}).gradients
    expected = kj.grad(score)(model, TOKENS).parameters()
    assert set(found) == {f"model.{path}" for path, _ in expected}
    for path, each in expected:
        np.testing.assert_allclose(found[f"model.{path}"], each.numpy(), rtol=1e-4, atol=1e-6)


def test_a_closed_module_tells_how_large_its_gradient_is():
    model = gpt()
    rule = kj.explain(score, at={"model": model, "tokens": TOKENS})["ln_f"].rule
    grads = dict(kj.grad(score)(model, TOKENS).parameters())
    norm = np.sqrt(
        sum(np.sum(np.square(grads[f"ln_f.{name}"].numpy())) for name in ("weight", "bias"))
    )
    assert rule.startswith("the gradient of its 16 parameters has the norm ")
    assert float(rule.split()[-1]) == pytest.approx(norm, rel=1e-4)


def test_modules_are_opened_by_depth_and_by_name():
    at = {"model": gpt(), "tokens": TOKENS}
    assert [row.name for row in kj.explain(score, at, depth=0).rows][:2] == ["tokens", "GPT2"]
    opened = kj.explain(score, at, depth=1, expand="h.1.attn", sources=False)
    assert "softmax" in str(opened) and "gelu" not in str(opened)
    assert [row.name for row in opened["h.1.attn"].inside].count("h.1.attn.c_attn") == 1
    with pytest.raises(UsageError, match=r"nothing is called 'h\.9'"):
        kj.explain(score, at, expand=["h.9"])


def test_a_model_of_a_closure_has_gradients_too():
    model = gpt()
    found = kj.explain(lambda tokens: score(model, tokens), at={"tokens": TOKENS})
    assert "h.2.mlp.c_fc.weight" in found.gradients
    assert found["GPT2"].gradient is not None


def test_a_residual_connection_adds_gradients():
    class Residual(nn.Module):
        inner: nn.Linear

        def __call__(self, x: Tensor) -> Any:
            y = kj.tanh(x)
            return kj.sum(y + self.inner(y))

    found = kj.explain(Residual(nn.Linear(4, 4)), {"x": drawn(2, 4)}, depth=1)
    row = next(row for _, _, row in found.walk() if row.op == "tanh")
    assert re.search(r"copy adds: the gradients from (inner, \w+|\w+, inner)$", row.rule)
    total = sum(each for _, each in row.added)
    np.testing.assert_allclose(row.gradient, total, rtol=1e-6)


def test_batch_norm_in_training_is_explained():
    norm = nn.BatchNorm1d(3).astype(F64)
    x = drawn(5, 3)

    def spread(norm: nn.Module, x: Tensor) -> Any:
        with nn.training():
            return kj.sum(norm(x) ** 3)

    found = kj.explain(spread, at={"norm": norm, "x": x})
    hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    [power] = [
        row for row in found.rows if row.op in ("pow", "multiply") and row.value.shape == x.shape
    ][-1:]
    np.testing.assert_allclose(power.value, hat**3, rtol=1e-6)
    expected = kj.grad(spread, 1)(norm, kj.tensor(x))
    np.testing.assert_allclose(found.gradients["x"], expected.numpy(), rtol=1e-9, atol=1e-12)
    assert set(found.gradients) == {"norm.weight", "norm.bias", "x"}  # no running statistics


def test_a_convolutional_network_is_explained():
    kj.random.seed(0)
    net = ResNet([1, 1, 1, 1], classes=3, width=2)
    found = kj.explain(
        lambda net, x: kj.sum(net(x)), at={"net": net, "x": np.ones((1, 3, 32, 32), np.float32)}
    )
    assert found["layer2"].value.shape == (1, 4, 4, 4) == found["layer2"].gradient.shape
    text = str(found)
    assert "… min " in text and "float32[1, 2, 8, 8]" in text
    ElementTree.fromstring(found.svg())
    json.loads(found.json())


# ------------------------------------------------------------------------------------- loops


def elman(rnn: nn.RNN, x: Tensor) -> Any:
    """A scalar of all states."""
    return kj.sum(kj.square(rnn(x)[0]))


def states(rnn: nn.RNN, x: np.ndarray) -> list[np.ndarray]:
    """The states of an Elman network, by hand."""
    w = {name: each.numpy() for name, each in rnn.parameters()}
    h, found = np.zeros(2), []
    for now in x[:, 0]:
        inputs = w["weight_ih_l0"] @ now + w["bias_ih_l0"]
        h = np.tanh(inputs + w["weight_hh_l0"] @ h + w["bias_hh_l0"])
        found.append(h)
    return found


@pytest.mark.parametrize("step", [0, 2, 4, -1, -5])
def test_a_step_of_an_rnn_has_the_values_and_gradients_of_that_step(step: int):
    kj.random.seed(1)
    rnn, x = nn.RNN(3, 2).astype(F64), drawn(5, 1, 3)
    found = kj.explain(elman, at={"rnn": rnn, "x": x}, step=step)
    rows = {path.rsplit(".", 1)[-1]: row for _, path, row in found.walk() if ".body" in path}
    h = states(rnn, x)
    before = h[step % 5 - 1] if step % 5 else np.zeros(2)
    np.testing.assert_allclose(rows["carry"].value[0], before, rtol=1e-12)
    last = next(row for row in rows.values() if row.op == "tanh")
    np.testing.assert_allclose(last.value[0], h[step], rtol=1e-12)
    # dL/dh_t by hand: its own square, and what comes back from the step after it
    w = rnn.weight_hh_l0.numpy()
    g = np.zeros(2)
    for t in range(4, step % 5 - 1, -1):
        g = 2 * h[t] + (w.T @ (g * (1 - h[t + 1] ** 2)) if t < 4 else 0)
    np.testing.assert_allclose(last.gradient[0], g, rtol=1e-9)
    assert f"step {step % 5} of 5" in str(found)


def test_a_loop_that_runs_backwards_counts_its_steps_in_order():
    found = kj.explain(
        lambda x: kj.scan(lambda c, x: (c * 2 + x, None), 0.0 * x[0], x, reverse=True)[0],
        at={"x": np.array([1.0, 10.0, 100.0])},
        step=1,
    )
    rows = {path: row for _, path, row in found.walk()}
    [carry] = [row for path, row in rows.items() if path.endswith("body.carry")]
    [now] = [row for path, row in rows.items() if path.endswith("body.x")]
    assert (carry.value, now.value) == (100.0, 10.0)
    assert (carry.gradient, now.gradient) == (4.0, 2.0)


def test_a_loop_in_a_loop_is_explained():
    def inner(c: Tensor, x: Tensor) -> Any:
        return kj.scan(lambda c, _: (c * x, None), c, length=2)[0], None

    found = kj.explain(
        lambda x: kj.scan(inner, 1.0 * x[0], x)[0], {"x": np.array([2.0, 3.0])}, step=1
    )
    [path] = [
        path for _, path, row in found.walk() if path.count("body") == 2 and row.op == "multiply"
    ]
    assert found[path].value == 2 * 2 * 2 * 3 * 3
    assert found.value == 2 * 4 * 9 and found.gradients["x"] is not None


def test_the_branch_that_was_taken_is_explained():
    def bent(x: Tensor) -> Any:
        return kj.cond(x > 0, lambda x: x * x, lambda x: -x, x)

    found = kj.explain(bent, at={"x": 3.0})
    assert "not taken" in str(found)
    assert found["b.yes.x"].gradient == 6.0
    with pytest.raises(KeyError, match=r"there is no such row"):
        found["b.no.x"]
    assert kj.explain(bent, at={"x": -3.0})["b.no.x"].gradient == -1.0


def test_a_loop_without_reverse_mode_has_values():
    found = kj.explain(
        lambda x: kj.while_loop(lambda c: c < 10, lambda c: c * 2, x), {"x": 3.0}, step=-1
    )
    assert found.value == 12.0 and found["a.body.carry"].value == 6.0
    assert found["x"].gradient is None
    with pytest.raises(GradientError, match="while_loop"):
        kj.explain(
            lambda x: kj.while_loop(lambda c: c < 10, lambda c: c * 2, x), {"x": 3.0}, wrt="x"
        )


def test_checkpoints_and_own_rules_are_explained():
    found = kj.explain(lambda x: kj.checkpoint(lambda x: kj.sin(kj.sin(x)))(x), {"x": 1.0})
    assert found["a.body.x"].gradient == pytest.approx(np.cos(np.sin(1)) * np.cos(1))

    @kj.custom_jvp
    def double(x: Tensor) -> Tensor:
        return x + x

    double.defjvp(lambda primals, tangents: (double(*primals), 3.0 * tangents[0]))
    own = kj.explain(double, at={"x": 1.0})
    assert own.gradients["x"] == 3.0 and "by a rule of its own" in str(own)
    assert own["a.body.x"].gradient is None  # the rule, not the body, gave the gradient


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: kj.explain(lambda x: kj.sin(x), {"x": 1.0}, step=1), "without loops"),
        (
            lambda: kj.explain(
                lambda x: kj.scan(lambda c, x: (c + x, None), x[0], x)[0], {"x": np.ones(3)}, step=3
            ),
            "step 3 of a loop of 3 steps",
        ),
        (lambda: kj.explain(kj.sin, np.ones(3)), "values by the names"),  # type: ignore[arg-type]
    ],
)
def test_wrong_steps_are_errors(ask: Callable[[], Any], message: str):
    with pytest.raises(UsageError, match=message):
        ask()


def test_pictures_and_json_hold_the_steps():
    kj.random.seed(1)
    at = {"rnn": nn.RNN(3, 2), "x": drawn(5, 1, 3).astype(np.float32)}
    found = kj.explain(elman, at=at, step=1)
    texts = [each.text for each in ElementTree.fromstring(found.svg()).iter() if each.text]
    assert any("step 1 of 5" in each for each in texts)
    nodes = json.loads(found.json())["nodes"]
    [scan] = [node for node in nodes if node["op"] == "scan"]
    assert [each["op"] for each in scan["inside"]] == ["graph"]
    assert "<table" in found._repr_mimebundle_()["text/html"]


# ------------------------------------------------------------------- derivatives with values


def test_a_derivative_is_evaluated():
    found = kj.derive(lambda x, y: kj.sin(x) * y)
    at = found(x=0.5, y=2.0)
    assert at["x"].item() == pytest.approx(2 * np.cos(0.5), rel=1e-15)
    assert at["y"].item() == pytest.approx(np.sin(0.5), rel=1e-15)


def test_the_derivative_of_a_tensor_has_its_values():
    w = kj.tensor(np.array([1.0, 2.0]), name="w")
    found = kj.derive(kj.sum(w * w))
    assert found()["w"].tolist() == [2.0, 4.0] == found.gradients["w"].tolist()
    assert found(w=np.array([5.0, 6.0]))["w"].tolist() == [10.0, 12.0]


def test_derivatives_of_loops_and_branches_are_formulas_with_functions():
    def power(x: Tensor) -> Any:
        return kj.scan(lambda c, _: (c * x, None), x, length=2)[0]

    found = kj.derive(power)
    assert found.value == "scan(body1, x, x)[0]"
    assert found.where[0] == ("body1(carry, b)", "carry * b")
    assert found(x=2.0)["x"].item() == 12.0
    branch = kj.derive(lambda x: kj.cond(x > 0, lambda x: x * x, lambda x: -x, x))
    assert dict(branch.where)["yes1(a)"] == "a ** 2"
    assert (branch(x=3.0)["x"].item(), branch(x=-3.0)["x"].item()) == (6.0, -1.0)


def test_shapes_that_do_not_fit_a_derivative_are_errors():
    found = kj.derive(lambda x: kj.sum(x * x), shapes={"x": (3,)})
    assert found(x=[1.0, 2.0, 3.0])["x"].tolist() == [2.0, 4.0, 6.0]
    for at, message in (
        ({}, "no value for x"),
        ({"x": 1.0}, "shape"),
        ({"z": 1.0}, "no variable 'z'"),
    ):
        with pytest.raises(UsageError, match=message):
            found(**at)
