"""The network for tables: pieces by the formula, vectors of categories, folder, training."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data import prepare
from kedja.data.prepare import Target
from kedja.ground.errors import DataError, UsageError
from kedja.models.tabular import TabularConfig, TabularMLP, inputs_of
from kedja.train.tables import fit_table

EDGES = (-1.0, 0.0, 0.5, 3.0)


def pieces(x):
    """What the network makes of one number with `EDGES`."""
    model = TabularMLP(TabularConfig((EDGES,), hidden=()), key=kj.random.key(0))
    return model.encoded(kj.tensor([[x]], kj.float32)).tolist()[0]


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (-0.25, [0.75, 0.0, 0.0]),
        (0.0, [1.0, 0.0, 0.0]),
        (1.75, [1.0, 1.0, 0.5]),
        (-1e30, [-1.0, 0.0, 0.0]),
        (1e30, [1.0, 1.0, 2.0]),
    ],
)
def test_a_number_is_how_far_it_came_through_each_piece(x, found):
    np.testing.assert_allclose(pieces(x), found, rtol=1e-6)


def test_numbers_without_edges_stay_and_categories_are_rows():
    model = TabularMLP(TabularConfig((3, (), 2), hidden=(4,)), key=kj.random.key(0))
    seen = model.encoded(kj.tensor([[2.0, 7.0, 1.0]])).numpy()[0]
    first, second = (each.weight.numpy() for each in model.embeddings)
    np.testing.assert_array_equal(seen, [7.0, *first[2], *second[1]])


def test_the_pieces_of_a_column_become_a_few_numbers_of_its_own():
    config = TabularConfig((EDGES, 3, ()), hidden=(4,), width=2)
    model = TabularMLP(config, key=kj.random.key(0))
    seen = model.encoded(kj.tensor([[1.75, 1.0, -4.0]])).numpy()[0]
    weight, bias = (each.numpy() for each in (model.columns.weight, model.columns.bias))
    first = np.maximum(np.array([1.0, 1.0, 0.5]) @ weight[0] + bias[0], 0)
    second = np.maximum(-4.0 * weight[1, 0] + bias[1], 0)  # a number that is not parted
    vector = model.embeddings[0].weight.numpy()[1]
    np.testing.assert_allclose(seen, [*first, *second, *vector], rtol=1e-6)


def test_new_texts_are_nothing_at_first():
    model = TabularMLP(TabularConfig((3,), hidden=(4,)), key=kj.random.key(0))
    assert (model.embeddings[0].weight.numpy() != 0).any(axis=1).tolist() == [True, True, False]


@pytest.mark.parametrize("width", [0, 3])
def test_its_folder_gives_it_back(tmp_path, width):
    model = TabularMLP(TabularConfig((EDGES, 3), 2, (4,), width=width), key=kj.random.key(1))
    models.save(tmp_path, model)
    again = models.load(tmp_path).model
    x = kj.tensor([[0.3, 2.0], [2.0, 0.0]])
    assert again.config == model.config
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())


def test_edges_must_increase():
    with pytest.raises(UsageError, match="edges of input 1 do not increase"):
        TabularConfig(((), (0.0, 0.0)))


def test_a_preparation_says_what_the_inputs_are():
    columns = (
        prepare.fit_numeric("size", np.array([1.0, 2.0, np.nan, 4.0]), pieces=2),
        prepare.fit_coded("town", ["Ulm", None, "Bonn", "Ulm"]),
        prepare.fit_categorical("kind", ["a", "b", "a", "b"]),
    )
    found = inputs_of(prepare.TablePreparation(columns, Target("price")))
    assert [each if isinstance(each, int) else len(each) for each in found] == [3, 0, 3, 0, 0, 0]


def test_a_step_in_a_number_is_learned():
    x = np.random.default_rng(0).uniform(-1, 1, (600, 1)).astype(np.float32)
    y = np.where(np.abs(x[:, 0]) < 0.3, 1.0, -1.0)
    edges = tuple(np.linspace(-1, 1, 21).tolist())
    found = fit_table(x, y, TabularConfig((edges,), hidden=(16,)), epochs=30, progress=False)
    answers = found.model(kj.tensor([[0.0], [0.25], [0.35], [-0.8]])).numpy()[:, 0]
    np.testing.assert_array_equal(np.sign(answers), [1, 1, -1, -1])


def test_both_numbers_must_fit_beside_useless_ones():
    """Neither number says anything alone."""
    draw = np.random.default_rng(0)
    x = draw.uniform(-1, 1, (1500, 8)).astype(np.float32)
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0.2)).astype(np.int64)
    edges = tuple(np.linspace(-1, 1, 21).tolist())
    config = TabularConfig((edges,) * 8, 2, hidden=(64, 32), width=8)
    found = fit_table(x[:1000], y[:1000], config, epochs=25, progress=False)
    said = found.model(kj.tensor(x[1000:])).numpy().argmax(axis=1)
    assert np.mean(said == y[1000:]) > 0.9


def test_the_same_seed_gives_the_same_bits():
    x = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    config = TabularConfig(((), ()), hidden=(4,))
    runs = [fit_table(x, x[:, 0], config, epochs=2, seed=s, progress=False) for s in (3, 3, 4)]
    weights = [run.model.layers[0].weight.numpy() for run in runs]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="no rows"):
        fit_table(np.zeros((0, 1)), [], TabularConfig(((),)))
