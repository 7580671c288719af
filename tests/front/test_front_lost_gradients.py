"""What grad cannot see is an error where it would be lost without a word, and fine elsewhere.

Not here: gradients themselves (`tests/autodiff`).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import GradientError

LOST = {
    "math": lambda x: x * math.exp(x),
    "numpy": lambda x: x * np.exp(x),
    "float": lambda x: x * float(x),
    "array": lambda x: kj.sum(kj.square(np.asarray([x, x]))),
    "later": lambda x: x * math.sin(2 * x + 1),
}


@pytest.mark.parametrize("f", LOST.values(), ids=LOST)
@pytest.mark.parametrize("through", [kj.grad, kj.value_and_grad, lambda f: kj.grad(kj.grad(f))])
def test_a_gradient_is_not_lost_in_math_or_numpy(f, through):
    with pytest.raises(GradientError, match="the gradient would not see it"):
        through(f)(1.0)


def test_forward_mode_loses_none_either():
    with pytest.raises(GradientError, match="the gradient would not see it"):
        kj.jvp(LOST["math"], (1.0,), (1.0,))


def test_what_is_not_differentiated_may_go_where_it_likes():
    rate = kj.tensor(2.0)
    seen = []

    def f(x, k):
        y = x * math.sqrt(k) * np.sqrt(rate)
        seen.append((y.item(), y.numpy().shape, f"{y:.1f}", int(kj.argmax(kj.stack([x, y])))))
        return y * y if y > 0 else y

    assert kj.grad(f)(1.0, kj.tensor(2.0)).item() == pytest.approx(8)
    assert seen == [(pytest.approx(2.0), (), "2.0", 1)]


def test_outside_of_grad_a_variable_is_a_number_too():
    w = kj.tensor(1.0, requires_grad=True)
    assert [math.exp(w), np.exp(w), float(kj.exp(w))] == pytest.approx([math.e] * 3)
    assert kj.grad(lambda x: x * math.exp(w))(1.0).item() == pytest.approx(math.e)
