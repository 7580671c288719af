"""All passes run once: from a graph to a plan and its object code.

Equal kernels become one function. Not here: the cache and the program (`pipeline.py`).
Next: `runtime.py`.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from textwrap import indent

from kedja.compiler import attend, fuse, halves, layouts, reciprocals, runtime_object, split, widen
from kedja.compiler.attention_kernels import AttentionKernel
from kedja.compiler.attention_plan import plan as attention_plan
from kedja.compiler.build import Build
from kedja.compiler.carried_sums import sums_taken_out
from kedja.compiler.clock import timed
from kedja.compiler.flow import Views, distinct, flow_kernels, inside_too, ready
from kedja.compiler.gathers import gathered
from kedja.compiler.kernels import (
    FlowKernel,
    KernelUnit,
    LoopKernel,
    ProductKernel,
    ScatterKernel,
    StridedKernel,
    kernels_of,
)
from kedja.compiler.llvm_attention import emit_attention, emit_gradient
from kedja.compiler.llvm_kernel import (
    Cut,
    emit_nest,
    emit_scatter,
    epilogue_of,
    scatter_shape,
    streams_of,
    unit_of,
)
from kedja.compiler.llvm_matmul import FIRST_EXTRA, emit_matmul
from kedja.compiler.llvm_module import new_module
from kedja.compiler.llvm_strided import emit_strided
from kedja.compiler.loops import Nest
from kedja.compiler.matmul_plan import MatmulShape, Plans, SplitAxis
from kedja.compiler.matmul_plan import plan as product_plan
from kedja.compiler.memory import Again, AnyUse, Branch, Use, most_alive, plan_of
from kedja.compiler.runtime_background import Background
from kedja.compiler.runtime_plan import Buffer
from kedja.compiler.runtime_target import Target, current_target
from kedja.compiler.scanned_rows import stepped
from kedja.compiler.schedule import Schedule, flops, schedule, task_count
from kedja.compiler.signature import signature
from kedja.compiler.simplify import simplify
from kedja.compiler.strided_plan import plan as strided_plan
from kedja.compiler.sunk import weights_sunk
from kedja.compiler.taken_out import taken_out
from kedja.ground.errors import VerificationError
from kedja.ground.flags import flags
from kedja.ground.pages import Pages
from kedja.ground.report import GRAPHS, LOOPS, MACHINE, PASSES, report
from kedja.ir.graph import Node, topological
from kedja.ir.inside import graphs
from kedja.ir.verify import verify


@dataclass(frozen=True)
class Lowered:
    """A graph as kernels in order, with the roles of its values."""

    outputs: tuple[Node, ...]
    inputs: tuple[Node, ...]
    constants: tuple[Node, ...]
    carry: Mapping[Node, Node]
    watch: Node | None
    schedule: Schedule


def build(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    constants: Sequence[Node],
    carry: Mapping[int, int],
    watch: int | None,
    target: Target,
    *,
    text: bool = False,
) -> Build:
    """Compile a graph for a target; `text` asks for assembly instead of object code."""
    lowered = lower(outputs, inputs, constants, carry, watch, target)
    report(LOOPS, lambda: f"kernels:\n{kernels_text(lowered.schedule)}")
    arena = None if text else _arena_of(lowered)
    emitter = Emitter(target, None if text else Background(target))
    with timed("emit"):
        uses = emitter.uses(lowered.schedule)
    with timed("memory"):
        views = views_of(lowered.schedule)
        plan = plan_of(uses, homes(lowered), views, len(inputs), _returned(lowered), lowered.watch)
    report(MACHINE, emitter.text)
    if text:
        return Build(plan, assembly=emitter.assembly())
    with timed("llvm"):
        return Build(plan, emitter.object_code(), arena=arena)


def _arena_of(lowered: Lowered) -> Pages:
    """Memory for the first run, made ready while LLVM works; the rest of it costs nothing."""
    kernels, others = lowered.schedule.kernels, {*homes(lowered), *views_of(lowered.schedule)}
    least = most_alive([(*each.writes, *each.reads) for each in kernels], others)
    return Pages(2 * least, least)


def lower(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    constants: Sequence[Node],
    carry: Mapping[int, int],
    watch: int | None,
    target: Target | None = None,
) -> Lowered:
    """The passes from graph to schedule, for the current target unless told otherwise."""
    target = target or current_target()
    report(GRAPHS, lambda: f"graph:\n{_listing(outputs)}")
    applied: Counter[str] = Counter()
    with timed("simplify"):
        graph = inside_too(outputs, lambda each: _simplified(each, applied))
        graph = weights_sunk(_rearranged(graph, applied))
    _verified(graph)
    report(PASSES, lambda: _rules_text(applied))
    with timed("widen"):
        graph = inside_too(graph, lambda each: _widened(each, applied))
    with timed("split"):
        graph = inside_too(graph, reciprocals.reciprocals)
        graph = inside_too(graph, split.split)
        graph = inside_too(graph, halves.halved)
    _verified(graph, "widened")
    report(PASSES, lambda: f"simplified, widened and split:\n{_listing(graph)}")
    graph = ready(graph)
    unchanged = [i in carry and inputs[carry[i]] is node for i, node in enumerate(graph)]
    final = distinct(graph, unchanged, [i in carry or i == watch for i in range(len(graph))])
    _require_given(final, constants)
    replaced = {final[i]: inputs[j] for i, j in carry.items() if final[i] is not inputs[j]}
    watched = None if watch is None else final[watch]
    with timed("fuse"):
        fusion = fuse.Fusion(final, pairs=target.has_bfloat16_dot)
    with timed("kernels"):
        kernels = [*kernels_of(fusion), *flow_kernels(fusion)]
    apart: frozenset[Node] = frozenset() if watched is None else frozenset((watched,))
    with timed("schedule"):
        order = schedule(kernels, replaced, apart)
    return Lowered(
        tuple(final),
        tuple(inputs),
        tuple(constants),
        carry_of(final, carry, inputs),
        watched,
        order,
    )


def _widened(outputs: Sequence[Node], applied: Counter[str]) -> list[Node]:
    """Half dtypes as casts; attention on them is made ready when these are there."""
    graph = widen.widen(outputs)
    if not attend.is_rounded(graph):
        return graph
    return simplify(attend.attend(graph), applied, layouts.KNOWN)


def _simplified(outputs: Sequence[Node], applied: Counter[str]) -> list[Node]:
    """The graph in fewer nodes, images with their channels last."""
    graph = simplify(attend.attend(outputs), applied, layouts.KNOWN)
    if not layouts.has_layouts(graph):
        return graph
    with timed("layouts"):
        return simplify(layouts.channels_last(graph), applied)


def _rearranged(outputs: Sequence[Node], applied: Counter[str]) -> list[Node]:
    """The graph with its sums and products where they take the least work."""
    graph = inside_too(outputs, lambda each: taken_out(stepped(gathered(each))))
    graph = sums_taken_out(graph)
    if all(new is old for new, old in zip(graph, outputs, strict=True)):
        return graph
    return inside_too(graph, lambda each: simplify(each, applied))


def _require_given(outputs: Sequence[Node], constants: Sequence[Node]) -> None:
    """Every array in the graph is one that the program is handed."""
    found = {node for node in topological(outputs) if node.op.name == "constant"}
    if not found <= set(constants):
        raise VerificationError(
            "an expansion made an array of its own", fix="name its op in TABLED of inline.py"
        )


def _listing(graph: Sequence[Node]) -> str:
    """The graph as text; what makes it takes as long to load as several passes take."""
    text: str = importlib.import_module("kedja.ir.show").GraphView(graph).listing()
    return text


def _rules_text(applied: Counter[str]) -> str:
    lines = (f"  {count:5d}  {name}" for name, count in applied.most_common())
    return "\n".join(("rules applied:", *lines))


def _verified(graph: Sequence[Node], stage: str = "lowered") -> None:
    if flags().verify:
        with timed("verify"):
            verify(graph, stage=stage)


def carry_of(
    final: Sequence[Node], carry: Mapping[int, int], inputs: Sequence[Node]
) -> dict[Node, Node]:
    """Carried outputs and the inputs that they replace."""
    return {final[i]: inputs[j] for i, j in carry.items()}


def _returned(lowered: Lowered) -> int:
    return len(lowered.outputs) - len(lowered.carry)


def homes(lowered: Lowered) -> dict[Node, Buffer]:
    """The values that do not live in the arena."""
    found: dict[Node, Buffer] = {}
    for number, node in enumerate(lowered.constants):
        found[node] = Buffer("constant", number, node.type.nbytes)
    for number, node in enumerate(lowered.inputs):
        found[node] = Buffer("input", number, node.type.nbytes)
    for value, home in lowered.schedule.in_place.items():
        found[value] = found[home]
    free = [node for node in lowered.outputs if node not in lowered.carry]
    for number, node in enumerate(free):
        found[node] = Buffer("output", number, node.type.nbytes)
    return found


def views_of(order: Schedule) -> Views:
    """The values inside loops and choices that are memory of others."""
    flows = (each for each in order.kernels if isinstance(each, FlowKernel))
    return {node: view for each in flows for node, view in each.views.items()}


# --------------------------------------------------------------------------------- emission


CHUNK = 1500  # names given in a module before it is handed over: some 35 ms of LLVM's work


@lru_cache(maxsize=512)
def _product_plan(shape: MatmulShape, target: Target, in_place: bool, repeats: bool) -> Plans:
    """The plan; what is repeated keeps its rows with the threads that have written them."""
    split: SplitAxis = "rows first" if repeats else "auto"
    return product_plan(shape, target, split, in_place=in_place)


@dataclass
class Emitter:
    """Adds kernels to modules; equal ones are added once.

    A module that is long enough is handed to the background to be compiled, if there is one.
    """

    target: Target
    background: Background | None = None
    _made: dict[Hashable, list[tuple[str, int, int]]] = field(default_factory=dict)
    _uses: list[AnyUse] = field(default_factory=list)
    _count: int = 0  # of kernels
    _depth: int = 0  # of loops and choices around

    def __post_init__(self) -> None:
        self.module = new_module(self.target)
        self._modules = [self.module]
        self._loops: dict[Nest, tuple[str, int, int]] = {}
        self._texts: dict[Nest, str] = {}

    def uses(self, order: Schedule) -> list[AnyUse]:
        """The launches of all kernels, in order."""
        in_place = frozenset(order.in_place)
        for number, kernel in enumerate(order.kernels):
            self._add(kernel, number >= order.commit, in_place)
        return self._uses

    def _hand_over(self) -> None:
        if self.background is None or self.module.length < CHUNK:
            return
        self.background.add(self.module)
        self.module = new_module(self.target)
        self._modules.append(self.module)

    def object_code(self) -> bytes:
        """The machine code of all kernels."""
        assert self.background is not None
        return self.background.finish(self.module)

    def assembly(self) -> str:
        """The same for people to read."""
        return "\n".join(runtime_object.assembly(each, self.target) for each in self._modules)

    def text(self) -> str:
        """All that LLVM is given, and what it makes of that."""
        return "\n".join((*map(str, self._modules), self.assembly()))

    def _add(self, kernel: KernelUnit, commits: bool, in_place: frozenset[Node]) -> None:
        self._hand_over()
        self._count += 1
        number = self._count
        match kernel:
            case LoopKernel():
                self._uses.append(self._loop(kernel, number, commits))
            case ScatterKernel():
                self._uses.append(self._scatter(kernel, number, commits))
            case StridedKernel():
                self._uses.append(self._strided(kernel, number, commits))
            case AttentionKernel():
                self._uses.append(self._attention(kernel, number, commits))
            case ProductKernel():
                self._uses += self._product(kernel, number, commits, kernel.root in in_place)
            case FlowKernel():
                self._flow(kernel)

    def _flow(self, kernel: FlowKernel) -> None:
        """The launches of a loop or a choice, with the repeats and jumps that make them one."""
        uses, node, (first, *second) = self._uses, kernel.node, kernel.blocks
        start = len(uses)
        match node.op.name:
            case "scan":
                self._block(kernel, first)
                uses.append(Again(node, start, node.attrs["length"]))
            case "while_loop":
                self._block(kernel, first)
                leave = len(uses)
                self._block(kernel, second[0], [Branch(node, 0, kernel.flag)])
                uses.append(Branch(node, start))
                uses[leave] = Branch(node, len(uses), kernel.flag)
            case "cond":
                self._block(kernel, first, [Branch(node, 0, kernel.flag)])
                between = len(uses)
                uses[start] = Branch(node, between + 1, kernel.flag)
                self._block(kernel, second[0], [Branch(node, 0)])
                uses[between] = Branch(node, len(uses))

    def _block(
        self, kernel: FlowKernel, block: Sequence[KernelUnit], before: Sequence[AnyUse] = ()
    ) -> None:
        self._uses += before
        self._depth += 1
        for each in block:
            self._add(each, False, kernel.in_place)
        self._depth -= 1

    def _loop(self, kernel: LoopKernel, number: int, commits: bool) -> Use:
        template = kernel.nest.like or kernel.nest
        values = [*kernel.writes, *kernel.reads]
        if template not in self._loops:
            self._loops[template] = self._emitted(kernel.nest, values)
        symbol, tasks, work = self._loops[template]
        return Use(symbol, tuple(values), tasks, commits, kernel.label, work, 0, number)

    def _emitted(self, nest: Nest, values: Sequence[Node]) -> tuple[str, int, int]:
        """The symbol of a loop nest, its tasks and its flops."""
        numbering = {node: place for place, node in enumerate(values)}
        unit = unit_of(nest, self.target)
        cut = Cut(task_count(nest, unit), unit)
        key = f"loop {cut} {signature(nest, numbering)}"
        if key not in self._made:
            name = self._name()
            emit_nest(self.module, name, nest, numbering, cut, self.target)
            self._made[key] = [(name, cut.count, 0)]
        ((symbol, tasks, _),) = self._made[key]
        return symbol, tasks, int(flops(nest))

    def _signature(self, nest: Nest, numbering: Mapping[Node, int]) -> str:
        """The text of an epilogue; those of copies are the same."""
        template = nest.like or nest
        if template not in self._texts:
            self._texts[template] = signature(nest, numbering)
        return self._texts[template]

    def _scatter(self, kernel: ScatterKernel, number: int, commits: bool) -> Use:
        values = [*kernel.writes, *kernel.reads]
        numbering = {node: place for place, node in enumerate(values)}
        shape = scatter_shape(kernel)
        kinds = [node.dtype.name for node in values]
        key = f"{kernel.root.op.name} {shape} {kinds}"
        if key not in self._made:
            name = self._name()
            emit_scatter(self.module, name, kernel, numbering)
            self._made[key] = [(name, shape.cut.count, 0)]
        ((symbol, tasks, _),) = self._made[key]
        work = shape.before * shape.count * shape.after
        return Use(symbol, tuple(values), tasks, commits, kernel.label, work, 0, number)

    def _strided(self, kernel: StridedKernel, number: int, commits: bool) -> Use:
        extra = kernel.nest.reads
        numbering = {node: place for place, node in enumerate(extra)}
        body = self._signature(kernel.nest, {**numbering, kernel.root: -1})
        key = f"strided {kernel.shape} {body}"
        if key not in self._made:
            name, chosen = self._name(), strided_plan(kernel.shape, self.target)
            epilogue = epilogue_of(kernel.nest, numbering) if kernel.has_epilogue else None
            emit_strided(self.module, name, chosen, epilogue, kernel.root.dtype)
            self._made[key] = [(name, chosen.tasks, 0)]
        ((symbol, tasks, _),) = self._made[key]
        values = (kernel.root, kernel.a, kernel.b, kernel.root, *extra)
        work = 2 * kernel.shape.multiply_adds
        return Use(symbol, values, tasks, commits, kernel.label, work, 0, number)

    def _attention(self, kernel: AttentionKernel, number: int, commits: bool) -> Use:
        shape = kernel.shape
        if not self.target.has_bfloat16_dot:
            shape = replace(shape, rounded=())
        chosen = attention_plan(shape, self.target)
        views = {name: each.view for name, each in kernel.operands.items()}
        key = f"attention {kernel.backward} {shape} {views}"
        if key not in self._made:
            name = self._name()
            emit = emit_gradient if kernel.backward else emit_attention
            size = emit(self.module, name, chosen, views)
            self._made[key] = [(name, chosen.tasks, size)]
        ((symbol, tasks, size),) = self._made[key]
        values = (*(each.base for each in kernel.operands.values()), None)
        return Use(symbol, values, tasks, commits, kernel.label, kernel.flops, size, number)

    def _product(
        self, kernel: ProductKernel, number: int, commits: bool, in_place: bool
    ) -> list[Use]:
        waits = in_place or kernel.root.dtype != kernel.product.dtype  # C cannot hold sums
        repeats = self._depth > 0
        chosen = _product_plan(kernel.shape, self.target, waits, repeats)
        extra = [*kernel.nest.reads, *(node for node in kernel.writes if node is not kernel.root)]
        numbering = {node: place for place, node in enumerate(extra)}
        body = self._signature(kernel.nest, {**numbering, kernel.root: -1})
        key = "product", kernel.shape, in_place, repeats, body
        if key not in self._made:
            name = self._name()
            epilogue = epilogue_of(kernel.nest, numbering) if kernel.has_epilogue else None
            streams = streams_of(kernel.nest, numbering) if kernel.has_epilogue else ()
            out = kernel.root.dtype
            first = FIRST_EXTRA + len(extra)
            symbols = emit_matmul(self.module, name, chosen, epilogue, out, streams, first)
            pairs = zip(symbols, chosen.phases, strict=True)
            self._made[key] = [(s, phase.tasks, chosen.scratch_bytes) for s, phase in pairs]
        scratch = None if chosen.scratch_bytes else kernel.root
        values = (kernel.root, kernel.a.base, kernel.b.base, scratch, *extra, *kernel.indices)
        work = 2 * kernel.shape.multiply_adds
        return [
            Use(symbol, values, tasks, commits, kernel.label, work, size, number)
            for symbol, tasks, size in self._made[key]
        ]

    def _name(self) -> str:
        return f"{runtime_object.PREFIX}k{len(self._made)}"


def kernels_text(order: Schedule) -> str:
    """The kernels in order, as loops, for people to read."""
    return "\n\n".join(_kernel_text(kernel) for kernel in order.kernels)


def _kernel_text(kernel: KernelUnit) -> str:
    if isinstance(kernel, ScatterKernel):
        return f"{kernel.label}: {scatter_shape(kernel)}"
    if isinstance(kernel, AttentionKernel):
        return f"{kernel.label}: {', '.join(kernel.operands)}"
    if isinstance(kernel, FlowKernel):
        return _flow_text(kernel)
    values = dict.fromkeys((*kernel.writes, *kernel.reads))
    numbering = {node: place for place, node in enumerate(values)}
    return f"{kernel.label}\n{signature(kernel.nest, numbering)}"


def _flow_text(kernel: FlowKernel) -> str:
    """The blocks of a loop or a choice, indented."""
    attrs = kernel.node.attrs
    times = f" {attrs['length']} times" if "length" in attrs else ""
    names = graphs(kernel.node)
    blocks = ("\n\n".join(map(_kernel_text, block)) for block in kernel.blocks)
    texts = (f"  {name}:\n{indent(text, '    ')}" for name, text in zip(names, blocks, strict=True))
    return "\n".join((f"{kernel.label}{times}", *texts))


def loops_of(outputs: Sequence[Node], inputs: Sequence[Node]) -> str:
    """The loops that a graph becomes, as text."""
    constants = [n for n in topological(outputs) if n.op.name == "constant"]
    return kernels_text(lower(outputs, inputs, constants, {}, None).schedule)
