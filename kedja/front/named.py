"""What is to be shown, as nodes with names: a tensor, several, a function, a compiled function.

A function is traced with inputs called as its arguments; a tensor's graph is taken as it is, its
leaves called by their `name`, by their path in the module that was called, or by the variable that
the user's line assigns them to.
Next: `derivation.py` and `explanation.py`.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kedja.front import tree, weights
from kedja.front.jit import Compiled
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value, marked
from kedja.ground.dtypes import as_dtype, float64, is_float
from kedja.ground.errors import GradientError, TracingError, UsageError
from kedja.ir.fold import is_leaf
from kedja.ir.graph import Node, constant, substitute, topological, variable
from kedja.ir.names import leaf_names, letters
from kedja.ir.op import Type

ARRAYS = (Tensor, np.ndarray, np.generic, bool, int, float)
# `w = kj.tensor(...)` on one line, and nothing after the parenthesis
ASSIGNED = re.compile(
    r"([A-Za-z_]\w*)\s*(?::[^=]+)?=\s*[\w.]*[tT]ensor\([^()]*(?:\([^()]*\)[^()]*)*\)$"
)


@dataclass(frozen=True)
class Subject:
    """Output nodes, the names of their leaves, and the values of those that are inputs.

    `weights` are the leaves that are arrays of modules, and whether each is learned.
    """

    outputs: list[Node]
    names: dict[Node, str]
    values: dict[Node, np.ndarray] = field(default_factory=dict)
    inputs: tuple[Node, ...] = ()
    weights: dict[Node, bool] = field(default_factory=dict)  # arrays of modules: learned or not

    @property
    def counts(self) -> dict[int, int]:
        """How many numbers each call of a module learns; see `weights.counted`."""
        return weights.counted(self.order)

    @property
    def order(self) -> list[Node]:
        """Every node, inputs before users."""
        return topological(self.outputs)

    def output(self) -> Node:
        """The one output; UsageError where there are several."""
        if len(self.outputs) != 1:
            raise UsageError(
                f"{len(self.outputs)} results where one is explained",
                fix="give one of them; to call a module, give its arguments: at={'x': ...}",
            )
        return self.outputs[0]

    def variables(self) -> list[Node]:
        """The leaves that a derivative is taken for, unless told otherwise.

        The inputs of a function, but for buffers and frozen arrays of modules; of a tensor the
        leaves that require a gradient, else those that have a name, else all arrays.
        """
        if self.inputs:
            return [node for node in self.inputs if is_float(node.dtype) and self._moves(node)]
        leaves = [node for node in self.order if node in self.names and is_float(node.dtype)]
        wanted = [node for node in leaves if node in marked]
        if not wanted:
            wanted = [node for node in leaves if node.attrs.get("name")]
        return wanted or leaves

    def _moves(self, node: Node) -> bool:
        return self.weights.get(node, True)


def subject(
    what: Any,
    at: Mapping[str, Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Subject:
    """The nodes of a tensor, a node, a container of these, or a function.

    `at` gives values by name: arguments of a function, or leaves of a tensor's graph. Arguments
    of a function that `at` does not give are float64 inputs without a value, scalars unless
    `shapes` says otherwise.
    """
    for name, given in (("at", at), ("shapes", shapes)):
        if given is not None and not isinstance(given, Mapping):
            raise UsageError(
                f"{name} is of type {type(given).__name__}",
                fix=f"values by the names of the arguments: {name}={{'x': …}}",
            )
    if isinstance(what, Compiled) and not at and not shapes and what.programs:
        return _of_program(what)
    if isinstance(what, Node):
        return _of_nodes([what], at or {})
    if _is_function(what, bool(at or shapes)):
        return _of_function(what, at or {}, shapes or {})
    leaves = tree.leaves(what)
    if not leaves or not all(isinstance(leaf, (Tensor, Node)) for leaf in leaves):
        raise UsageError(
            f"cannot show an object of type {type(what).__name__}",
            fix="give a tensor, a container of tensors, or a function of tensors",
        )
    return _of_nodes([_node(leaf) for leaf in leaves], at or {})


def _is_function(what: Any, has_arguments: bool) -> bool:
    """A module counts as a function where arguments are given, else as a container of arrays."""
    if not callable(what) or isinstance(what, Tensor):
        return False
    return has_arguments or tree.paths(what) == [("", what)]


def _node(leaf: Tensor | Node) -> Node:
    if isinstance(leaf, Node):
        return leaf
    if leaf.is_freed:
        raise GradientError(
            "the history of this tensor was freed by backward()",
            fix="look at it before backward(), or call backward(retain=True)",
        )
    return leaf.node


# --------------------------------------------------------------------------------- tensors


def _of_nodes(outputs: list[Node], at: Mapping[str, Any]) -> Subject:
    outputs, found = _with_arrays(outputs)
    names = _names_of_leaves(outputs, found.names)
    if not at:
        return Subject(outputs, names, weights=found.weights)
    by_name = {name: node for node, name in names.items()}
    _require_known(at, by_name)
    replaced = {by_name[name]: _replacement(by_name[name], name, at[name]) for name in at}
    moved = substitute(outputs, replaced)
    kept = {replaced.get(node, node): name for node, name in names.items()}
    arrays = {replaced.get(node, node): mark for node, mark in found.weights.items()}
    return Subject(moved, kept, inputs=(), weights=arrays)


class _Arrays(NamedTuple):
    """Arrays of modules: what each is called, and whether it is learned."""

    names: dict[Node, str]
    weights: dict[Node, bool]


def _with_arrays(outputs: list[Node]) -> tuple[list[Node], _Arrays]:
    """The outputs, and the arrays of the modules that were called on the way to them, as leaves."""
    met = list(weights.called(topological(outputs)))
    replaced = weights.computed(met)
    return substitute(outputs, replaced) if replaced else outputs, _named(met)


def _named(arrays: Iterable[weights.Array]) -> _Arrays:
    """The arrays by their first names; a name that another one has is not given twice."""
    found = _Arrays({}, {})
    taken: set[str] = set()
    for path, tensor, mark in arrays:
        node = tensor.node
        if node in found.weights or not is_leaf(node):
            continue
        found.weights[node] = mark
        if path not in taken and not node.attrs.get("name"):
            found.names[node] = path
            taken.add(path)
    return found


def _names_of_leaves(outputs: Sequence[Node], known: Mapping[Node, str]) -> dict[Node, str]:
    order = topological(outputs)
    taken: set[str] = {str(node.attrs["name"]) for node in order if node.attrs.get("name")}
    given = {node: name for node, name in known.items() if name not in taken}
    taken |= set(given.values())
    for node in order:
        if node in given:
            continue
        found = _assigned_name(node)
        if found and found not in taken:
            given[node] = found
            taken.add(found)
        elif node in marked and not node.attrs.get("name"):
            given[node] = next(name for name in letters(taken))
            taken.add(given[node])
    return leaf_names(order, given)


def _assigned_name(node: Node) -> str:
    """The variable that the user's line assigns an array to, where the array has no name."""
    if node.op.name != "constant" or node.attrs.get("name") or node.source is None:
        return ""
    match = ASSIGNED.match(node.source.text.split("#")[0].strip())
    return match.group(1) if match else ""


def _replacement(node: Node, name: str, value: Any) -> Node:
    array = np.asarray(_array(value), node.dtype)
    if array.shape != node.shape:
        raise UsageError(f"{name} has shape {list(node.shape)}, not {list(array.shape)}")
    return constant(array, name)


# ------------------------------------------------------------------------------- functions


def _of_function(
    f: Callable[..., Any], at: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]
) -> Subject:
    parameters = _parameters(f)
    _require_known({**at, **shapes}, parameters)
    plain = all(isinstance(value, (bool, int, float)) for value in at.values())
    given = _Given({}, {}, {})
    arguments: dict[str, Any] = {}
    for name, has_default in parameters.items():
        if name in at:
            arguments[name] = given.take(name, at[name], plain)
        elif name in shapes or not has_default:
            node = variable(name, Type(tuple(shapes.get(name, ())), float64))
            given.names[node] = name
            arguments[name] = from_node(node)
    results = tree.leaves(_called(f, arguments))
    if weights.computed(weights.called(topological(map(_result, results)))):
        results = tree.leaves(_called(f, arguments))  # once more, with the arrays as leaves
    outputs, others = _with_arrays([_result(leaf) for leaf in results])
    own = _named(weights.arrays(f) if weights.is_module(f) else ())
    names = given.names | own.names
    inputs = tuple(given.names) + tuple(own.weights)
    free = {n: t for n, t in others.names.items() if n not in names and t not in names.values()}
    return Subject(
        outputs,
        leaf_names(topological(outputs), names | free),
        given.values,
        inputs,
        others.weights | own.weights | given.weights,
    )


def _parameters(f: Callable[..., Any]) -> dict[str, bool]:
    """The arguments' names, and whether each has a default."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        found = None
    wrong = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if found is None or any(each.kind in wrong for each in found):
        raise UsageError(
            "the arguments of this function have no names",
            fix="wrap it: lambda x, y: f(x, y)",
        )
    return {each.name: each.default is not inspect.Parameter.empty for each in found}


def _called(f: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """f with its first arguments by position and those after a gap by name."""
    kinds = inspect.signature(f).parameters.values()
    by_name = inspect.Parameter.KEYWORD_ONLY
    first = list(
        itertools.takewhile(lambda each: each.name in arguments and each.kind != by_name, kinds)
    )
    positional = [arguments[each.name] for each in first]
    rest = dict(list(arguments.items())[len(first) :])
    return f(*positional, **rest)


class _Given(NamedTuple):
    """The inputs made for arguments: their names, their values, and which are arrays of modules."""

    names: dict[Node, str]
    values: dict[Node, np.ndarray]
    weights: dict[Node, bool]

    def take(self, name: str, value: Any, plain: bool) -> Any:
        """The argument with an input in place of each array; numbers alone count as float64."""
        leaves, structure = tree.flatten(value)
        filled = []
        marks = weights.learned(structure)
        for (path, _), leaf, mark in zip(tree.paths(value), leaves, marks, strict=True):
            if not isinstance(leaf, ARRAYS):
                filled.append(leaf)
                continue
            array = np.asarray(leaf, np.float64) if plain else _array(leaf)
            label = f"{name}.{path}" if path else name
            node = variable(label, Type(array.shape, as_dtype(array.dtype)))
            self.names[node], self.values[node] = label, array
            if mark is not None:
                self.weights[node] = mark
            filled.append(from_node(node))
        return tree.unflatten(structure, filled)


def _array(value: Any) -> np.ndarray:
    return as_tensor(value).numpy()


def _result(leaf: Any) -> Node:
    if not isinstance(leaf, ARRAYS):
        raise TracingError(
            f"the function returned {type(leaf).__name__}", fix="return tensors, in containers"
        )
    return (as_tensor(leaf) if isinstance(leaf, Tensor) else from_value(np.asarray(leaf))).node


def _of_program(compiled: Compiled) -> Subject:
    """The graph of the latest trace of a compiled function."""
    program = compiled.programs[-1]
    inputs = program.traced.inputs
    outputs = program.traced.outputs
    names = dict(zip(inputs, program.names, strict=True))
    marks = weights.marked(inputs, program.learned)
    return Subject(outputs, leaf_names(topological(outputs), names), {}, tuple(inputs), marks)


# ---------------------------------------------------------------------------------- choice


def chosen(subject: Subject, wrt: Any) -> dict[str, Node]:
    """The leaves that `wrt` names: None, a name, a tensor, or several. A name such as `model`
    stands for all leaves below it."""
    if wrt is None:
        return {subject.names[node]: node for node in subject.variables()}
    found: dict[str, Node] = {}
    for each in [wrt] if isinstance(wrt, (str, Tensor, Node)) else list(wrt):
        for node in _matching(subject, each):
            if not is_float(node.dtype):
                raise GradientError(
                    f"a derivative with respect to {subject.names[node]}, which is {node.type}",
                    fix="differentiate with respect to floats",
                )
            found[subject.names[node]] = node
    return found


def _matching(subject: Subject, wanted: Any) -> list[Node]:
    known = {**subject.names, **{node: subject.names[node] for node in subject.inputs}}
    if isinstance(wanted, (Tensor, Node)):
        node = wanted if isinstance(wanted, Node) else wanted.node
        matches = [node] if node in known else []
        label = "this tensor"
    else:
        matches = [
            n for n, name in known.items() if name == wanted or name.startswith(f"{wanted}.")
        ]
        label = f"{wanted!r}"
    if not matches:
        names = ", ".join(dict.fromkeys(known.values())) or "none"
        raise UsageError(f"there is no variable {label}", fix=f"the variables are: {names}")
    return matches


def bound(subject: Subject, at: Mapping[str, Any]) -> dict[Node, np.ndarray]:
    """Values of leaves by their names, in their shapes and dtypes, beside those that are known.

    Raises UsageError for a name that is not there, for one that has no value, and for a value of
    another shape.
    """
    by_name = {name: node for node, name in subject.names.items()}
    given: dict[str, np.ndarray] = {}
    for name, value in at.items():
        given |= {name: _array(value)} if name in by_name else dict(_labelled(name, value))
    _require_known(given, by_name)
    found = dict(subject.values)
    for name, array in given.items():
        node = by_name[name]
        if array.shape != node.shape:
            what = f"{name} has shape {list(node.shape)}, not {list(array.shape)}"
            raise UsageError(what, fix="derive it for these shapes: shapes={…}")
        found[node] = array.astype(node.dtype)
    require_values(subject, found)
    return found


def _labelled(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of an argument with their names, as they were given to its inputs."""
    for path, leaf in tree.paths(value):
        if isinstance(leaf, ARRAYS):
            yield (f"{name}.{path}" if path else name), _array(leaf)


def require_values(subject: Subject, values: Mapping[Node, Any]) -> None:
    """Raise UsageError unless every input has a value."""
    inputs = [node for node in subject.inputs if node.op.name == "input"]
    missing = [subject.names[node] for node in inputs if node not in values]
    if missing:
        raise UsageError(f"no value for {', '.join(missing)}", fix=f"give it: {missing[0]}=…")


def _require_known(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise UsageError(f"there is no variable {name!r}", fix=f"the variables are: {names}")


def step_names(subject: Subject) -> dict[Node, str]:
    """Short names of all nodes: leaves by their own, the rest a, b, c …, the output f."""
    names = dict(subject.names)
    free = letters(names.values())
    final = subject.outputs[0] if len(subject.outputs) == 1 else None
    for node in subject.order:
        if node in names or (_is_written_out(node) and node is not final):
            continue
        is_final = node is final and "f" not in names.values()
        names[node] = "f" if is_final else next(free)
    return names


def _is_written_out(node: Node) -> bool:
    """Numbers and short unnamed arrays stand in the formulas; they get no name of their own."""
    return node.op.name in ("full", "constant")
