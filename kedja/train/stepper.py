"""The training step, compiled: minibatches gathered, loss and gradient, update, many in one call.

Not here: epochs, validation and checkpoints (`run.py`), what is minimised (`objective.py`).
Next: `evaluation.py`.

One step is a function `(carry, fixed) -> carry`. The carry is everything that a run changes and
everything that a checkpoint must hold:

| leaf      | what it is                                                              |
|-----------|-------------------------------------------------------------------------|
| model     | the parameters and buffers                                              |
| optimizer | the optimiser's state                                                   |
| step      | how many steps were taken since the start, int64                        |
| loss      | the last step's loss, watched: NaN or infinity in it ends the run       |
| losses    | the losses of the last steps; the host collects them after every call   |

`fixed` are the examples, the order in which this epoch draws them, and the key of the run. Where
the batch does not divide the number of examples, a second loop of the remaining size takes the
epoch's last step on the same carry.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import kedja.front.functions as kj
from kedja.front import random, tree
from kedja.front.loop import Loop, Progress, Ran
from kedja.front.tensor import Tensor, from_value
from kedja.front.transforms import value_and_grad
from kedja.ground.dtypes import DType, int64, uint32
from kedja.ground.errors import DataError
from kedja.nn.state import training
from kedja.train.examples import Array, Examples
from kedja.train.objective import Objective

# How many losses the carry holds. A native call never goes beyond it, which also bounds how much
# must be replayed to find the step in which a loss became NaN.
RING = 4096

# A larger carry is not kept as it was before a call: that took as much memory as weights and
# optimiser together, and only the error for a NaN looks at it, to name the update that made it.
REMEMBERED_BYTES = 1 << 26


def _fixed(given: Examples, seed: int) -> dict[str, Any]:
    """What steps are given and do not change, before the first epoch."""
    order = from_value(given.order(0, seed, False))
    return {"data": given.tensors, "key": random.key(seed), "order": order}


class Stepper:
    """The training loops of one set of examples over one shared carry."""

    def __init__(
        self,
        objective: Objective,
        optimizer: Any,
        model: Any,
        given: Examples,
        *,
        batch: int,
        loss_dtype: DType,
        seed: int = 0,
    ) -> None:
        if given.count >= 2**32:
            raise DataError(f"{given.count:,} examples", fix="at most 2**32 - 1 in one run")
        self.batch = batch
        self.whole_steps, self.rest = divmod(given.count, batch)
        self.steps = self.whole_steps + bool(self.rest)  # of an epoch
        self._count = given.count
        self.fixed = _fixed(given, seed)
        self._objective = objective
        self._optimizer = optimizer
        self._losses = np.zeros(RING, loss_dtype)
        self._collected = 0
        carry = self._start(model)
        self.loops = [self._loop(size, carry, given) for size in (batch, self.rest) if size]
        for loop in self.loops[1:]:
            loop.share(self.loops[0])
        self.carry = self.loops[0].live  # in its own buffers, which every call changes
        self.last = self.loops[0]
        self._buffers = [leaf.numpy() for leaf in tree.leaves(self.carry)]
        size = sum(each.nbytes for each in self._buffers)
        self.remembers = size <= REMEMBERED_BYTES  # whether `rewind` can be called
        self._snapshot: list[Array] = []  # the buffers before the last call
        self.call_start = 0  # as far back as `rewind` can go

    def _start(self, model: Any) -> dict[str, Any]:
        """The carry before the first step."""
        return {
            "loss": np.zeros((), self._losses.dtype),
            "losses": np.zeros(RING, self._losses.dtype),
            "model": model,
            "optimizer": self._optimizer.init(model),
            "step": np.zeros((), np.int64),
        }

    def begin_anew(self, model: Any, given: Examples, seed: int) -> None:
        """Start again as a new stepper would; model and examples are of the same kinds as before.

        Nothing is traced, which takes longer than an epoch of few examples.
        """
        self.fixed = _fixed(given, seed)
        for loop in self.loops:
            loop.set_fixed(self.fixed)
        self.restore(self._start(model), self._losses[:0])

    def _loop(self, size: int, carry: Any, given: Examples) -> Loop:
        def step(carry: Any, fixed: Any) -> Any:
            place = kj.remainder(carry["step"], self.steps) * self.batch
            rows = kj.take(fixed["order"], (place + kj.arange(size)).astype(uint32))
            batch = given.batch(fixed["data"], rows)
            return self._advanced(carry, batch, fixed["key"])

        return Loop(step, carry, self.fixed, watch="loss")

    def _advanced(self, carry: Any, batch: dict[str, Tensor], key: Tensor) -> Any:
        """One step on a gathered batch; random layers draw from a key of this step's own."""

        def objective(model: Any) -> Tensor:
            return self._objective.of_batch(model, batch)[0]

        with training(random.fold_in(key, carry["step"])) as layers:
            loss, grads = value_and_grad(objective)(carry["model"])
        model = layers.carried(carry["model"])  # with the buffers that layers recorded
        model, state = self._optimizer.update(model, grads, carry["optimizer"])
        slot = kj.remainder(carry["step"], RING).astype(uint32)
        return {
            "loss": loss,
            "losses": kj.scatter_add(carry["losses"], slot, loss),
            "model": model,
            "optimizer": state,
            "step": carry["step"] + kj.full((), 1, int64),
        }

    # ------------------------------------------------------------------ the optimiser's own

    def averaged(self) -> Any:
        """The model to predict with: an average of parameters where the optimiser keeps one."""
        averaged = getattr(self._optimizer, "averaged", lambda model, state: model)
        return averaged(self.carry["model"], self.carry["optimizer"])

    @property
    def keeps_average(self) -> bool:
        """Whether `averaged` is something else than the present model."""
        return self.averaged() is not self.carry["model"]

    def observed(self, figure: float) -> dict[str, Array]:
        """What changes in the optimiser's state by a figure of quality; nothing is changed yet."""
        state = self.carry["optimizer"]
        observe = getattr(self._optimizer, "observe", lambda state, figure: state)
        pairs = zip(tree.paths(observe(state, figure)), tree.leaves(state), strict=True)
        return {path: new.numpy() for (path, new), old in pairs if new is not old}

    def write_state(self, changes: dict[str, Array]) -> None:
        """Set some leaves of the optimiser's state, by their paths."""
        for path, value in changes.items():
            self.loops[0].write(f"optimizer.{path}", value)

    # ------------------------------------------------------------------ where it stands

    @property
    def step(self) -> int:
        """How many steps were taken since the start."""
        return int(self.carry["step"].numpy())

    @property
    def epochs(self) -> int:
        """How many epochs' steps are done."""
        return self.step // self.steps

    @property
    def compile_seconds(self) -> float:
        """What tracing and compiling the steps cost."""
        return sum(loop.compile_seconds for loop in self.loops)

    @property
    def losses(self) -> Array:
        """The loss of every step so far: (steps,)."""
        self._collect()
        return self._losses[: self._collected].copy()

    @property
    def _ring(self) -> Array:
        ring: Array = self.carry["losses"].numpy()
        return ring

    def epoch_loss(self, epoch: int) -> float:
        """The mean loss over the examples of a whole epoch (from 0), in float64."""
        self._collect()
        losses = self._losses[epoch * self.steps : (epoch + 1) * self.steps].astype(np.float64)
        sizes = np.full(self.steps, self.batch, np.float64)
        if self.rest:
            sizes[-1] = self.rest
        return float((losses * sizes).sum() / self._count)

    # ------------------------------------------------------------------ moving it

    def set_order(self, order: Array) -> None:
        """The numbers (N,) of the epoch's examples, in the order of drawing."""
        kind = self.fixed["order"].dtype
        self.fixed = {**self.fixed, "order": from_value(order.astype(kind, copy=False))}
        for loop in self.loops:
            loop.set_fixed(self.fixed)

    def restore(self, carry: Any, losses: Array) -> None:
        """Go to where a checkpoint stands: its carry, and the losses of its steps."""
        self.loops[0].replace(carry)
        self._losses = losses.copy()
        self._collected = len(losses)

    def advance(self, progress: Progress) -> Ran:
        """Take as many of this epoch's steps as one native call can; it may end earlier.

        `progress` is told how many steps of this call are done.
        """
        self._collect()
        self.loops[0].write("losses", 0.0)
        place = self.step % self.steps
        whole = self.whole_steps - place
        loop = self.loops[0] if whole > 0 else self.loops[-1]
        count = min(whole, RING - self.step % RING) if whole > 0 else 1
        self._remember(loop, count)
        ran = loop.run(count, progress=progress, cancellable=True)
        self._collect()
        return ran

    def rewind(self, step: int) -> None:
        """Go back into the last call, to where `step` steps were taken.

        Replaying gives the same bits: nothing that a step depends on is outside the carry.
        """
        structure = tree.flatten(self.carry)[1]
        self.loops[0].replace(tree.unflatten(structure, self._snapshot))
        behind = step - self.step
        if behind > 0:
            self.last.run(behind)

    def _remember(self, loop: Loop, count: int) -> None:
        """Keep what `rewind` needs; not for a single step, which is abandoned before it is done."""
        self.last = loop
        self.call_start = self.step + (count == 1)
        if count == 1 or not self.remembers:
            return
        if not self._snapshot:
            self._snapshot = [np.empty_like(each) for each in self._buffers]
        for kept, each in zip(self._snapshot, self._buffers, strict=True):
            np.copyto(kept, each)

    def _collect(self) -> None:
        """Move the losses of the last call from the carry into the history.

        May be repeated and may be cut anywhere: `_collected` says what was moved.
        """
        done = self.step
        self._collected = min(self._collected, done)  # after going back
        if done > len(self._losses):
            more = max(done, 2 * len(self._losses)) - len(self._losses)
            self._losses = np.concatenate([self._losses, np.zeros(more, self._losses.dtype)])
        start = self._collected % RING
        fresh = self._ring[start : start + done - self._collected]
        self._losses[self._collected : done] = fresh
        self._collected = done
