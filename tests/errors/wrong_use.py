"""Sixty ways to use kedja wrongly, each a function whose failing line is its last one.

Next: `test_errors_wrong_use.py`, which prints what users are told.
"""

from __future__ import annotations

import numpy as np

import kedja as kj
from kedja import nn, optim

X = kj.ones((3, 4))
NET = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
IMAGE = kj.ones((2, 3, 8, 8))


# ------------------------------------------------------------------------- shapes and axes


def product_of_shapes_that_do_not_meet():
    return X @ kj.ones((3, 5))


def sum_of_shapes_that_do_not_broadcast():
    return X + kj.ones(3)


def axis_that_is_not_there():
    return kj.sum(X, axis=2)


def reshape_to_another_number_of_elements():
    return X.reshape(5, 3)


def concatenation_of_different_rows():
    return kj.concat([X, kj.ones((2, 5))], axis=0)


def transpose_of_a_vector():
    return kj.ones(3).T


def index_outside_an_axis():
    return X[3]


def too_many_indices():
    return X[0, 0, 0]


def index_by_a_float():
    return X[0.5]


def mask_of_another_shape():
    return X[kj.ones(2) > 0]


def assignment_to_an_element():
    X[0] = 1.0


def einsum_with_too_few_letters():
    return kj.einsum("i,j->ij", X, X)


def inverse_of_a_matrix_that_is_not_square():
    return kj.linalg.inv(X)


def cholesky_of_an_indefinite_matrix():
    return kj.linalg.cholesky(kj.tensor([[1.0, 2.0], [2.0, 1.0]])).numpy()


def unsqueezed_label_for_cross_entropy():
    return nn.cross_entropy(X, kj.zeros((3, 1), "int64"))


# --------------------------------------------------------------------------------- dtypes


def bits_of_floats():
    return X & X


def labels_that_are_floats():
    return nn.cross_entropy(X, kj.ones(3))


def complex_numbers():
    return kj.zeros(3, dtype="complex64")


def fourier_transform():
    return kj.fft.fft(X)


def unknown_dtype():
    return X.astype("float23")


def signed_and_unsigned_of_64_bits():
    return kj.ones(2, dtype="int64") + kj.ones(2, dtype="uint64")


def array_of_texts():
    return kj.tensor(["a", "b"])


def ragged_list():
    return kj.tensor([[1, 2], [3]])


# ------------------------------------------------------------------- layers and their data


def layer_with_too_few_features():
    return NET(kj.ones((3, 7)))


def convolution_with_other_channels():
    return nn.Conv2d(1, 8, 3)(IMAGE)


def convolution_larger_than_the_picture():
    return nn.Conv2d(3, 8, 11)(IMAGE)


def normalisation_of_another_width():
    return nn.LayerNorm(5)(X)


def batch_norm_of_one_example_in_training():
    with nn.training():
        return nn.BatchNorm1d(4)(X[:1])


def dropout_in_training_without_a_key():
    with nn.training():
        return nn.Dropout(0.5)(X)


def attention_whose_heads_do_not_divide_the_width():
    return nn.MultiheadAttention(10, 3)


def embedding_of_an_index_beyond_its_rows():
    return nn.Embedding(5, 2)(kj.tensor([7])).numpy()


def recurrent_net_with_other_inputs():
    return nn.LSTM(3, 4)(kj.ones((5, 2, 7)))


def layer_that_is_not_there():
    return NET[9]


def field_that_is_not_there():
    return NET[0].replace(wieght=kj.ones((5, 4)))


def state_dict_without_a_key():
    state = NET.state_dict()
    del state["0.bias"]
    return NET.load_state_dict(state)


def state_dict_of_another_shape():
    state = NET.state_dict() | {"0.weight": np.ones((4, 4), np.float32)}
    return NET.load_state_dict(state)


def optimiser_with_a_negative_rate():
    return optim.Adam(-1e-3)


def gradients_of_another_model():
    opt = optim.SGD(0.1)
    return opt.update(NET, {"w": X}, opt.init(NET))


def data_and_labels_of_different_length():
    x, y = np.ones((6, 4)), np.zeros(5, int)
    return kj.fit(NET, x, y, loss="cross_entropy", optimizer=optim.SGD(0.1))


def label_without_an_output():
    x, y = np.ones((6, 4)), np.full(6, 2)
    return kj.fit(NET, x, y, loss="cross_entropy", optimizer=optim.SGD(0.1))


def loss_that_becomes_nan():
    x = np.full((6, 4), 1e30)
    return kj.fit(NET, x, np.zeros((6, 2)), loss="mse", optimizer=optim.SGD(1e30), progress=False)


# ------------------------------------------------------------------------------ gradients


def gradient_of_a_vector():
    return kj.grad(lambda x: x * x)(kj.ones(3))


def gradient_with_respect_to_integers():
    return kj.grad(lambda x: x * 2.0)(3)


def backward_without_a_leaf():
    return kj.sum(X).backward()


def backward_twice():
    loss = kj.sum(kj.ones(3).requires_grad_() ** 2)
    loss.backward()
    loss.backward()


def tangents_of_another_shape():
    return kj.jvp(kj.sin, (X,), (kj.ones(3),))


def reverse_mode_through_a_while_loop():
    return kj.grad(lambda x: kj.while_loop(lambda c: c < 9, lambda c: c * x, x))(2.0)


# -------------------------------------------------------------------------------- tracing


def branch_on_a_value_inside_jit():
    return kj.jit(lambda x: x if x.sum() > 0 else -x)(X)


def number_of_a_value_inside_jit():
    return kj.jit(lambda x: float(x.sum()))(X)


def numpy_of_a_value_inside_jit():
    return kj.jit(lambda x: np.sort(x))(X)


def shape_that_depends_on_data_inside_jit():
    return kj.jit(lambda x: x[x > 0])(X)


def unique_inside_jit():
    return kj.jit(kj.unique_values)(X)


def tracer_that_leaked_out_of_jit():
    kept = []
    kj.jit(lambda x: kept.append(x * 2) or x)(X)
    return kept[0] + 1, kept[0].numpy()


def argument_that_jit_cannot_hash():
    return kj.jit(lambda x, names: x)(X, {"a", "b"})


def something_returned_that_is_no_array():
    return kj.jit(lambda x: (x, "done"))(X)


def donated_array_that_is_used_again():
    x = kj.ones(3) * 2
    kj.jit(lambda x: x + 1, donate="x")(x)
    return x.numpy()


def vmap_over_unequal_axes():
    return kj.vmap(lambda a, b: a + b)(X, kj.ones((5, 4)))


def scan_whose_carry_changes():
    return kj.scan(lambda c, x: (kj.concat([c, c]), x), kj.ones(1), X)


def cond_with_branches_that_differ():
    return kj.cond(True, lambda x: x, lambda x: x.sum(), X)


# ------------------------------------------------------------------------ names and options


def name_that_is_not_there():
    return kj.sofmax(X)


def backend_that_is_not_there():
    return kj.jit(kj.sin, backend="cuda")


def file_that_is_not_there():
    return kj.io.load("no-such-model.safetensors")


def key_from_a_negative_seed():
    return kj.random.key(-1)


CASES = [
    each
    for name, each in list(globals().items())
    if callable(each) and getattr(each, "__module__", "") == __name__ and not name.startswith("_")
]
