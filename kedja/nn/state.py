"""The state of modules: how training changes buffers and draws random numbers, without mutation.

    with nn.training(key) as state:
        y = model(x)
    model = state.updated(model)

Inside, layers compute as they do in training: batch norm uses the batch's statistics and records
new running ones, dropout drops. Outside, `model(x)` is inference. A module is never changed:
`updated` gives the model with the buffers that were recorded. Not here: how buffers are marked
(`module.py`). The page `docs/state.md` shows it under jit, grad, vmap and scan. Next: `norm.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from kedja.front import ambient, arithmetic, evaluate, random, tree
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value
from kedja.ground.dtypes import uint32
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.ir.graph import apply, locating

T = TypeVar("T")

_open: ContextVar[State | None] = ContextVar("kedja_state", default=None)

REOPEN = (
    "open nn.training inside the function that is traced, and return what it needs from there: "
    "`with nn.training(key) as state: y = model(x)`, then `return y, state.updated(model)`"
)


class _Recorded(NamedTuple):
    """A buffer (kept, so that its identity stays its own) and its newest value."""

    buffer: Any
    value: Tensor


class State:
    """What the layers that ran inside one `nn.training` recorded and drew."""

    def __init__(self, key: Tensor | None) -> None:
        self._key = key
        self._drawn = 0
        self._traces = ambient.traces()
        self._recorded: dict[int, _Recorded] = {}
        self._called = False

    def __repr__(self) -> str:
        return f"<state: {len(self._recorded)} buffers recorded, {self._drawn} keys drawn>"

    def updated(self, model: T) -> T:
        """The model with the buffers that were recorded here; it is itself where there are none.

        `model` is the one that was called, or one made from it whose buffers are still the same
        objects (as an optimiser's update is). Raises UsageError where no layer ran here at all, or
        where all that was recorded belongs to other models; TracingError outside of the trace
        (jit, vmap, scan …) in which this state was opened.
        """
        with locating():
            self._require_same_trace()
            if not self._called:
                raise UsageError(
                    "no layer ran inside this nn.training",
                    fix="call the model inside: `with nn.training(key) as state: y = model(x)`",
                )
            found, changed = self._replaced(model)
            if self._recorded and not changed:
                raise UsageError(
                    f"none of the {len(self._recorded)} buffers that were recorded belongs to "
                    f"this {type(model).__name__}",
                    fix="give the model that was called inside; " + REOPEN,
                )
            return found

    def carried(self, model: T) -> T:
        """As `updated`, for loops that train any model: nothing recorded is no error."""
        return self._replaced(model)[0]

    def _replaced(self, model: T) -> tuple[T, int]:
        """The model with what was recorded for it, and how many of its leaves that were."""
        leaves, structure = tree.flatten(model)
        self._settle()
        known = [self._recorded.get(id(leaf)) for leaf in leaves]
        count = sum(each is not None for each in known)
        if not count:
            return model, 0
        new = [leaf if k is None else k.value for leaf, k in zip(leaves, known, strict=True)]
        return tree.unflatten(structure, new), count

    def _settle(self) -> None:
        """Compute now what can be computed: buffers must not hold the graphs of all steps."""
        lazy = {
            place: each
            for place, each in self._recorded.items()
            if each.value.node.inputs and each.value.is_known
        }
        values = evaluate.values([each.value.node for each in lazy.values()])
        for (place, each), value in zip(lazy.items(), values, strict=True):
            self._recorded[place] = _Recorded(each.buffer, from_value(value))

    def _require_same_trace(self) -> None:
        if ambient.traces()[: len(self._traces)] != self._traces:
            raise TracingError(
                "this state was opened inside a function that was traced (by jit, vmap, scan …), "
                "and its values mean nothing outside",
                fix="call state.updated(model) inside that function, and return the model",
            )

    def next_key(self) -> Tensor:
        """The next key, derived from the one that `nn.training` was given."""
        if self._key is None:
            raise UsageError(
                "a layer draws random numbers in training, but nn.training has no key",
                fix="give one: `with nn.training(kj.random.key(0)) as state`, another each step",
            )
        _require_within(self, "draws random numbers", through_open=True)
        self._drawn += 1
        return random.fold_in(self._key, self._drawn)

    def latest(self, buffer: Any) -> Tensor:
        """What was last recorded for a buffer here, else the buffer itself."""
        found = self._recorded.get(id(buffer))
        return as_tensor(buffer) if found is None else found.value

    def record(self, buffer: Any, value: Any) -> None:
        """Make `value` what the buffer holds from now on; see `record` of this module."""
        _require_within(self, "records a buffer", through_open=False)
        old, new = as_tensor(buffer), as_tensor(value)
        if old.shape != new.shape:
            raise ShapeError(
                f"a buffer of shape {list(old.shape)} is recorded as {list(new.shape)}",
                fix="a buffer keeps its shape, so that the model keeps its structure",
            )
        node = apply("stop_gradient", arithmetic.cast(new, old.dtype).node)
        self._recorded[id(buffer)] = _Recorded(buffer, from_node(node))


def _require_within(state: State, what: str, through_open: bool) -> None:
    if not ambient.within(state._traces, through_open=through_open):
        raise TracingError(
            f"a layer {what} inside a function that is traced (by jit, vmap, scan …), while "
            "nn.training was opened outside of it",
            fix=REOPEN,
        )


# -------------------------------------------------------------------------------- for users


@contextmanager
def training(key: Tensor | None = None) -> Iterator[State]:
    """Inside, modules compute as they do in training; the state keeps what they record.

    `key` is what dropout and its like draw from, each call the next subkey in the order of the
    calls: the same key gives the same numbers. Give another key each step. An inner `training`
    is a state of its own. Raises UsageError for something that is no key.

    >>> import kedja as kj
    >>> from kedja import nn
    >>> norm = nn.BatchNorm1d(2)
    >>> with nn.training() as state:
    ...     y = norm([[1.0, 10.0], [3.0, 30.0]])
    >>> state.updated(norm).running_mean.tolist()
    [0.20000000298023224, 2.0]
    """
    state = State(None if key is None else _as_key(key))
    with _entered(state):
        yield state


@contextmanager
def inference() -> Iterator[None]:
    """Inside, modules compute as they do in inference, also within `training`.

    For instance a teacher's or a target network's answers in a training step.
    """
    with _entered(None):
        yield


@contextmanager
def _entered(state: State | None) -> Iterator[None]:
    token = _open.set(state)
    try:
        with ambient.mode(None if state is None else "training"):
            yield
    finally:
        _open.reset(token)


def _as_key(given: Any) -> Tensor:
    key = as_tensor(given)
    if key.shape != (2,) or key.dtype != uint32:
        raise UsageError(
            f"nn.training with a key of {key.node.type}",
            fix="make keys with kj.random.key(seed), and derive others with kj.random.fold_in",
        )
    return key


# ------------------------------------------------------------------ for writers of modules


def current() -> State | None:
    """The state that is open now; None in inference."""
    return _open.get()


def is_training() -> bool:
    """Whether modules compute as they do in training."""
    return _open.get() is not None


def next_key() -> Tensor:
    """A key for random numbers in training, another one in each call.

    Raises UsageError outside `nn.training`, and where it was opened without a key.
    """
    with locating():
        return _required("a key is drawn").next_key()


def latest(buffer: Any) -> Tensor:
    """A buffer's newest value: what this training recorded for it, else what the module holds."""
    state = _open.get()
    return as_tensor(buffer) if state is None else state.latest(buffer)


def record(buffer: Any, value: Any) -> None:
    """Make `value` the new value of a buffer of a module, as `self.running_mean`.

    It is cast to the buffer's dtype, and no gradient passes through it. The module itself stays
    as it is: `latest` finds the new value, `state.updated(model)` puts it in.
    Raises UsageError outside `nn.training`, ShapeError for a value of another shape.

    >>> import kedja as kj
    >>> from kedja import nn
    >>> class Counter(nn.Module):
    ...     count: nn.Buffer
    ...     def __call__(self, x):
    ...         if nn.is_training():
    ...             nn.record(self.count, nn.latest(self.count) + 1)
    ...         return x
    >>> counter = Counter(kj.tensor(0))
    >>> with nn.training() as state:
    ...     y = counter(counter(1.0))
    >>> state.updated(counter).count.item()
    2
    """
    with locating():
        _required("a buffer is recorded").record(buffer, value)


def _required(what: str) -> State:
    state = _open.get()
    if state is None:
        raise UsageError(
            f"{what} outside of nn.training", fix="ask first: `if nn.is_training(): …`"
        )
    return state


def note_call() -> None:
    """Called by every module when it is called: the state is used for something."""
    state = _open.get()
    if state is not None:
        state._called = True
