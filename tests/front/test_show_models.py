"""kj.show of whole networks: folded by module, in every format, and fast; loops and branches."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ir.show import GraphView
from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.resnet import ResNet

Golden = Callable[[str, str], None]
TOKENS = np.arange(6, dtype=np.int64).reshape(2, 3)
PICTURES = np.ones((2, 3, 32, 32), np.float32)


def gpt(layers: int = 3) -> GPT2:
    """A GPT of a few thousand parameters."""
    kj.random.seed(0)
    return GPT2(GPT2Config(vocab_size=11, n_positions=4, n_embd=8, n_layer=layers, n_head=2))


def resnet() -> ResNet:
    """A ResNet-18 of a few channels."""
    kj.random.seed(0)
    return ResNet([2, 2, 2, 2], classes=5, width=4)


def spread(model: GPT2, tokens: Tensor) -> Any:
    """A loss of few nodes."""
    return kj.mean(kj.square(model(tokens)))


def trained(model: GPT2, **options: Any) -> GraphView:
    """The graph of the loss and of its gradient by every array."""
    step = kj.value_and_grad(spread)
    return kj.show(
        lambda model, tokens: step(model, tokens), {"model": model, "tokens": TOKENS}, **options
    )


# -------------------------------------------------------------------------------- whole models


def test_a_gpt_is_readable(golden: Golden) -> None:
    view = kj.show(gpt(), at={"tokens": TOKENS})
    golden("show_gpt", f"{view.text(sources=False)}\n")
    assert len(view.text().splitlines()) < 50 < len(view.order)


def test_a_part_of_a_gpt_can_be_unfolded(golden: Golden) -> None:
    view = kj.show(gpt(), at={"tokens": TOKENS}, depth=1, expand=["h.1.attn"])
    golden("show_gpt_attention", f"{view.text(sources=False)}\n")
    text = str(view)
    assert "= attention(" in text and "h.1.mlp(" in text and "gelu(" not in text


def test_the_gradient_of_a_gpt_is_readable(golden: Golden) -> None:
    view = trained(gpt(), depth=1)
    golden("show_gpt_gradient", f"{view.text(sources=False)}\n")
    assert "(h.2 … h.0).backward(" in str(view) and "h.0 … h.2(" in str(view)


def test_a_resnet_is_readable(golden: Golden) -> None:
    golden("show_resnet", kj.show(resnet(), {"x": PICTURES}, depth=2).text(sources=False) + "\n")


def test_the_parameters_of_all_blocks_are_those_of_the_model() -> None:
    model = gpt()
    [whole] = kj.show(model, at={"tokens": TOKENS}).data()["blocks"]
    assert whole["class"] == "GPT2" and whole["parameters"] == model.num_parameters
    blocks = [each for each in whole["blocks"] if each["class"] == "Block"]
    assert [each["parameters"] for each in blocks] == [model.h[0].num_parameters] * 3
    [net] = kj.show(resnet(), {"x": PICTURES}).data()["blocks"]
    assert net["parameters"] == resnet().num_parameters


def test_a_closed_model_is_one_row() -> None:
    text = kj.show(gpt(), at={"tokens": TOKENS}, depth=0).text(sources=False)
    assert len(text.splitlines()) == 3 and "= GPT2(tokens) " in text


def test_a_model_is_shown_alike_however_it_comes() -> None:
    """As a module, as an argument, from a closure, as a tensor, compiled."""
    model = gpt()
    ways = [
        kj.show(model, at={"tokens": TOKENS}),
        kj.show(lambda model, tokens: model(tokens), at={"model": model, "tokens": TOKENS}),
        kj.show(lambda tokens: model(tokens), at={"tokens": TOKENS}),
        kj.show(model(kj.tensor(TOKENS, name="tokens"))),
    ]
    with kj.scope(tier="interpret"):
        compiled = kj.jit(lambda model, tokens: model(tokens))
        compiled(model, TOKENS)
    ways.append(kj.show(compiled))
    texts = [re.sub(r"%\d+|model\.|constant|input", "", v.text(sources=False)) for v in ways]
    assert len({re.sub(" +", " ", text) for text in texts}) == 1, texts


def test_the_forward_and_the_backward_graph_of_twelve_layers_are_shown_in_two_seconds() -> None:
    """The graph of GPT-2-small's training step, with narrower arrays."""
    view = trained(gpt(12))
    assert len(view.order) > 2500
    start = time.process_time()
    for shown in (view, trained(gpt(12), depth=9)):
        assert len(str(shown)) and len(shown.dot()) and len(shown.json())
        ElementTree.fromstring(shown.svg())
        assert len(shown.html()) < 2_000_000
    assert time.process_time() - start < 2 * 2


def test_the_picture_of_a_graph_without_modules_is_fast_too() -> None:
    def deep(x: Tensor) -> Tensor:
        for _ in range(400):
            x = kj.sin(x) * x + x
        return x

    view = kj.show(kj.grad(deep))
    assert len(view.order) > 2500
    start = time.process_time()
    ElementTree.fromstring(view.svg())
    assert time.process_time() - start < 2


# ------------------------------------------------------------------------------------- formats


def test_a_notebook_gets_text_a_picture_and_lists_to_fold() -> None:
    bundle = trained(gpt())._repr_mimebundle_(include=None, exclude=None)
    html = bundle["text/html"]
    assert bundle["text/plain"].startswith("input tokens")
    assert "<svg" in html and "<details><summary>" in html and "Attention" in html
    for word in ("<script", "url(", "@import", "href", "src="):
        assert word not in html
    assert html.replace("http://www.w3.org/2000/svg", "").count("http") == 0


def test_dot_has_a_cluster_for_each_open_module() -> None:
    text = kj.show(gpt(), at={"tokens": TOKENS}, depth=2).dot()
    assert text.count("subgraph cluster_") == 5  # the model, wte, wpe, the run of blocks, ln_f
    assert text.count("{") == text.count("}")
    drawn = set(re.findall(r"^ *(n\d+) \[", text, re.MULTILINE))
    ends = [end for pair in re.findall(r"^  (n\d+) -> (n\d+);", text, re.MULTILINE) for end in pair]
    assert set(ends) <= drawn


def test_json_has_nodes_blocks_and_ways_back() -> None:
    data = json.loads(trained(gpt()).json())
    kinds = [(each["class"], each["back"]) for each in data["blocks"]]
    assert kinds == [("GPT2", 0), ("GPT2", 1)]
    assert {node["back"] for node in data["nodes"]} == {0, 1}
    inside = [node for each in data["blocks"] for node in each["nodes"]]
    assert len(inside) == len(set(inside))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expand": ["h.1.atn"]}, "did you mean 'h.1.attn'"),
        ({"expand": "nothing"}, "its parts are h.0, h.0.attn"),
        ({"expand": ["h.7"]}, "nothing is called 'h.7'"),
    ],
)
def test_an_unknown_path_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        kj.show(gpt(), {"tokens": TOKENS}, **options)


def test_values_are_given_by_name() -> None:
    with pytest.raises(UsageError, match="values by the names"):
        kj.show(gpt(), TOKENS)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- graphs inside ops


def looping(x: Tensor, w: Tensor) -> Any:
    """A small recurrence with a branch in its step."""

    def step(h: Tensor, now: Tensor) -> Any:
        h = kj.cond(kj.sum(h) > 1, lambda h: h - h @ w, lambda h: kj.tanh(h @ w), h)
        return h + now, h

    return kj.scan(step, kj.zeros(2, dtype=kj.float64), x)


AT = {"x": np.ones((4, 2)), "w": np.eye(2)}


def test_loops_and_branches_show_their_own_nodes(golden: Golden) -> None:
    view = kj.show(looping, at=AT)
    golden("show_scan", f"{view.text(sources=False)}\n")
    assert "body(carry, x, w):" in str(view) and "yes(" in str(view)


def test_loops_are_folded_and_opened_by_name() -> None:
    closed = kj.show(looping, AT, depth=0)
    assert "tanh(" not in str(closed) and re.search(r"body\(carry, x, w\) +# 4 nodes", str(closed))
    opened = kj.show(looping, AT, depth=0, expand=["scan"]).text()
    assert "greater(" in opened and "tanh(" not in opened
    assert "tanh(" in kj.show(looping, AT, depth=0, expand=["scan", "cond"]).text()


def test_every_format_shows_what_is_inside() -> None:
    view = kj.show(looping, at=AT)
    texts = [each.text for each in ElementTree.fromstring(view.svg()).iter() if each.text]
    assert "tanh" in texts and "body(carry, x, w)" in texts
    assert 'label="body(carry, x, w)"' in view.dot()
    scan = next(node for node in view.data()["nodes"] if node["op"] == "scan")
    assert scan["shape"] is None and [part["shape"] for part in scan["parts"]] == [[2], [4, 2]]
    inside = scan["graphs"]["body"]["nodes"]
    branches = next(node for node in inside if node["op"] == "cond")["graphs"]
    assert set(branches) == {"yes", "no"}
    json.loads(view.json())


def test_gradients_of_loops_are_shown() -> None:
    view = kj.show(kj.grad(lambda x, w: kj.sum(looping(x, w)[1])), at=AT)
    assert str(view).count("scan(") >= 2
    for text in (view.svg(), view.html(), view.dot(), view.json()):
        assert "body" in text


@pytest.mark.parametrize(
    "f",
    [
        lambda x: kj.while_loop(lambda c: c < 10, lambda c: c * 2, x),
        lambda x: kj.checkpoint(lambda x: kj.sin(kj.sin(x)))(x),
        lambda x: kj.vmap(lambda y: kj.cond(y > 0, kj.sin, kj.cos, y))(kj.stack([x, -x])),
        lambda x: kj.grad(kj.checkpoint(lambda x: kj.sin(x)))(x),
        lambda x: kj.linalg.qr(kj.stack([kj.stack([x, x]), kj.stack([x, -x])])).Q,
    ],
)
def test_ops_with_several_outputs_or_graphs_are_shown(f: Callable[[Tensor], Any]) -> None:
    view = kj.show(f)
    assert len(str(view).splitlines()) > 1
    for text in (view.svg(), view.html(), view.dot(), view.json(), kj.show(f, depth=1).text()):
        assert text
    ElementTree.fromstring(view.svg())


@kj.custom_jvp
def doubled(x: Tensor) -> Tensor:
    """A function with a rule of its own."""
    return x + x


doubled.defjvp(lambda primals, tangents: (doubled(*primals), 3.0 * tangents[0]))


def test_a_rule_of_ones_own_is_named() -> None:
    text = kj.show(doubled).text(sources=False)
    assert "custom(%0, own=doubled)" in text and "body(x):" in text
    assert '"own": "doubled"' in kj.show(doubled).json()
