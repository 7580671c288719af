"""A surface is drawn as high as its function says, and a path where it went."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import kedja as kj
from kedja import nn
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.views import plot_surface, surfaces

BOX = ((-2, 2), (-1, 3))


def test_heights_are_those_of_the_function():
    x, y = np.linspace(-2, 2, 7), np.linspace(-1, 3, 7)
    found = surfaces._heights(lambda x, y: x**2 + kj.exp(y), x, y)
    np.testing.assert_allclose(found, x[None, :] ** 2 + np.exp(y)[:, None], rtol=1e-12)


def test_the_path_is_drawn_from_its_start_to_its_end():
    path = [(2.0, 1.0), (1.0, 0.5), (0.0, 0.0)]
    ax = plot_surface(lambda x, y: x**2 + y**2, BOX, path=path, points=8)
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["path"] == [list(each) for each in path]
    assert (lines["start"], lines["end"]) == ([[2.0, 1.0]], [[0.0, 0.0]])
    assert (ax.get_xlim(), ax.get_ylim()) == BOX


def test_what_is_not_finite_is_left_blank():
    found = surfaces._heights(
        lambda x, y: kj.log(x) + y, np.linspace(-1, 1, 4), np.linspace(0, 1, 3)
    )
    assert found.mask.tolist() == [[True, True, False, False]] * 3


def test_the_loss_of_a_network_along_two_directions_of_its_weights():
    net, x = nn.Linear(2, 1, key=kj.random.key(0)), kj.ones((3, 2))

    def loss(a, b):
        return kj.mean(kj.square(kj.tree.map(lambda w: w * (1 + a) + b, net)(x)))

    ax = plot_surface(loss, ((-1, 1), (-1, 1)), points=3)
    assert ax.get_xlim() == (-1, 1)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"box": [(0, 1)]}, UsageError, "two axes"),
        ({"box": ((1, 0), (0, 1))}, UsageError, "the smaller first"),
        ({"box": ((0, np.inf), (0, 1))}, UsageError, "0 to inf"),
        ({"path": [1.0, 2.0]}, ShapeError, r"\[2\]"),
        ({"f": lambda x, y: kj.stack([x, y])}, ShapeError, "scalar"),
        ({"f": lambda x, y: kj.log(-1 - x * x) + y}, DataError, "nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(options, error, said):
    given = {"f": lambda x, y: x + y, "box": BOX, "points": 3, **options}
    with pytest.raises(error, match=said):
        plot_surface(given.pop("f"), given.pop("box"), **given)
