"""A graph as text, DOT, SVG, HTML and JSON: what the terminal, a notebook and the studio show.

A small graph is shown node by node, in the order of evaluation:

    %3 = multiply(%1, %2)   float32[64, 128]   # model.py:12 layers.0

a larger one folded by its modules (`outline.py`). Not here: values and gradients beside the nodes
(`kedja/front/explanation.py`). Next: `text.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any

from kedja.ir import labels
from kedja.ir.dot import dot
from kedja.ir.fold import Block
from kedja.ir.frame import Frame, Weights
from kedja.ir.graph import Node
from kedja.ir.html import details
from kedja.ir.inside import plain_attributes
from kedja.ir.op import Bundle
from kedja.ir.outline import Line, flat, is_small, outline
from kedja.ir.picture import drawing
from kedja.ir.source import source_record
from kedja.ir.svg import draw
from kedja.ir.text import listing, outlined
from kedja.ir.values import jsonable

FORMAT = "kedja-graph"
VERSION = 2


class GraphView:
    """The nodes that some outputs need; see the module's text. Made by `kj.show`.

    `names` are what inputs are called beyond their own names, `weights` the arrays of modules and
    whether each is learned, `counts` how many numbers the call of a module learns (by the identity
    of its layer; else those of its `weights` are counted). Modules nested deeper than `depth` are
    one row each, but those that `expand` names by their paths; repeated blocks are shown once.
    Without both, a graph of up to 60 nodes is shown whole, a larger one as deep as some fifty rows
    allow.
    """

    def __init__(
        self,
        outputs: Sequence[Node],
        names: Mapping[Node, str] | None = None,
        weights: Weights | None = None,
        counts: Mapping[int, int] | None = None,
        *,
        depth: int | None = None,
        expand: Iterable[str] = (),
    ) -> None:
        self.frame = Frame(outputs, names, weights, counts)
        self.depth = depth
        self.expand = (expand,) if isinstance(expand, str) else tuple(expand)
        if self.expand:
            _ = self.lines  # an unknown path is an error here

    @property
    def outputs(self) -> tuple[Node, ...]:
        """What the graph gives."""
        return self.frame.outputs

    @property
    def order(self) -> list[Node]:
        """Every node, inputs before users."""
        return self.frame.order

    @property
    def is_flat(self) -> bool:
        """Whether every node is shown, and modules are not boxes."""
        return self.depth is None and not self.expand and is_small(self.frame)

    @cached_property
    def lines(self) -> list[Line]:
        """The rows that are shown."""
        return flat(self.frame) if self.is_flat else outline(self.frame, self.depth, self.expand)

    # ------------------------------------------------------------------------------ text

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    @property
    def title(self) -> str:
        """How large the graph is."""
        return f"graph of {len(self.order)} nodes, {len(self.outputs)} outputs"

    def text(self, *, sources: bool = True) -> str:
        """The rows as text; `sources=False` leaves out the user's lines."""
        if self.is_flat:
            return self.listing(sources=sources)
        return outlined(self.lines, self.frame, sources=sources)

    def listing(self, *, sources: bool = True) -> str:
        """One row for each node, however many there are."""
        return listing(self.frame, sources=sources)

    # -------------------------------------------------------------------------- pictures

    def dot(self) -> str:
        """The rows in Graphviz's language."""
        lines = flat(self.frame, numbers=True) if self.is_flat else self.lines
        return dot(lines)

    def svg(self) -> str:
        """The rows as a picture; single numbers stand in the formulas instead of boxes."""
        drawn = drawing(self.lines, self.frame)
        return draw(drawn.boxes, drawn.edges, self.title)

    def html(self) -> str:
        """The picture, and below it all modules as lists that can be folded."""
        return framed(self.svg()) + ("" if self.is_flat else details(self.frame))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    # ------------------------------------------------------------------------------ JSON

    def data(self) -> dict[str, Any]:
        """The graph as plain dicts and lists; `json()` as text."""
        return {"format": FORMAT, "version": VERSION, **graph_data(self.frame)}

    def json(self) -> str:
        """The graph as JSON: format, version, outputs, blocks, and the nodes in order.

        Each node has id, name, op, inputs (ids), attrs, formula, shape, dtype, source, layer, back
        (how often reverse mode went through it) and graphs (those inside it, by name, of the same
        form); one with several outputs has the list of their shapes and dtypes as `parts`. `blocks`
        are the calls of modules: layer, class, back, inputs, outputs, nodes (ids), parameters
        (how many numbers are learned), and the blocks inside.
        """
        return json.dumps(self.data(), allow_nan=False)


# --------------------------------------------------------------------------------------- data


def graph_data(frame: Frame) -> dict[str, Any]:
    """A graph with its blocks and nodes as plain dicts and lists."""
    at = {node: place for place, node in enumerate(frame.order)}
    return {
        "outputs": [at[node] for node in frame.outputs],
        "nodes": [_record(frame, node, at) for node in frame.order],
        "blocks": [_block(frame, block, at) for block in frame.root.blocks],
    }


def _record(frame: Frame, node: Node, at: Mapping[Node, int]) -> dict[str, Any]:
    return {
        "id": at[node],
        "name": frame.names.get(node, frame.numbers[node]),
        "op": node.op.name,
        "inputs": [at[each] for each in node.inputs],
        "attrs": jsonable(plain_attributes(node)),
        "formula": frame.formula(node),
        **typed_data(node),
        "source": source_record(node),
        "layer": node.scope,
        "back": node.back,
        "graphs": {inner.name: graph_data(inner.frame) for inner in frame.inner(node)},
    }


def typed_data(node: Node) -> dict[str, Any]:
    """Shape and dtype; of several outputs, those of each."""
    if isinstance(node.type, Bundle):
        parts = [{"shape": list(each.shape), "dtype": each.dtype.name} for each in node.type.parts]
        return {"shape": None, "dtype": None, "parts": parts}
    return {"shape": list(node.shape), "dtype": node.dtype.name}


def _block(frame: Frame, block: Block, at: Mapping[Node, int]) -> dict[str, Any]:
    return {
        "layer": str(block.layer),
        "class": block.kind,
        "back": block.back,
        "inputs": [at[node] for node in block.inputs],
        "outputs": [at[node] for node in block.outputs],
        "nodes": [at[node] for node in block.nodes],
        "parameters": labels.parameters(block, frame),
        "blocks": [_block(frame, each, at) for each in block.blocks],
    }


# ------------------------------------------------------------------- shared with explanations


def framed(picture: str) -> str:
    """A picture that a notebook can scroll sideways."""
    return f'<div style="overflow:auto">{picture}</div>'


def preformatted(text: str) -> str:
    """Text as HTML that keeps its columns."""
    return f"<pre>{escape(text)}</pre>"
