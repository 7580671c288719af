"""Looking inside: the derivative as a formula, each node with its numbers, the graph.

All three take a tensor, or a function whose arguments then become the variables. What they return
prints as text, shows itself in a notebook, and gives SVG and JSON. Next: `explaining.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedja.front.derivation import Derivation, derivation
from kedja.front.explaining import Options
from kedja.front.explanation import Explanation, explanation
from kedja.front.named import Subject, subject
from kedja.ground.errors import UsageError
from kedja.ir.show import GraphView

__all__ = ["Derivation", "Explanation", "GraphView", "derive", "explain", "show"]


def derive(
    f: Any, wrt: Any = None, *, shapes: Mapping[str, Sequence[int]] | None = None
) -> Derivation:
    """The derivative of a scalar as a formula.

    `f` is a function of scalars (or of arrays of the `shapes` given by argument name), or a
    tensor. `wrt` is a variable's name, a tensor, or several; None means all variables: a
    function's arguments, or the leaves of a tensor that require a gradient or have a name.
    Raises GradientError where f is not a float scalar, UsageError for an unknown variable.

    >>> import kedja as kj
    >>> found = derive(lambda x: 1 / (1 - kj.exp(-x)))
    >>> found.formula
    '-exp(-x) / (1 - exp(-x)) ** 2'
    >>> print(found)
    f = 1 / (1 - exp(-x))
    df/dx = -exp(-x) / (1 - exp(-x)) ** 2
    <BLANKLINE>
    module  formula  local derivative
    a       -x       da/dx = -1
    b       exp(a)   db/da = exp(a)
    c       1 - b    dc/db = -1
    f       1 / c    df/dc = -1 / c ** 2
    """
    return derivation(subject(f, shapes=shapes), wrt)


def explain(
    f: Any,
    at: Mapping[str, Any] | None = None,
    wrt: Any = None,
    *,
    depth: int | None = None,
    expand: str | Sequence[str] = (),
    step: int | None = None,
    sources: bool = True,
) -> Explanation:
    """Each node of a computation: formula, value, gradient, the gate's rule, the line of code.

    `f` is a tensor or a function. `at` gives the values of a function's arguments by name: any
    arrays, containers and modules (numbers alone are taken as float64). For a tensor it may
    replace leaves. `wrt` chooses the variables that gradients are computed for, as in `derive`;
    nodes that lead to none of them have the gradient None, and so have all nodes where the output
    is not a float scalar. `sources=False` leaves out the lines of code.

    A large computation is folded by its modules, as in `show`: `depth` and `expand` say how far it
    is opened. Of a loop (`scan`, `while_loop`, an RNN) one step is shown, with the values and
    gradients of that step: `step` counts from 0 in the order of evaluation, -1 is the last one.
    Raises UsageError for a path that is not there and for a step that the loop does not have.

    >>> import kedja as kj
    >>> found = explain(lambda w, x: 1 + kj.exp(w * x), at={"w": 0.5, "x": 2})
    >>> found["w"].gradient.round(4).item()
    5.4366
    """
    traced = subject(f, at)
    _require_values(traced)
    options = Options(depth, (expand,) if isinstance(expand, str) else tuple(expand), step)
    return explanation(traced, wrt, options, sources=sources)


def _require_values(traced: Subject) -> None:
    inputs = [node for node in traced.inputs if node.op.name == "input"]
    missing = [traced.names[node] for node in inputs if node not in traced.values]
    if missing:
        first = missing[0]
        raise UsageError(
            f"no value for {', '.join(missing)}", fix=f"give it: at={{'{first}': ...}}"
        )


def show(
    f: Any,
    at: Mapping[str, Any] | None = None,
    *,
    depth: int | None = None,
    expand: str | Sequence[str] = (),
) -> GraphView:
    """The graph of a tensor, of several, of a function, or of a compiled function after a call.

    Arguments of a function that `at` does not give are float64 scalars. The result prints as
    text and has `dot()`, `svg()`, `html()` and `json()`.

    A graph of more than 60 nodes is folded: each call of a module is one row (or box) with what it
    takes and gives and how much it learns; what reverse mode made of it is another one, called
    `.backward`; equal blocks one after the other (`h.0 … h.11`) are one row. Modules nested less
    deep than `depth` are open (0: none; by default as many as some fifty rows allow), and those
    that `expand` names by their paths, as ["h.0.attn"]; ops with graphs inside, as `scan`, are
    opened alike, by the name of the op. Raises UsageError for a path that is not there.

    >>> import kedja as kj
    >>> print(show(lambda x: kj.tanh(x) * 2).text(sources=False))
    %0 = input x           float64[]
    %1 = tanh(%0)          float64[]
    %2 = full 2            float64[]
    %3 = multiply(%1, %2)  float64[]
    return %3
    """
    traced = subject(f, at)
    return GraphView(
        traced.outputs,
        traced.names,
        traced.weights,
        traced.counts,
        depth=depth,
        expand=expand,
    )
