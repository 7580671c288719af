"""Products that read rows of a table through an index: the same bits as products of a copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import kedja as kj

RNG = np.random.default_rng(11)
Product = Callable[[kj.Tensor, kj.Tensor], kj.Tensor]

# What is multiplied: rows of a table and another factor, of (picked, width) and the shape given.
FORMS: dict[str, tuple[Product, Callable[[int, int], tuple[int, int]]]] = {
    "rows @ w": (lambda rows, w: rows @ w, lambda picked, width: (width, 40)),
    "rows @ w.T": (lambda rows, w: rows @ w.T, lambda picked, width: (40, width)),
    "rows @ few.T": (lambda rows, w: rows @ w.T, lambda picked, width: (5, width)),
    "rows @ wide": (lambda rows, w: rows @ w, lambda picked, width: (width, 520)),
    "rows.T @ g": (lambda rows, g: rows.T @ g, lambda picked, width: (picked, 24)),
    "rows.T @ g.T": (lambda rows, g: rows.T @ g.T, lambda picked, width: (3, picked)),
    "g.T @ rows": (lambda rows, g: g.T @ rows, lambda picked, width: (picked, 33)),
    "g @ rows": (lambda rows, g: g @ rows, lambda picked, width: (6, picked)),
}
# (Results of up to four rows are summed in another order where nothing is picked.)
# Rows of the table, rows picked, their length: odd ones, colliding ones, more than the caches hold.
SIZES = [(9, 7, 17), (50, 64, 100), (30, 12, 1024), (700, 530, 530)]


def random(shape: tuple[int, ...], dtype: str = "float32") -> kj.Tensor:
    return kj.asarray(RNG.standard_normal(shape).astype(dtype))


def indices(table: int, picked: int, dtype: str) -> kj.Tensor:
    return kj.asarray(RNG.integers(0, table, picked).astype(dtype))


def both(product: Product, *given: kj.Tensor) -> list[np.ndarray]:
    """The product without a copy of the rows, and with one; checks that this is so."""

    def alone(table: kj.Tensor, index: kj.Tensor, other: kj.Tensor) -> kj.Tensor:
        return product(kj.take(table, index, axis=0), other)

    def beside(table: kj.Tensor, index: kj.Tensor, other: kj.Tensor) -> tuple[kj.Tensor, ...]:
        rows = kj.take(table, index, axis=0)
        return product(rows, other), rows

    found = []
    with kj.scope(tier="compile", use_cache=False):
        for function, copies in ((kj.jit(alone), False), (kj.jit(beside), True)):
            with kj.profile() as profile:
                made = function(*given)
                found.append((made[0] if copies else made).numpy())
            assert any("take" in kernel.name for kernel in profile.kernels) == copies
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_bits_without_a_copy(form, size):
    product, shape = FORMS[form]
    table, picked, width = size
    given = random((table, width)), indices(table, picked, "uint32"), random(shape(picked, width))
    straight, copied = both(product, *given)
    np.testing.assert_array_equal(straight, copied)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "uint64"])
def test_every_kind_of_index(dtype):
    straight, copied = both(
        lambda rows, w: rows @ w, random((20, 32)), indices(20, 30, dtype), random((32, 40))
    )
    np.testing.assert_array_equal(straight, copied)


def test_indices_outside_are_held_inside_the_table():
    index = kj.asarray(np.array([-5, 0, 3, 99, 2**40, 1, -(2**40), 2], np.int64))
    for product in (lambda rows, g: rows.T @ g, lambda rows, g: g.T @ rows):
        straight, copied = both(product, random((4, 32)), index, random((8, 24)))
        np.testing.assert_array_equal(straight, copied)


def test_rows_of_float64_and_images():
    index = indices(12, 9, "int64")
    flat = both(
        lambda rows, w: rows @ w, random((12, 40), "float64"), index, random((40, 8), "float64")
    )
    images = both(
        lambda x, w: kj.reshape(x, (9, 20)) @ w, random((12, 4, 5)), index, random((20, 8))
    )
    for straight, copied in (flat, images):
        np.testing.assert_array_equal(straight, copied)


def test_both_operands_may_be_picked():
    @kj.jit
    def gram(table, other, index, places):
        return kj.take(table, index, axis=0).T @ kj.take(other, places, axis=0)

    table, other = random((90, 40)), random((80, 24))
    index, places = indices(90, 50, "int32"), indices(80, 50, "int64")
    with kj.scope(tier="compile", use_cache=False), kj.profile() as profile:
        found = gram(table, other, index, places).numpy()
    assert not any("take" in kernel.name for kernel in profile.kernels)
    rows, others = table.numpy()[index.numpy()], other.numpy()[places.numpy()]
    np.testing.assert_allclose(found, rows.T @ others, rtol=1e-4, atol=1e-4)


def test_short_rows_and_columns_of_the_result_are_copied():
    short = random((20, 8)), indices(20, 30, "int32"), random((8, 40))
    turned = random((20, 32)), indices(20, 30, "int32"), random((40, 32))
    forms: list[Product] = [lambda rows, w: rows @ w, lambda rows, x: x @ rows.T]
    for product, given in zip(forms, (short, turned), strict=True):
        with kj.scope(tier="compile", use_cache=False), kj.profile() as profile:
            made = kj.jit(lambda t, i, w, f=product: f(kj.take(t, i, axis=0), w))(*given)
            made.numpy()
        assert any("take" in kernel.name for kernel in profile.kernels)
