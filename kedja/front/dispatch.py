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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kedja.front import ambient, tree
from kedja.front.donation import Gift
from kedja.front.inheriting import Inheritance
from kedja.front.matching import Matcher, Matchers, NoRoute
from kedja.front.precision import product_dtype
from kedja.front.results import Results
from kedja.ground.flags import Flags, flags
from kedja.ir.op import Type

MISS = object()  # what a route gives for calls that are not its own


Route = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]  # the function's result, or MISS


def _route(
    direct: Any,
    matchers: Sequence[Matcher],
    names: tuple[str, ...],
    results: Results,
    gifts: Inheritance | None,
) -> Route:
    """The short way to one program, for calls that resemble the one it was made for.

    `names` are those of the keyword arguments, in the order of the call; `gifts` is there where
    arguments are donated. A closure, since its variables are found faster than fields.
    """
    settings, mode, products = flags(), ambient.current_mode(), product_dtype()
    is_usual = _usual(direct.recorder, settings, mode, products)
    count, blank = len(matchers) - len(names), [None] * (gifts.count if gifts else 0)
    threads = direct.threads(settings.threads)
    idle, new_lane = direct.idle, direct.new_lane

    def route(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if len(args) != count or not is_usual():
            return MISS
        if kwargs or names:
            if tuple(kwargs) != names:
                return MISS
            args = (*args, *kwargs.values())
        try:
            lane = idle.pop()
        except IndexError:
            lane = new_lane()
        held = blank.copy()  # what is donated; then what keeps memory others may give up meanwhile
        for match, value in zip(matchers, args):  # noqa: B905  the check takes half a µs
            if not match(value, lane, held):
                idle.append(lane)
                return MISS
        if gifts and not gifts.are_free(held, lane):
            idle.append(lane)
            return MISS
        blocks, packed = results.memory(lane)
        left = gifts.take(held, lane) if gifts else ()
        if lane.run() if threads == 1 else lane.run_on_pool(threads):
            lane.reset()
        idle.append(lane)
        return results.tree((blocks, packed, left))

    return route


def _usual(recorder: Any, settings: Flags, mode: Any, products: Any) -> Callable[[], bool]:
    """Whether a call is made in the surroundings that its route was made in."""

    def is_usual() -> bool:
        now = flags()
        return (
            (now is settings or now == settings)
            and ambient.current_mode() == mode
            and product_dtype() is products
            and recorder() is None
        )

    return is_usual


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
    results = Results(result, types[1], count, gifts)
    return _route(direct, made, tuple(kwargs), results, left)
