"""kj.summary: layers, shapes, parameters, operations and memory of networks of all kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front.tensor import Tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.resnet import resnet18

Golden = Callable[[str, str], None]


def gpt() -> GPT2:
    """A GPT of a few thousand parameters."""
    return GPT2(GPT2Config(vocab_size=11, n_positions=4, n_embd=8, n_layer=3, n_head=2))


def test_the_lectures_network_has_81_parameters():
    table = kj.summary(nn.mlp([4, 5, 5, 3, 2], "sigmoid"))
    assert [row.parameters for row in table.rows if row.parameters] == [25, 30, 18, 8]
    assert table.parameters == 81 == table.total.parameters
    first = table.rows[0]
    assert (first.name, first.kind, first.shape) == ("0", "Linear", "weight [5, 4], bias [5]")
    assert str(table).splitlines()[8].split() == ["total", "Sequential", "81"]


def test_arrays_count_where_they_stand():
    class Net(nn.Module):
        body: nn.Module
        offset: kj.Tensor
        table: list[kj.Tensor]

    net = Net(nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU()), kj.ones(3), [kj.ones((2, 2))])
    table = kj.summary(net)
    assert [row.name for row in table.rows] == ["body", "body.0", "body.1"]
    assert table.total.shape == "offset [3], table.0 [2, 2]"
    assert [row.parameters for row in table.rows] == [6, 6, 0]
    assert table.parameters == net.num_parameters == 13


def test_a_perceptron_by_hand():
    found = kj.summary(nn.mlp([784, 128, 10]), (32, 784))
    first, relu, last = found.rows
    assert first.output == "float32[32, 128]" and last.output == "float32[32, 10]"
    assert first.flops == 2 * 32 * 784 * 128 + 32 * 128
    assert relu.flops == 32 * 128 and relu.parameters == 0
    assert found.flops == first.flops + relu.flops + last.flops
    assert found.bytes == 4 * found.parameters
    assert found.kept == first.kept == 32 * 128 * 4  # relu's sign is that of what went in


def test_a_gpt_by_table(golden: Golden):
    golden("summary_gpt", f"{kj.summary(gpt(), ((2, 3), 'int64'))}\n")


def test_resnet18_has_the_numbers_of_its_paper():
    found = kj.summary(resnet18(), (1, 3, 224, 224))
    assert found.parameters == 11_689_512 and found.buffers == 9_620
    assert found.flops == pytest.approx(2 * 1.82e9, rel=0.01)  # 1.8 billion multiply-adds
    assert found.rows[0].flops == 2 * 64 * 112 * 112 * 3 * 7 * 7


def test_repeated_layers_are_one_row_with_the_numbers_of_each():
    model = gpt()
    rows = {row.name: row for row in kj.summary(model, ((2, 3), "int64")).rows}
    blocks = rows["h.0 … h.2"]
    assert (blocks.times, blocks.kind, blocks.parameters) == (3, "Block", model.h[0].num_parameters)
    assert "h.0.attn.c_attn" in rows and "h.1.attn.c_attn" not in rows


@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_depth_leaves_out_what_is_nested_deeper(depth: int):
    whole, some = kj.summary(gpt()), kj.summary(gpt(), depth=depth)
    assert [row.name for row in some.rows] == [r.name for r in whole.rows if r.level < depth]
    assert some.total == whole.total


def test_several_inputs_by_place_and_by_name():
    class Two(nn.Module):
        scale: nn.Linear

        def __call__(self, x: Tensor, y: Tensor, *, factor: Tensor) -> Any:
            return {"sum": self.scale(x) + y, "product": x * factor}

    model = Two(nn.Linear(3, 3))
    found = kj.summary(model, (5, 3), np.ones((5, 3), np.float32), factor=kj.ones(3))
    assert found.total.output == "float32[5, 3], float32[5, 3]"
    assert kj.summary(model, x=(5, 3), y=(3,), factor=2.0).total.output == found.total.output


def test_inputs_in_containers():
    class Sums(nn.Module):
        bias: Tensor

        def __call__(self, parts: list[Tensor]) -> Any:
            return parts[0] + parts[1] + self.bias

    found = kj.summary(Sums(kj.ones(3)), [np.ones((2, 3), np.float32), np.ones(3, np.float32)])
    assert found.total.output == "float32[2, 3]"


def test_shapes_take_the_dtype_that_is_asked_for():
    double = nn.Linear(3, 2).astype(kj.float64)
    assert kj.summary(double, (4, 3), dtype="float64").rows == ()
    assert kj.summary(double, (4, 3), dtype=kj.float64).total.output == "float64[4, 2]"
    assert kj.summary(double, ((4, 3), kj.float64)).bytes == 8 * 8


def test_frozen_arrays_and_buffers_are_told_apart():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).at("0").freeze()
    found = kj.summary(net)
    assert (found.trainable, found.total.frozen, found.buffers) == (6 + 4, 9, 7)
    assert found.rows[0].frozen == 9 and found.rows[0].trainable == 0
    assert "10 trainable, 9 frozen, 7 in buffers" in str(found)


def test_a_tied_array_counts_once():
    layer = nn.Linear(4, 4)
    tied = nn.Sequential(layer, nn.Tanh(), nn.Linear(4, 4).replace(weight=layer.weight))
    found = kj.summary(tied, (2, 4))
    assert found.parameters == 16 + 4 + 4 == tied.num_parameters
    shared = kj.summary(nn.Sequential(layer, nn.Tanh(), layer), (2, 4))
    assert shared.parameters == 20 and shared.rows[0].calls == 2
    assert shared.rows[2].kind == "Linear (the same as 0)"
    assert shared.flops == found.flops


def test_a_layer_that_is_not_called_says_so():
    class Idle(nn.Module):
        used: nn.Linear
        idle: nn.Linear

        def __call__(self, x: Tensor) -> Tensor:
            return self.used(x)

    found = kj.summary(Idle(nn.Linear(2, 2), nn.Linear(2, 5)), (1, 2))
    assert found.rows[1].calls == 0 and "not called" in str(found)


def test_a_recurrent_network_counts_every_step():
    short, long = (kj.summary(nn.LSTM(3, 4), (n, 2, 3)).flops for n in (5, 50))
    assert long == 10 * short


def test_an_attention_keeps_its_scores():
    found = kj.summary(nn.MultiheadAttention(8, 2), *[(16, 1, 8)] * 3)
    assert found.kept >= 2 * 16 * 16 * 4


def test_nothing_is_computed_and_the_model_stays_as_it_is():
    model = nn.Linear(4, 4)
    before = [id(each) for _, each in model.parameters()]
    kj.summary(model, (1 << 20, 4))
    assert [id(each) for _, each in model.parameters()] == before


def test_data_json_and_notebook():
    found = kj.summary(nn.mlp([4, 3, 2]), (1, 4))
    data = json.loads(found.json())
    assert data["total"]["parameters"] == 23 and len(data["layers"]) == 3
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == str(found) and "<table" in bundle["text/html"]
    assert "multiply-add" in bundle["text/html"] and "http" not in bundle["text/html"]


def test_a_terminal_gets_colours_unless_it_says_no(monkeypatch: pytest.MonkeyPatch):
    found = kj.summary(nn.mlp([4, 3, 2]), (1, 4))
    assert "\x1b" not in repr(found)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in repr(found) and "\x1b[" not in str(found)
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in repr(found)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: kj.summary(lambda x: x, (1,)), UsageError, "kj.show shows functions"),
        (lambda: kj.summary(nn.Linear(2, 2), "x"), UsageError, "example input of type str"),
        (lambda: kj.summary(nn.Linear(2, 2), (3, 5)), ShapeError, "Linear"),
    ],
)
def test_wrong_questions_are_answered(ask: Any, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        ask()
