"""One of PyTorch's layers and ours, with the same arguments and weights.

Outputs, gradients of inputs and parameters, and what training records are compared in float64.
Not here: the layers that differ (`test_oracles_module_db.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kedja as kj
from kedja import nn
from tests.oracles.comparison import (
    Outcome,
    array,
    described,
    flat,
    gradients_of,
    some,
    tensors,
    torch,
    translated,
    weights,
)

RTOL, ATOL = 1e-9, 1e-11
FUNCTIONS = {getattr(torch.nn.functional, n): getattr(nn.functional, n) for n in ("relu", "gelu")}


@dataclass(frozen=True)
class Layer:
    """What differs for one layer.

    `skip` tells by reason which inputs use what kedja refuses; `make` makes our layer where the
    arguments have other names; `call` and `theirs` call ours and PyTorch's otherwise than usual.
    """

    skip: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    make: Callable[..., Any] | None = None
    call: Callable[..., Any] | None = None
    theirs: Callable[..., Any] | None = None


def layers() -> dict[str, Any]:
    """PyTorch's layers by their names. Importing them takes seconds."""
    from torch.testing._internal.common_modules import module_db  # takes seconds

    return {each.module_cls.__name__: each for each in module_db}


def inputs(info: Any, training: bool) -> list[Any]:
    """Arguments of the constructor and of the call, the same in each run."""
    torch.manual_seed(0)
    options = {"device": "cpu", "dtype": torch.float64, "requires_grad": True}
    return list(info.module_inputs_func(info, training=training, **options))


def outcome(info: Any, layer: Layer, training: bool, most: int | None = None) -> Outcome:
    """All inputs compared, or `most` of them, spread over those that are not skipped."""
    result, usable = Outcome(), []
    for given in inputs(info, training):
        reason = next((why for why, applies in layer.skip.items() if applies(given)), None)
        if reason is None:
            usable.append(given)
        else:
            result.skipped[reason] += 1
    for given in some(usable, most):
        try:
            compare(info.module_cls, layer, given, training)
            result.agreeing += 1
        except Exception as error:  # whatever it is, it is reported with the input
            parts = (given.constructor_input, given.forward_input)
            made, called = (described(*each.args, **each.kwargs) for each in parts)
            what = f"{type(error).__name__}: {error}".strip()
            result.differences.append(f"({made}) called with ({called})\n{what}")
    return result


def compare(kind: Any, layer: Layer, given: Any, training: bool) -> None:
    """AssertionError where outputs, gradients or buffers differ."""
    made, called = given.constructor_input, given.forward_input
    theirs = kind(*made.args, **made.kwargs).double().train(training)
    ours = our_layer(layer, kind.__name__, made, theirs)
    named = dict(called.kwargs)
    first = (named.pop("input"),) if "input" in named else ()  # by position in ours
    arguments = ((*first, *called.args), named)
    floats = list({id(t): t for t in tensors(arguments) if t.requires_grad}.values())
    expected = list(flat((layer.theirs or kind.__call__)(theirs, *arguments[0], **arguments[1])))
    followed = [i for i, each in enumerate(expected) if each.requires_grad]
    vectors = weights([expected[i] for i in followed])

    def answers(model: Any, *values: Any) -> Any:
        rest, named = translated(arguments, dict(zip(map(id, floats), values, strict=True)))
        found = list(flat((layer.call or type(model).__call__)(model, *rest, **named)))
        pairs = zip(followed, vectors, strict=True)
        return sum(kj.sum(found[i] * kj.tensor(vector)) for i, vector in pairs), found

    values = [kj.tensor(array(each)) for each in floats]
    found, gradients, state = differentiated(answers, ours, values, training, bool(followed))
    close("output", found, expected)
    close("state", *in_order(state, theirs.state_dict()))
    if followed:
        learned = dict(theirs.named_parameters())
        leaves = [*(learned[name] for name in sorted(learned)), *floats]
        right = gradients_of([expected[i] for i in followed], leaves, vectors)
        mine, _ = in_order(dict(gradients[0].parameters()), learned)
        close("gradient", [*mine, *gradients[1:]], right)


def in_order(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The values of both, which have the same names, in one order."""
    assert mine.keys() == theirs.keys()
    return [mine[name] for name in sorted(mine)], [theirs[name] for name in sorted(mine)]


def our_layer(layer: Layer, name: str, made: Any, theirs: Any) -> nn.Module:
    """Our layer with their weights."""
    args, named = translated((tuple(made.args), dict(made.kwargs)), {})
    args, named = functions(args), functions(named)
    ours = (layer.make or getattr(nn, name))(*args, **named)
    return ours.astype(kj.float64).load_state_dict(theirs.state_dict())


def functions(x: Any) -> Any:
    """Arguments with our functions for PyTorch's."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(functions, x))
    if isinstance(x, dict):
        return {k: functions(v) for k, v in x.items()}
    return FUNCTIONS.get(x, x) if callable(x) else x


def differentiated(
    answers: Any, model: nn.Module, values: Sequence[Any], training: bool, wanted: bool
) -> tuple[list[Any], Any, dict[str, Any]]:
    """Outputs, gradients of the model and of the values, and the state afterwards."""

    def run() -> tuple[Any, Any]:
        if not wanted:
            return answers(model, *values)[1], None
        places = tuple(range(1 + len(values)))
        gradients, found = kj.grad(answers, places, has_aux=True)(model, *values)
        return found, gradients

    if not training:
        return (*run(), model.state_dict())
    with nn.training(kj.random.key(0)) as state:
        found, gradients = run()
    return found, gradients, state.updated(model).state_dict()


def close(what: str, mine: Sequence[Any], theirs: Sequence[Any]) -> None:
    """Each of ours is as each of theirs, of the same shape."""
    assert len(mine) == len(theirs), f"{len(mine)} {what}s where PyTorch has {len(theirs)}"
    for place, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        one, other = array(one), array(other)
        assert one.shape == other.shape, f"{what} {place}: {one.shape}, PyTorch {other.shape}"
        np.testing.assert_allclose(one, other, RTOL, ATOL, err_msg=f"{what} {place}")
