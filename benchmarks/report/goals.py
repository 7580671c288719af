"""What is wanted of the figures, and whether it is reached.

Not here: the figures (`figures.py`), how it is shown (`tables.py`). Next: `words.py`.

A goal is met, missed, or open where other programs disturbed one of its figures. Goals whose
figures are missing (a peer that is not installed) are not listed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.machine import DISTURBED
from benchmarks.report.figures import JUDGE, WAYS, Json, against, of_mode, side_of
from benchmarks.report.words import seconds, share, times

FIRST_SECONDS = 1.0  # until the first step is done, with an empty cache
CACHED_SECONDS = 0.2  # and with a full one, beside the time of the step itself
KEPT = 0.8  # of the gain, called step by step,
KEPT_FROM = 1e-3  # where PyTorch takes at least so many seconds
PRODUCTS_MEDIAN = 1.1
DEEPER = ("deep_30", "deep_300", 1.5)  # the deeper one may take so many times longer to compile
NOISE = 0.95  # two ratios are the same within so much


class Goal(NamedTuple):
    """One goal of one case; `met` is None where it is open.

    `routine` ones, the same for every case, are worth a line only where they are missed.
    """

    case: str
    what: str
    found: str
    met: bool | None
    routine: bool = False


def goals(data: Json) -> list[Goal]:
    """All goals of a run."""
    found = [goal for case in data["cases"] for rule in RULES for goal in rule(case, data)]
    return [*found, *_products(data), *_depth(data), *_one_thread(data)]


def _judged(
    case: Json, what: str, found: str, is_met: bool, *figures: Json | None
) -> Iterator[Goal]:
    """A goal about measured figures: open where one of them was disturbed."""
    disturbed = any(each is not None and each["disturbed"] for each in figures)
    yield Goal(case["name"], what, found, None if disturbed else is_met)


def _ratios(case: Json, data: Json) -> Iterator[Goal]:
    for each in case["comparisons"]:
        if each["goal"] is not None:
            what = f"{WAYS[each['mode']]}: ≥ {each['goal']:g} × PyTorch eager"
            met = each["ratio"] >= each["goal"]
            yield from _judged(case, what, times(each["ratio"]), met, each)


def _kept(case: Json, data: Json) -> Iterator[Goal]:
    whole, step = against(case, "loop"), against(case, "step")
    if whole is None or step is None or case["kind"] != "train":
        return
    if step["peer_seconds"] >= KEPT_FROM:
        kept = step["ratio"] / whole["ratio"]
        what = f"step by step keeps ≥ {share(KEPT)} of the gain"
        yield from _judged(case, what, share(kept), kept >= KEPT, whole, step)


def _scan(case: Json, data: Json) -> Iterator[Goal]:
    jax = against(case, "loop", "jax")
    if jax is not None and jax["peer_mode"] == "loop":
        yield from _judged(
            case, "faster than JAX in lax.scan", times(jax["ratio"]), jax["ratio"] >= 1, jax
        )


def _bandwidth(case: Json, data: Json) -> Iterator[Goal]:
    own, limit = side_of(case, "kedja"), data["limits"]["bytes"]
    if case["bandwidth_goal"] is None or own is None or limit is None:
        return
    mode = own["modes"]["loop"]
    found = case["moved"] / mode["median"] / limit
    what = f"≥ {share(case['bandwidth_goal'])} of the memory's bandwidth"
    first = next(iter(of_mode(case, "loop")), None)
    yield from _judged(case, what, share(found), found >= case["bandwidth_goal"], first)


def _starts(case: Json, data: Json) -> Iterator[Goal]:
    """The first step; nobody looked for other work then, but while the steps were timed."""
    own = side_of(case, "kedja")
    if own is None:
        return
    unsure = any(mode["disturbance"] > DISTURBED for mode in own["modes"].values())
    for mode, start in own["starts"].items():
        first, cached = start["first_seconds"], start["cached_seconds"]
        what = f"{WAYS[mode]}: first step ≤ {seconds(FIRST_SECONDS)}"
        is_met = None if unsure else first <= FIRST_SECONDS
        yield Goal(case["name"], what, seconds(first), is_met, True)
        if cached is not None:
            allowed = CACHED_SECONDS + own["modes"][mode]["median"]
            what = f"{WAYS[mode]}: from the cache ≤ {seconds(allowed)}"
            is_met = None if unsure else cached <= allowed
            yield Goal(case["name"], what, seconds(cached), is_met, True)


def _memory(case: Json, data: Json) -> Iterator[Goal]:
    own, its = side_of(case, "kedja"), side_of(case, JUDGE)
    if own is not None and its is not None:
        mine, theirs = (side["peak_bytes"] / 2**20 for side in (own, its))
        what = f"memory ≤ PyTorch eager's {theirs:.0f} MB"
        yield Goal(case["name"], what, f"{mine:.0f} MB", mine <= theirs, True)


RULES: tuple[Callable[[Json, Json], Iterator[Goal]], ...] = (
    _ratios,
    _kept,
    _scan,
    _bandwidth,
    _starts,
    _memory,
)


# ------------------------------------------------------------------------ about several cases


def _products(data: Json) -> Iterator[Goal]:
    """The median over all products of a dtype."""
    for dtype in ("float32", "bfloat16"):
        cases = [c for c in data["cases"] if c["kind"] == "product" and dtype in c["what"]]
        ratios = [each for each in (against(case, "loop") for case in cases) if each is not None]
        if len(ratios) > 1:
            median = statistics.median(each["ratio"] for each in ratios)
            what = f"median of the {dtype} products ≥ {PRODUCTS_MEDIAN:g} × PyTorch"
            case = {"name": "matmul"}
            yield from _judged(case, what, times(median), median >= PRODUCTS_MEDIAN, *ratios)


def _depth(data: Json) -> Iterator[Goal]:
    """Ten times as many equal layers: no more kernels to compile, and it trains."""
    shallow, deep, most = DEEPER
    found = {case["name"]: case for case in data["cases"] if case["sides"]}
    if deep in found:
        first, last = found[deep]["losses"][0], found[deep]["losses"][-1]
        yield Goal(deep, "the loss falls", f"{first:.3g} → {last:.3g}", last < first)
    if shallow not in found or deep not in found:
        return
    starts = [_kedja_starts(found[name]) for name in (shallow, deep)]
    for mode in (mode for mode in starts[0] if mode in starts[1]):
        ratio = starts[1][mode]["first_seconds"] / starts[0][mode]["first_seconds"]
        what = f"{WAYS[mode]}: first step ≤ {most:g} × {shallow}'s"
        yield Goal(deep, what, times(ratio), ratio <= most)


def _kedja_starts(case: Json) -> Json:
    own = side_of(case, "kedja")
    return {} if own is None else dict(sorted(own["starts"].items()))


def _one_thread(data: Json) -> Iterator[Goal]:
    """With one thread the ratio to PyTorch is no worse than with all."""
    alone = data.get("one_thread") or {"cases": []}
    all_threads = {case["name"]: case for case in data["cases"]}
    for case in alone["cases"]:
        one = against(case, "loop")
        more = against(all_threads[case["name"]], "loop")
        if one is not None and more is not None:
            found = f"{times(one['ratio'])} against {times(more['ratio'])}"
            met = one["ratio"] >= NOISE * more["ratio"]
            yield from _judged(case, "one thread: no worse a ratio", found, met, one, more)
