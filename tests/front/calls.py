"""What the tests of calls share: a module, and several threads at once.

Next: `test_front_dispatch.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import kedja as kj
from kedja import nn


class Net(nn.Module):
    """Layers in a list and a dict, to which something may be added later."""

    layers: list
    heads: dict

    def __call__(self, x):
        for layer in self.layers:
            x = kj.tanh(layer(x))
        return sum(head(x) for head in self.heads.values())


def net(key=0):
    return Net([nn.Linear(3, 4), nn.Linear(4, 4)], {"a": nn.Linear(4, 2), "b": nn.Linear(4, 2)})


def at_once(work: Callable[[int], None], threads: int = 4) -> None:
    """Run `work(number)` in several threads, to their end."""
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
