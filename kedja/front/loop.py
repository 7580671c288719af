"""A step function run many times inside one native call: what `fit` stands on.

`step(carry, fixed) -> carry` is traced once. The carry is held in buffers that are updated in
place; nothing goes through Python between steps. Cutting a run into several calls changes no bit.
Next: `kedja/train`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.front import evaluate, tree
from kedja.front.chunks import chunks
from kedja.front.held import Held
from kedja.front.jit import Traced, trace
from kedja.front.tensor import Tensor, as_tensor, from_value
from kedja.ground.collection import paused
from kedja.ground.errors import UsageError
from kedja.ground.flags import flags
from kedja.ground.report import TIMINGS, report
from kedja.interpret import reference
from kedja.interpret.stepping import advance
from kedja.ir.op import Type

Progress = Callable[[int], None]

SHORT_SECONDS = 0.02  # runs expected to be shorter do not poll for Ctrl-C


class Ran(NamedTuple):
    """How a run ended: the carry stands exactly after `steps` whole steps of this call.

    `status` is "done", "cancelled" (by Ctrl-C, or because `progress` raised; then `interrupt` is
    that exception), or "nonfinite": the watched value of the step that would have come next is NaN
    or infinite, and the carry stands as it was before that step.
    """

    steps: int
    status: str
    interrupt: BaseException | None = None


class Loop:
    """A compiled step with its carry; see the module's text.

    `watch` names the scalar float leaf of the carry (its dotted path) that must stay finite.
    """

    def __init__(
        self,
        step: Callable[[Any, Any], Any],
        carry: Any,
        fixed: Any = None,
        *,
        watch: str | None = None,
    ) -> None:
        start = time.perf_counter()
        chunks.release()
        leaves, self._structure = tree.flatten(carry)
        self._names = [path for path, _ in tree.paths(carry)]
        memory = Held(leaves, self._structure)
        self._state = memory.arrays
        self._fixed = [as_tensor(leaf).numpy() for leaf in tree.leaves(fixed)]
        self._watch = None if watch is None else self._names.index(watch)
        with paused():
            self.traced = self._trace(step, fixed)
            traced = time.perf_counter() - start
            report(TIMINGS, lambda: f"traced and differentiated: {traced:.3f} s")
            self._program = self._compile()
        memory.fill()
        self.compile_seconds = time.perf_counter() - start
        self._pace = math.inf  # seconds per step, unknown before the first run

    def _trace(self, step: Callable[[Any, Any], Any], fixed: Any) -> Traced:
        fixed_structure = tree.flatten(fixed)[1]
        count = len(self._state)

        def rebuild(tensors: Sequence[Tensor]) -> Any:
            carry = tree.unflatten(self._structure, tensors[:count])
            return (carry, tree.unflatten(fixed_structure, tensors[count:])), {}

        types = [Type(each.shape, each.dtype) for each in (*self._state, *self._fixed)]
        traced = trace(step, types, rebuild)
        self._require_same(traced, types[:count])
        return traced

    def _require_same(self, traced: Traced, types: Sequence[Any]) -> None:
        if traced.structure != self._structure:
            raise UsageError("a step returned a carry of another structure than it was given")
        for name, node, kind in zip(self._names, traced.outputs, types, strict=True):
            if node.type != kind:
                raise UsageError(
                    f"a step turns {name} from {kind} into {node.type}",
                    fix="every leaf of the carry keeps its shape and dtype",
                )

    def _compile(self) -> Any:
        if flags().tier == "interpret":
            return None
        carried = {i: i for i in range(len(self._state))}
        return evaluate.compiler().compile(
            self.traced.outputs, self.traced.inputs, carry=carried, watch=self._watch
        )

    @property
    def carry(self) -> Any:
        """A copy of the carry as it stands."""
        copies = [from_value(each.copy()) for each in self._state]
        return tree.unflatten(self._structure, copies)

    @property
    def live(self) -> Any:
        """The carry in its own buffers, not copied: its arrays change when the loop runs."""
        return tree.unflatten(self._structure, [from_value(each) for each in self._state])

    def replace(self, carry: Any) -> None:
        """Set the whole carry, as after loading a checkpoint."""
        for mine, leaf in zip(self._state, tree.leaves(carry), strict=True):
            mine[...] = as_tensor(leaf).numpy()

    def write(self, name: str, value: Any) -> None:
        """Set one leaf of the carry, by its dotted path."""
        self._state[self._names.index(name)][...] = value

    def share(self, other: Loop) -> None:
        """Work on the carry of another loop from now on: what one does, the other sees."""
        theirs = [(each.shape, each.dtype) for each in other._state]
        mine = [(each.shape, each.dtype) for each in self._state]
        if self._structure != other._structure or mine != theirs:
            raise UsageError("loops whose carries differ cannot share one")
        self._state = other._state

    def set_fixed(self, fixed: Any) -> None:
        """Replace what the steps are given and do not change; shapes and dtypes stay."""
        arrays = [as_tensor(leaf).numpy() for leaf in tree.leaves(fixed)]
        kinds = [(each.shape, each.dtype) for each in self._fixed]
        if [(each.shape, each.dtype) for each in arrays] != kinds:
            raise UsageError(
                "other fixed arrays than the loop was traced with",
                fix="the same number of arrays, each of the same shape and dtype",
            )
        self._fixed = arrays

    def run(
        self, steps: int, *, progress: Progress | None = None, cancellable: bool = False
    ) -> Ran:
        """Advance the carry by `steps`; `progress(steps done)` is called about ten times a second.

        With `cancellable`, Ctrl-C and exceptions of `progress` end the run after a whole step. A
        run that by the pace of the last one takes no time is not watched over for that, which
        would take longer than the run: Ctrl-C is then raised when it is over.
        """
        if self._program is None:
            return self._interpret(steps, progress)
        start = time.perf_counter()
        ran = Ran(
            *self._program.advance(
                self._state,
                self._fixed,
                steps,
                progress=progress,
                cancellable=cancellable and not steps * self._pace < SHORT_SECONDS,
            )
        )
        if ran.steps:
            self._pace = (time.perf_counter() - start) / ran.steps
        return ran

    def _interpret(self, steps: int, progress: Progress | None) -> Ran:
        def step() -> list[np.ndarray]:
            return reference.run(self.traced.outputs, self.bound())

        return Ran(*advance(self._state, step, steps, self._watch, progress))

    def bound(self) -> dict[Any, np.ndarray]:
        """The values of the step's inputs as they stand, for the interpreter."""
        values = [*(each.copy() for each in self._state), *self._fixed]
        return dict(zip(self.traced.inputs, values, strict=True))
