"""Smaller cases with PyTorch: products, passes, a descent. Next: `jax_side`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from benchmarks.side import Spec, Timed, spread
from benchmarks.torch_side.train import OfTorch, made


class Descent(OfTorch):
    """Two scalars with gradients."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.restart()

    def restart(self) -> None:
        """Back to the start."""
        start = self.spec.options["start"]
        self.a, self.b = (torch.tensor(each, requires_grad=True) for each in start)

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        a, b, rate = self.a, self.b, self.spec.options["rate"]
        value = torch.sin(0.8 * a) * torch.sin(0.6 * b) * torch.exp(0.1 * a)
        da, db = torch.autograd.grad(value, (a, b))
        with torch.no_grad():
            a -= rate * da
            b -= rate * db
        return value

    def losses(self, mode: str, steps: int) -> list[float]:
        """See `Runner`."""
        self.restart()
        return [self.one(number).item() for number in range(steps)]


class Product(OfTorch):
    """`torch.mm`; in the mode "loop" into memory that is there already, which is faster."""

    modes: tuple[str, ...] = ("step", "loop")

    def __init__(self, spec: Spec) -> None:
        dtype = getattr(torch, spec.options["dtype"])
        a, b = (torch.from_numpy(spec.arrays[name]).to(dtype) for name in "ab")
        self.a = a.T if spec.options["layout"] == "AtB" else a
        self.b = b.T if spec.options["layout"] == "ABt" else b
        self.c = torch.empty(self.a.shape[0], self.b.shape[1], dtype=dtype)

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        return torch.mm(self.a, self.b)

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        start = time.perf_counter()
        for _ in range(steps):
            torch.mm(self.a, self.b, out=self.c)
        return Timed(time.perf_counter() - start, steps)

    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        return spread(self.one(0).float().numpy(), steps)


class Pass(OfTorch):
    """A pass over arrays, in inference mode.

    In the mode "loop" the result goes into memory that is there already, where PyTorch has a way.
    """

    def __init__(self, spec: Spec) -> None:
        self.operation = spec.options["operation"]
        self.arrays = {name: torch.from_numpy(array) for name, array in spec.arrays.items()}
        self.result = made(spec, self.compute)
        if spec.variant == "" and self.operation in INTO:
            self.modes = ("step", "loop")
            self.out = torch.empty_like(self.compute(**self.arrays))

    def compute(self, x: Any, w: Any = None, weight: Any = None, bias: Any = None) -> Any:
        """The operation."""
        match self.operation:
            case "chain":
                return functional.silu(x * w + 0.5) + x
            case "softmax":
                return torch.softmax(x, -1)
            case "layer_norm":
                return functional.layer_norm(x, x.shape[-1:], weight, bias)
        return torch.sum(x)

    def one(self, number: int) -> Any:
        """See `OfTorch`."""
        return self.result(**self.arrays)

    @torch.inference_mode()
    def losses(self, mode: str, steps: int) -> list[float]:
        """Numbers from all over the result."""
        if mode == "step":
            return spread(self.one(0).numpy(), steps)
        INTO[self.operation](self.out, **self.arrays)
        return spread(self.out.numpy(), steps)

    @torch.inference_mode()
    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        if mode == "step":
            return super().run(mode, steps)
        into, out, arrays = INTO[self.operation], self.out, self.arrays
        start = time.perf_counter()
        for _ in range(steps):
            into(out, **arrays)
        return Timed(time.perf_counter() - start, steps)


def chain_into(out: Any, x: Any, w: Any) -> None:
    """silu(x w + 1/2) + x, without new memory."""
    torch.mul(x, w, out=out).add_(0.5)
    functional.silu(out, inplace=True).add_(x)


INTO: Mapping[str, Callable[..., Any]] = {
    "chain": chain_into,
    "softmax": lambda out, x: torch.softmax(x, -1, out=out),
    "sum": lambda out, x: torch.sum(x, 0, out=out),
}
