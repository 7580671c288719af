"""Cases of generation: one token after the other, with the keys and values of those before kept.

Not here: the networks (`networks.py`). Next: `table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.cases import networks
from benchmarks.cases.case import Arrays, Case

BYTES = {"float32": 4, "bfloat16": 2}


def generating(
    name: str, network: Mapping[str, Any], tokens: int, dtype: str = "float32", **more: Any
) -> Case:
    """A token of one text of `tokens` tokens, drawn from the model's probabilities.

    A step must read every weight but the places' once, which are the bytes that are counted.
    """
    parameters = weights(network)
    places = network["context"] * network["width"]

    def arrays() -> Arrays:
        return networks.first_weights(network)

    what = f"{networks.words(network)}: a token of {tokens}, {dtype}"
    options = {"network": network, "tokens": tokens, "dtype": dtype}
    moved = BYTES[dtype] * (parameters - places)
    flops = 2 * (parameters - places)
    return Case(name, "generate", what, options, arrays, flops, moved=moved, **more)


def weights(network: Mapping[str, Any]) -> int:
    """The parameters of a GPT-2: tables, and 12 C² + 13 C in each layer, 2 C in the last norm."""
    width = network["width"]
    tables = (network["vocabulary"] + network["context"]) * width
    layers: int = network["layers"] * (12 * width + 13) * width
    return tables + layers + 2 * width
