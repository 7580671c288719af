"""The recipe in PyTorch, eager: all pictures in one tensor, AdamW fused. Next: `recipe.py`.

Pictures are changed for the whole batch at once by `affine_grid` and `grid_sample`, which is faster
than torchvision's transforms of one after the other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.handed import side
from benchmarks.mnist.recipe import Handed, Recipe

EVALUATED = 500  # pictures in a batch of the test


class Layer(nn.Module):
    """A convolution that keeps height and width, then relu."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → (B, width, H, W)."""
        return functional.relu(self.conv(x))


class Network(nn.Module):
    """kedja's `CNN` under the same names."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Layer(a, b) for a, b in pairwise((1, *recipe.widths)))
        flat = recipe.widths[-1] * (recipe.side >> len(recipe.widths)) ** 2
        self.hidden = nn.ModuleList([nn.Linear(flat, recipe.hidden)])
        self.dropout = nn.Dropout(recipe.dropout)
        self.output = nn.Linear(recipe.hidden, recipe.classes)

    def forward(self, x: Tensor) -> Any:
        """x (B, 1, H, W) → (B, classes)."""
        for layer in self.convs:
            x = functional.max_pool2d(layer(x), 2)
        x = functional.relu(self.hidden[0](self.dropout(x.flatten(1))))
        return self.output(self.dropout(x))


def changed(x: Tensor, recipe: Recipe) -> Tensor:
    """Pictures (B, 1, H, W) from 0 to 1, each shifted, turned and zoomed by chance."""
    if not (recipe.shift or recipe.rotate or recipe.zoom):
        return x
    down, right, turn, zoom = (torch.rand(4, len(x)) * 2 - 1).unbind()
    angle = turn * (recipe.rotate * math.pi / 180)
    scale = 1 / (1 + zoom * recipe.zoom)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    first = torch.stack([cos, -sin, 2 * recipe.shift * right], -1)
    second = torch.stack([sin, cos, 2 * recipe.shift * down], -1)
    theta = torch.stack([first, second], 1)  # (B, 2, 3)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def floats(x: Tensor) -> Tensor:
    """Bytes (B, H, W) → (B, 1, H, W) from 0 to 1."""
    return x[:, None].float() / 255


def train(model: Network, handed: Handed) -> list[float]:
    """All epochs; the losses of the first steps."""
    recipe, losses = handed.recipe, []
    opt = torch.optim.AdamW(
        model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
    )
    x, y = torch.from_numpy(handed.train_x), torch.from_numpy(handed.train_y)
    orders = torch.from_numpy(handed.order.astype("int64"))
    steps, step = recipe.epochs * -(-len(x) // recipe.batch), 0
    model.train()
    for order in orders:
        for rows in order.split(recipe.batch):
            opt.param_groups[0]["lr"] = recipe.rate(step, steps)
            seen = (changed(floats(x[rows]), recipe) - recipe.mean) / recipe.std
            loss = functional.cross_entropy(model(seen), y[rows])
            loss.backward()
            opt.step()
            opt.zero_grad(set_to_none=True)
            if step < 10:
                losses.append(loss.item())
            step += 1
    return losses


@torch.no_grad()
def accuracy(model: Network, handed: Handed) -> float:
    """The share of the pictures to test on that are right."""
    recipe = handed.recipe
    x, y = torch.from_numpy(handed.test_x), torch.from_numpy(handed.test_y)
    model.eval()
    parts = [
        model((floats(part) - recipe.mean) / recipe.std).argmax(1) for part in x.split(EVALUATED)
    ]
    return float((torch.cat(parts) == y).float().mean())


def run(handed: Handed) -> Mapping[str, Any]:
    """Train, then test; seconds are those of both."""
    recipe = handed.recipe
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    model = Network(recipe)
    model.load_state_dict({n: torch.from_numpy(a.copy()) for n, a in handed.weights.items()})
    start = time.perf_counter()
    losses = train(model, handed)
    trained = time.perf_counter() - start
    found = accuracy(model, handed)
    steps = recipe.epochs * -(-len(handed.train_x) // recipe.batch)
    return {
        "accuracy": found,
        "parameters": sum(each.numel() for each in model.parameters()),
        "seconds": time.perf_counter() - start,
        "compile_seconds": 0.0,
        "step_seconds": trained / steps,
        "losses": losses,
    }


if __name__ == "__main__":
    side(run, Handed)
