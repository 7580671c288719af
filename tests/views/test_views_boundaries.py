"""Decision boundaries and kernel matrices as pictures: what is drawn, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
from kedja.ground.errors import ShapeError, UsageError
from kedja.views import compare_boundaries, figures, plot_boundaries, plot_kernel_matrix

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def right_of_the_middle(rows):
    return np.where(np.asarray(rows)[:, 0] > 0.5, "right", "left")


def test_the_plane_is_coloured_by_what_is_said():
    ax = plot_boundaries(right_of_the_middle, X, ["left", "left", "right", "right"], title="halves")
    assert ax.get_title() == "halves"
    points = [each.get_offsets() for each in ax.collections if len(each.get_offsets()) == 2]
    np.testing.assert_array_equal(np.concatenate(points), X)


def test_axes_that_are_given_are_drawn_on():
    mine = figures.axes()
    labels = ["left", "left", "right", "right"]
    assert plot_boundaries(right_of_the_middle, X, labels, ax=mine) is mine
    assert plot_kernel_matrix(np.eye(3), ax=mine) is mine


def test_panels_say_how_much_is_right():
    wrong = ["left", "right", "right", "right"]
    found = compare_boundaries({"one": right_of_the_middle, "two": right_of_the_middle}, X, wrong)
    assert [ax.get_title() for ax in found.axes] == ["one\n75.0% right", "two\n75.0% right"]


def test_a_kernel_matrix_is_sorted_by_class():
    values = np.arange(9.0).reshape(3, 3)
    ax = plot_kernel_matrix(values, ["b", "a", "b"])
    order = [1, 0, 2]
    np.testing.assert_array_equal(ax.images[0].get_array(), values[np.ix_(order, order)])
    assert [each.get_text() for each in ax.get_xticklabels()] == ["a", "b"]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ShapeError, match="kernel matrix of shape"):
        plot_kernel_matrix(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="labels of shape"):
        plot_kernel_matrix(np.eye(2), ["a"])
    with pytest.raises(ShapeError, match="rows \\(N, 2\\)"):
        plot_boundaries(right_of_the_middle, np.zeros((3, 4)), [0, 1, 2])
    with pytest.raises(UsageError, match="9 classes"):
        plot_boundaries(right_of_the_middle, np.zeros((9, 2)), range(9))
