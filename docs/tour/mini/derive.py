"""Derivatives as graphs, by one rule for each operation. Next: `learn.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini.graph import Node, broadcast, greater, topological, total

# fmt: off
RULES: dict[str, Callable[..., tuple[Node | None, ...]]] = {
    # g: the gradient that arrives; y: the node; then its inputs. One gradient for each input.
    "add":       lambda g, y, a, b: (g, g),                                # add distributes
    "subtract":  lambda g, y, a, b: (g, -g),
    "multiply":  lambda g, y, a, b: (g * b, g * a),                        # multiply swaps
    "divide":    lambda g, y, a, b: (g / b, -g * y / b),
    "negative":  lambda g, y, x: (-g,),
    "exp":       lambda g, y, x: (g * y,),
    "maximum":   lambda g, y, a, b: (g * greater(a, b), g * (1 - greater(a, b))),  # max routes
    "greater":   lambda g, y, a, b: (None, None),                          # flat: nothing returns
    "broadcast": lambda g, y, x: (total(g, x.shape),),                     # copy adds
    "sum":       lambda g, y, x: (broadcast(g, x.shape),),                 # and adding copies
    "matmul":    lambda g, y, a, b: (g @ b.T, a.T @ g),                    # multiply swaps
    "transpose": lambda g, y, x: (g.T,),
}
# fmt: on


def backward(output: Node) -> dict[Node, Node]:
    """The gradient of a scalar with respect to every node beneath it."""
    found = {output: broadcast(1.0, output.shape)}
    for node in reversed(topological([output])):
        if node in found and node.inputs:
            back = RULES[node.op](found[node], node, *node.inputs)
            for x, g in zip(node.inputs, back, strict=True):
                if g is not None:
                    found[x] = found[x] + g if x in found else g  # copy adds
    return found


def gradient(output: Node, wrt: Sequence[Node]) -> list[Node]:
    """The gradients with respect to some nodes; zero where the output does not depend on one."""
    found = backward(output)
    return [found.get(x, broadcast(0.0, x.shape)) for x in wrt]
