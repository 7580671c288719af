"""Which values are kept in memory; all others are computed where they are used.

Next: `loops.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini.graph import Node, topological

CHEAP = 4  # operations for each element that are done again rather than kept in memory
COST = {"input": 0, "number": 0, "broadcast": 0, "transpose": 0}  # only other places to read
COST |= {"divide": 4, "exp": 20, "sum": 100, "matmul": 100}  # all others count as one


def kept(outputs: Sequence[Node]) -> list[Node]:
    """The nodes whose values go to memory, in the order in which they are computed."""
    order = topological(outputs)
    users = {node: [user for user in order if node in user.inputs] for node in order}
    cost: dict[Node, int] = {}
    found = []
    for node in order:
        cost[node] = COST.get(node.op, 1) + sum(cost[x] for x in node.inputs)
        repeats = any(user.op in ("broadcast", "matmul") for user in users[node])
        dear = cost[node] > CHEAP and (repeats or len(users[node]) > 1)
        if node.op != "input" and (dear or node in outputs):
            found.append(node)
            cost[node] = 0
    return found
