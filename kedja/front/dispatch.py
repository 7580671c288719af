"""The short way of a call: from its arguments straight to the addresses that its program takes.

`jit` finds the program of a call by a key, made of everything that the program depends on. Most
calls are like the one before. A `Route` recognises these by a few comparisons of objects, lets each
argument put its addresses into the slots of the program, and makes the results from memory of its
own. Whatever is unusual (a lazy or traced tensor, an array in pieces, another flag, a profile)
makes it give up before anything has happened, and `jit` goes its long way.

Not here: tracing and keys (`jit.py`), the native call (`kedja/compiler/runtime_direct.py`), how
arguments are recognised (`matching.py`) and results made (`results.py`). Next: `matching.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedja.front import ambient, tree
from kedja.front.donation import Gift
from kedja.front.inheriting import Inheritance
from kedja.front.matching import Matcher, Matchers, NoRoute
from kedja.front.precision import product_dtype
from kedja.front.results import Results
from kedja.ground.flags import flags
from kedja.ir.op import Type

MISS = object()  # what a route gives for calls that are not its own


class Route:
    """The short way to one program, for calls that resemble the one it was made for."""

    def __init__(
        self,
        direct: Any,
        matchers: Sequence[Matcher],
        names: tuple[str, ...],
        inputs: int,
        results: Results,
        gifts: Inheritance | None,
    ) -> None:
        self._direct = direct
        self._matchers = tuple(matchers)
        self._names = names  # of the keyword arguments, in the order of the call
        self._count = len(matchers) - len(names)
        self._results = results
        self._gifts = gifts  # where arguments are donated
        self._outputs = 8 * inputs  # where their slots begin
        self._flags = flags()
        self._mode = ambient.current_mode()
        self._products = product_dtype()
        self._threads = direct.threads(self._flags.threads)

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The function's result, or MISS."""
        if (
            (flags() is not self._flags and flags() != self._flags)
            or ambient.current_mode() != self._mode
            or product_dtype() is not self._products
            or len(args) != self._count
            or self._direct.recorder() is not None
        ):
            return MISS
        if kwargs or self._names:
            if tuple(kwargs) != self._names:
                return MISS
            args = (*args, *kwargs.values())
        direct = self._direct
        try:
            lane = direct.idle.pop()
        except IndexError:
            lane = direct.new_lane()
        gifts = self._gifts
        # What is donated, then what keeps memory that others may give up meanwhile.
        held = [None] * gifts.count if gifts else []
        for match, value in zip(self._matchers, args):  # noqa: B905  the check takes half a µs
            if not match(value, lane, held):
                direct.idle.append(lane)
                return MISS
        if gifts and not gifts.are_free(held, lane):
            direct.idle.append(lane)
            return MISS
        results = self._results
        blocks, addresses = results.memory()
        results.pack(lane.memory, self._outputs, *addresses)
        left = gifts.take(held, lane) if gifts else ()
        if lane.run() if self._threads == 1 else lane.run_on_pool(self._threads):
            lane.reset()
        direct.idle.append(lane)
        return results.tree((blocks, addresses, left))


def route(
    program: Any,
    types: tuple[Sequence[Type], Sequence[Type]],
    structures: tuple[tree.Structure, tree.Structure],
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    gifts: Sequence[Gift],
) -> Route | None:
    """The route to a compiled program, for calls like the one that it was compiled for.

    `types` and `structures` are those of the program's inputs and outputs; static arguments are
    marked as such. None where there is no short way.
    """
    direct = getattr(program, "direct", None)
    if direct is None or flags().debug:
        return None
    args, kwargs = arguments
    (places, named), result = structures[0].children, structures[1]
    matchers = Matchers(types[0], gifts)
    try:
        made = [matchers.of(*each) for each in zip(places.children, args, strict=True)]
        by_name = dict(zip(named.static, named.children, strict=True))
        found = {name: matchers.of(by_name[name], kwargs[name]) for name in named.static}
    except NoRoute:
        return None
    made += [found[name] for name in kwargs]
    count = len(types[0])
    left = Inheritance(gifts, count) if gifts else None
    return Route(direct, made, tuple(kwargs), count, Results(result, types[1], gifts), left)
