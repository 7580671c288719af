"""A derivative as a formula, and the modules through which it comes about.

Not here: values and gradients in numbers (`explanation.py`). Next: `explain.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kedja.autodiff import reverse
from kedja.front import tables
from kedja.front.named import Subject, bound, chosen, step_names
from kedja.front.tensor import Tensor, from_node, from_value
from kedja.ground.dtypes import is_float
from kedja.ground.errors import GradientError
from kedja.interpret.reference import run
from kedja.ir import bodies
from kedja.ir.formula import Style, defined, formula, step, whole, written
from kedja.ir.graph import Node, full, rebuild, variable, zeros_like
from kedja.ir.op import Bundle, ByExpansion, Leaf, NoDerivative, Pointwise
from kedja.ir.show import preformatted

LONGEST = 160  # characters of a local derivative; longer ones are those of composites


@dataclass(frozen=True)
class Module:
    """One step: its short name, its formula in the names of its inputs, its local derivatives.

    `partials` maps the name of each input to the derivative by it. Where an op is not elementwise,
    the text says what becomes of the gradient g that arrives: `g @ w.T`.
    """

    name: str
    formula: str
    partials: dict[str, str]
    elementwise: bool = True

    def texts(self) -> list[str]:
        """Each local derivative as an equation."""
        if self.elementwise:
            return [f"d{self.name}/d{each} = {text}" for each, text in self.partials.items()]
        return [f"{each} gets {text}" for each, text in self.partials.items()]


@dataclass(frozen=True)
class Derivation:
    """What `kj.derive` found.

    `value` is the formula of the function, `formulas` its derivative by each variable, `where`
    the parts that long formulas use by name (and the functions inside loops and branches),
    `modules` the steps with their local derivatives, and `gradients` the derivatives as tensors,
    which can be differentiated again. Called with values, it gives their values.
    """

    value: str
    formulas: dict[str, str]
    where: list[tuple[str, str]]
    modules: list[Module]
    gradients: dict[str, Tensor]
    subject: Subject = field(repr=False)
    _nodes: dict[str, Node] = field(repr=False, default_factory=dict)

    def __call__(self, **at: Any) -> dict[str, Tensor]:
        """The derivatives at a point, by the names of the variables.

        Every argument of the function needs a value (numbers, arrays, containers as it takes them);
        of a tensor, whose leaves have values, those that are given are replaced. Raises UsageError
        for a value that is missing, too much, or of another shape.

        >>> import kedja as kj
        >>> kj.derive(lambda x, y: x**2 * y)(x=3.0, y=2.0)
        {'x': Tensor(12., float64), 'y': Tensor(9., float64)}
        """
        values = bound(self.subject, at)
        found = run(list(self._nodes.values()), values)
        return {name: from_value(each) for name, each in zip(self._nodes, found, strict=True)}

    @property
    def formula(self) -> str:
        """The derivative; with several variables, one line for each."""
        if len(self.formulas) == 1:
            return next(iter(self.formulas.values()))
        return "\n".join(f"df/d{name} = {text}" for name, text in self.formulas.items())

    def __str__(self) -> str:
        lines = [f"f = {self.value}"]
        lines += [f"df/d{name} = {text}" for name, text in self.formulas.items()]
        lines += [f"  where {name} = {text}" for name, text in self.where]
        return "\n".join([*lines, "", tables.plain(*self._table()), *self._legend()])

    def __repr__(self) -> str:
        return str(self)

    def _legend(self) -> list[str]:
        if all(module.elementwise or not module.partials for module in self.modules):
            return []
        return ["(g is the gradient that arrives at the module)"]

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [[m.name, m.formula, ", ".join(m.texts())] for m in self.modules]
        return ["module", "formula", "local derivative"], rows

    def data(self) -> dict[str, Any]:
        """The derivation as plain dicts and lists."""
        return {
            "value": self.value,
            "derivatives": dict(self.formulas),
            "where": dict(self.where),
            "modules": [
                {"name": m.name, "formula": m.formula, "partials": m.partials} for m in self.modules
            ],
        }

    def json(self) -> str:
        """The derivation as JSON."""
        return json.dumps(self.data())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        head = str(self).split("\n\n")[0]
        html = preformatted(head) + tables.html(*self._table()) + "".join(self._legend())
        return {"text/plain": str(self), "text/html": html}


def derivation(subject: Subject, wrt: Any) -> Derivation:
    """The derivative of a scalar output by the chosen variables."""
    output = subject.output()
    if output.shape != () or not is_float(output.dtype):
        raise GradientError(
            f"a derivative of {output.type}, which is not a float scalar",
            fix="reduce it with sum or mean first",
        )
    variables = chosen(subject, wrt)
    found = reverse.gradient(output, list(variables.values()))
    pairs = zip(variables.values(), found, strict=True)
    gradients = [zeros_like(node) if g is None else g for node, g in pairs]
    inner = bodies.named([output, *gradients])
    value = written([output], subject.names, inner=inner)
    taken = [name for name, _ in value.where]
    texts = written(gradients, subject.names, simplify=True, inner=inner, taken=taken)
    functions = defined([output, *gradients], Style(simplify=True, bodies=inner))
    return Derivation(
        value.formulas[0],
        dict(zip(variables, texts.formulas, strict=True)),
        [*value.where, *texts.where, *functions],
        modules(subject),
        {name: from_node(g) for name, g in zip(variables, gradients, strict=True)},
        subject,
        dict(zip(variables, gradients, strict=True)),
    )


def modules(subject: Subject) -> list[Module]:
    """Every step on the way forward with its local derivatives."""
    names = step_names(subject)
    return [
        module(node, names)
        for node in subject.order
        if node in names and not isinstance(node.op.lowering, Leaf)
    ]


def module(node: Node, names: Mapping[Node, str]) -> Module:
    """One step in the names of its inputs."""
    elementwise = is_elementwise(node)
    return Module(names[node], step(node, names), local_partials(node, names), elementwise)


def is_elementwise(node: Node) -> bool:
    """Whether each element of the output depends on the inputs' elements at its place alone."""
    if isinstance(node.op.lowering, Pointwise):
        return True
    along_axes = {"axes", "axis"} & set(node.attrs)
    if along_axes or not isinstance(node.op.lowering, ByExpansion):
        return False
    return all(each.shape == node.shape for each in node.inputs)


def local_partials(node: Node, names: Mapping[Node, str]) -> dict[str, str]:
    """The derivative of one step by each of its inputs, as formulas in the inputs' names.

    Steps that are not elementwise give what becomes of a gradient g; steps with several outputs
    have no such formula.
    """
    if isinstance(node.type, Bundle) or isinstance(node.op.derivative, NoDerivative):
        return {}
    if not is_float(node.dtype):
        return {}
    moved = {each: variable(names[each], each.type) for each in node.inputs if each in names}
    copy = rebuild(node, [moved.get(each, each) for each in node.inputs])
    g = full(1, node.shape, node.dtype) if is_elementwise(node) else variable("g", node.type)
    wanted = [each in moved and is_float(each.dtype) for each in node.inputs]
    totals: dict[Node, Node] = {}
    for each, found in zip(node.inputs, reverse.input_cotangents(copy, g, wanted), strict=True):
        if found is not None:
            totals[each] = totals[each] + found if each in totals else found
    return {names[each]: _text(total, is_elementwise(node)) for each, total in totals.items()}


def _text(partial: Node, elementwise: bool) -> str:
    text = whole(partial)
    if text is None or len(text) > LONGEST:
        return "the product through its parts" if elementwise else "g through its parts"
    return formula(partial, simplify=True) if elementwise else text
