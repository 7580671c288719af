"""One row of the table, and the comparison of one sample of one of PyTorch's operators with ours.

A row says which public function answers to an operator and how PyTorch's arguments become its own.
Values, dtypes and vector-Jacobian products are compared. Not here: the rows (`offered.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import TracingError

torch = pytest.importorskip("torch")  # pytest looks for doctests here too

RTOL, ATOL = 1.3e-5, 1e-5  # PyTorch's own for float32, the relative one ten times as wide
ELSEWHERE = {"device", "layout", "memory_format", "requires_grad", "pin_memory"}  # no such things
NAMES = "int8 int16 int32 int64 uint8 float16 bfloat16 float32 float64 bool"
DTYPES = {getattr(torch, name): getattr(kj, name) for name in NAMES.split()}


@dataclass(frozen=True)
class Row:
    """`ours` takes PyTorch's arguments, tensors as kedja's. All else stands with a reason.

    `skip` tells by reason which samples use what kedja refuses. `theirs` replaces PyTorch's
    operator where its answer is not unique (signs of eigenvectors), by one of unique answers.
    `double` compares the same samples in float64, where float32 tells nothing.
    """

    ours: Callable[..., Any]
    skip: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    theirs: Callable[..., Any] | None = None
    rtol: float = RTOL
    atol: float = ATOL
    dtypes: bool = True
    gradients: bool = True
    double: bool = False
    why: str = ""

    def __post_init__(self) -> None:
        usual = (RTOL, ATOL, True, True, False)
        mine = (self.rtol, self.atol, self.dtypes, self.gradients, self.double)
        if mine != usual and not self.why:
            raise ValueError("a wider comparison without a reason")


@dataclass
class Outcome:
    """What became of the samples of one operator."""

    agreeing: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def name_of(op: Any) -> str:
    """The name of an operator in the table: `div.floor_rounding`."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def operators() -> dict[str, Any]:
    """PyTorch's operators by their names, each variant for itself: `div.floor_rounding`."""
    from torch.testing._internal.common_methods_invocations import op_db  # takes seconds

    return {name_of(op): op for op in op_db}


def samples(op: Any, double: bool = False) -> list[Any]:
    """The float32 samples, as float64 if so wished; of int64 where an operator has no floats."""
    torch.manual_seed(0)
    floats = torch.float32 in op.supported_dtypes("cpu")
    dtype = torch.float32 if floats else torch.int64
    found = list(op.sample_inputs("cpu", dtype, requires_grad=floats and op.supports_autograd))
    return [doubled(each) for each in found] if double else found


def doubled(sample: Any) -> Any:
    """A sample whose float32 tensors are float64 leaves."""

    def twice(x: Any) -> Any:
        if isinstance(x, torch.Tensor) and x.dtype == torch.float32:
            return x.detach().double().requires_grad_(x.requires_grad)
        return torch.float64 if x is torch.float32 else x

    return sample.transform(twice)


def outcome(op: Any, row: Row, most: int | None = None, compiled: bool = False) -> Outcome:
    """All samples compared, or `most` of them, spread over those that the row does not skip."""
    result, usable = Outcome(), []
    for sample in samples(op, row.double):
        reason = next((why for why, applies in row.skip.items() if applies(sample)), None)
        if reason is None:
            usable.append(sample)
        else:
            result.skipped[reason] += 1
    for sample in some(usable, most):
        try:
            compare(op, row, sample, compiled)
            result.agreeing += 1
        except TracingError as error:
            if not compiled:
                raise
            result.skipped[error.what] += 1
        except Exception as error:  # whatever it is, it is reported with the sample
            text = f"{type(error).__name__}: {error}".strip()
            made = described(sample.input, *sample.args, **sample.kwargs)
            result.differences.append(f"{made}\n{text}")
    return result


def some(given: list[Any], most: int | None) -> list[Any]:
    """All of a list, or `most` of it, spread over it."""
    if most is None or len(given) <= most:
        return given
    return [given[i] for i in np.linspace(0, len(given) - 1, most).astype(int)]


# ----------------------------------------------------------------------------- one sample


def compare(op: Any, row: Row, sample: Any, compiled: bool = False) -> None:
    """AssertionError where values, dtypes or vector-Jacobian products differ."""
    arguments = (sample.input, tuple(sample.args), dict(sample.kwargs))
    expected = list(flat((row.theirs or op)(sample.input, *sample.args, **sample.kwargs)))
    followed = [i for i, e in enumerate(expected) if getattr(e, "requires_grad", False)]
    followed = followed if row.gradients else []
    vectors = weights([expected[i] for i in followed])
    floats = list({id(t): t for t in tensors(arguments) if t.is_floating_point()}.values())

    def answers(*inputs: Any) -> Any:
        return ours(row, arguments, floats, inputs, followed, vectors)

    inputs = [kj.tensor(array(each)) for each in floats]
    found, gradients = kj.jit(answers)(*inputs) if compiled else answers(*inputs)
    assert len(found) == len(expected), f"{len(found)} results where PyTorch has {len(expected)}"
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert_close(row, f"result {place}", one, other)
    if followed:
        leaves = [each for each in floats if each.requires_grad]
        theirs = gradients_of([expected[i] for i in followed], leaves, vectors)
        for place, (one, other) in enumerate(zip(gradients, theirs, strict=True)):
            assert_close(row, f"gradient {place}", one, other)


def ours(
    row: Row,
    arguments: Any,
    floats: Sequence[Any],
    inputs: Sequence[Any],
    followed: Sequence[int],
    vectors: Sequence[np.ndarray],
) -> tuple[list[Any], tuple[Any, ...]]:
    """Our results, and the products of the vectors with their Jacobians."""
    given = dict(zip(map(id, floats), inputs, strict=True))
    leaves = [id(each) for each in floats if each.requires_grad]
    found: list[Any] = []

    def function(*values: Any) -> tuple[Any, ...]:
        now = {**given, **dict(zip(leaves, values, strict=True))}
        first, rest, named = translated(arguments, now)
        found[:] = flat(row.ours(first, *rest, **named))
        return tuple(found[i] for i in followed)

    if not followed:
        function(*(given[each] for each in leaves))
        return found, ()
    _, pull = kj.vjp(function, *(given[each] for each in leaves))
    return found, pull(tuple(kj.tensor(each) for each in vectors))


def weights(outputs: Sequence[Any]) -> list[np.ndarray]:
    """A vector for each output, which no symmetry cancels."""
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, tuple(e.shape)).astype(array(e).dtype) for e in outputs]


def gradients_of(
    outputs: Sequence[Any], leaves: Sequence[Any], vectors: Sequence[np.ndarray]
) -> list[Any]:
    """PyTorch's products of vectors and Jacobians; zeros for a leaf that no output depends on."""
    given = [torch.from_numpy(each) for each in vectors]
    found = torch.autograd.grad(outputs, leaves, given, allow_unused=True)
    pairs = zip(found, leaves, strict=True)
    return [torch.zeros_like(leaf) if each is None else each for each, leaf in pairs]


def assert_close(row: Row, what: str, one: Any, other: Any) -> None:
    """One result of ours and one of PyTorch's."""
    one, other = array(one), array(other)
    if row.dtypes:
        assert one.dtype == other.dtype, f"{what} of {one.dtype} where PyTorch has {other.dtype}"
    assert one.shape == other.shape, f"{what} {one.shape} where PyTorch has {other.shape}"
    np.testing.assert_allclose(one, other, row.rtol, row.atol, err_msg=what)


# ------------------------------------------------------------------- PyTorch's arguments


def array(x: Any) -> np.ndarray:
    """The value of a tensor of either, or of a number; bfloat16 as float32."""
    if isinstance(x, torch.Tensor):
        x = x.detach().resolve_conj()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    value = np.asarray(x)
    return value.astype(np.float32) if value.dtype == kj.bfloat16 else value


def tensors(x: Any) -> Iterator[Any]:
    """PyTorch's tensors in nested arguments."""
    if isinstance(x, torch.Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for each in x:
            yield from tensors(each)
    elif isinstance(x, dict):
        yield from tensors(list(x.values()))


def translated(x: Any, given: Mapping[int, Any]) -> Any:
    """Arguments with kedja's tensors and dtypes for PyTorch's; `given` stands for the leaves."""
    if isinstance(x, torch.Tensor):
        return given[id(x)] if id(x) in given else kj.tensor(array(x).copy())
    if isinstance(x, torch.dtype):
        return DTYPES.get(x, x)
    if isinstance(x, dict):
        return {k: translated(v, given) for k, v in x.items() if k not in ELSEWHERE}
    if isinstance(x, (list, tuple)):
        kind = list if isinstance(x, list) else tuple
        return kind(translated(each, given) for each in x)
    return x


def flat(x: Any) -> Iterator[Any]:
    """The results in nested tuples; None is left out."""
    if isinstance(x, (list, tuple)):
        for each in x:
            yield from flat(each)
    elif x is not None:
        yield x


def described(*args: Any, **named: Any) -> str:
    """Arguments in one line."""
    return ", ".join([*map(shown, args), *(f"{k}={shown(v)}" for k, v in named.items())])


def shown(x: Any) -> str:
    """A tensor by its dtype and shape, anything else as it is printed."""
    if isinstance(x, torch.Tensor):
        return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"
    if isinstance(x, (list, tuple)):
        return f"[{', '.join(map(shown, x))}]"
    return repr(x)


def same(home: Any, names: str, *options: Any, **others: Any) -> dict[str, Row]:
    """Rows of operators that have the same name and arguments in both."""
    return {name: Row(getattr(home, name), *options, **others) for name in names.split()}
