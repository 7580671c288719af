"""Texts from a GPT, as a user would ask for them. Not here: training. Next: `forward.py`."""

from __future__ import annotations

import time

import kedja as kj
from benchmarks.kedja_side.launches import OfKedja
from benchmarks.kedja_side.networks import network
from benchmarks.side import Spec, Timed

FIRST = 0  # the token with which every text begins


class Generate(OfKedja):
    """`kj.models.generate` until there are as many tokens as were asked for."""

    modes: tuple[str, ...] = ("loop",)

    def __init__(self, spec: Spec) -> None:
        model = network(spec.options["network"], spec.arrays)
        self.model = model.astype(spec.options["dtype"])
        self.tokens: int = spec.options["tokens"]

    def losses(self, mode: str, steps: int) -> list[float]:
        """The surprise of each of the most probable tokens."""
        (sample,) = kj.models.generate(
            self.model, [FIRST], tokens=steps, temperature=0, explain=True
        )
        return [choice.bits for choice in sample.choices]

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        start, done = time.perf_counter(), 0
        while done < steps:
            (sample,) = kj.models.generate(self.model, [FIRST], tokens=self.tokens, seed=done)
            done += sample.tokens.size
        return Timed(time.perf_counter() - start, done)
