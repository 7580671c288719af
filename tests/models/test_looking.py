"""Maps of attention: their figures, as text, and as a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import DataError, UsageError
from kedja.models import heat
from kedja.models.looking import Attention, Map, attention

TEXT = "to be"


@pytest.fixture(scope="module")
def found() -> Attention:
    model = kj.models.GPT2(kj.models.GPT2Config(11, 8, 12, 2, 3))
    return attention(model, kj.tensor([[1, 2, 3, 4, 5]]), queries=TEXT)


def of(weights: list[list[float]]) -> Map:
    """A map without a mask."""
    table = np.array(weights)
    return Map("h", 0, table, table)


def test_every_head_has_a_map_whose_rows_are_distributions(found: Attention) -> None:
    assert [(each.layer, each.head) for each in found.maps] == [
        (layer, head) for layer in ("h.0.attn", "h.1.attn") for head in range(3)
    ]
    for each in found.maps:
        np.testing.assert_allclose(each.weights.sum(-1), 1, rtol=1e-6)
        np.testing.assert_allclose(each.unmasked.sum(-1), 1, rtol=1e-6)
        assert not np.triu(each.weights, 1).any()
        assert np.triu(each.unmasked, 1).any()
        assert each.is_masked


def test_the_masked_map_is_the_unmasked_one_of_what_is_left(found: Attention) -> None:
    for each in found.maps:
        left = np.tril(each.unmasked)
        np.testing.assert_allclose(each.weights, left / left.sum(-1, keepdims=True), rtol=1e-5)


def test_figures_of_a_head() -> None:
    before = of([[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert (before.share(-1), before.share(0), before.bits) == (1, 1 / 3, 0)
    assert before.reach == pytest.approx(2 / 3)
    assert before.strongest == (2, 1)
    spread = of([[0.25] * 4] * 4)
    assert spread.bits == pytest.approx(2)
    assert not spread.is_masked


def test_one_layer_one_head_and_both(found: Attention) -> None:
    assert {each.layer for each in found.of(layer=1).maps} == {"h.1.attn"}
    assert {each.head for each in found.of(head=2).maps} == {2}
    assert len(found.of(1, 2).maps) == 1
    with pytest.raises(UsageError, match="there is no head 3"):
        found.of(head=3)
    with pytest.raises(UsageError, match="there is no layer -1"):
        found.of(layer=-1)


def test_text_has_a_row_for_each_query_and_both_panels(found: Attention) -> None:
    text = found.of(0, 0).text(unmasked=True)
    lines = text.splitlines()
    assert lines[0] == "h.0.attn, head 0"
    assert "without the mask"[:5] in lines[1]
    assert lines[2].split() == ["to␣be", "to␣be"]
    assert [line.split()[0] for line in lines[3:]] == list("to␣be")


def test_the_table_names_the_strongest_pair() -> None:
    weights = [[1, 0, 0], [0.5, 0.5, 0], [0.1, 0.8, 0.1]]
    found = Attention(("a", " b", "c"), ("a", " b", "c"), (of(weights),))
    assert "c → ␣b 80%" in str(found)


def test_the_picture_is_xml_with_a_panel_for_each_head(found: Attention) -> None:
    root = ElementTree.fromstring(found.svg())
    space = "{http://www.w3.org/2000/svg}"
    titles = [each.text for each in root.iter(f"{space}text") if each.get("class") == "title"]
    assert len(titles) == 6
    both = ElementTree.fromstring(found.svg(unmasked=True))
    assert len(list(both.iter(f"{space}g"))) == 12
    assert set(found._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}


def test_tokens_are_escaped_in_the_picture() -> None:
    found = Attention(("<&>",), ("<&>",), (of([[1.0]]),))
    assert "&lt;&amp;&gt;" in found.svg()
    ElementTree.fromstring(found.svg())


def test_data_is_json(found: Attention) -> None:
    data = json.loads(json.dumps(found.data()))
    assert data["queries"] == list(TEXT)
    assert len(data["maps"]) == 6


def test_what_does_not_attend_or_fit_is_an_error() -> None:
    with pytest.raises(UsageError, match="nothing in this model attends"):
        attention(kj.nn.Linear(3, 2), kj.ones((1, 3)), queries="abc")
    model = kj.models.GPT2(kj.models.GPT2Config(11, 8, 12, 1, 3))
    with pytest.raises(DataError, match="2 queries"):
        attention(model, kj.tensor([[1, 2, 3]]), queries="ab")


def test_shades_rise_with_the_weight() -> None:
    order = [heat.SHADES.index(heat.shade(w)) for w in np.linspace(0, 1, 50)]
    assert order == sorted(order)
    assert (order[0], order[-1]) == (0, 5)
    assert heat.shade(float("nan")) == " "
