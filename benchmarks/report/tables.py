"""The tables: who is faster in each group of cases, at what cost, and which goals are met.

Not here: the figures (`figures.py`), the chart (`chart.py`). Next: `profile.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from benchmarks.machine import DISTURBED
from benchmarks.report.figures import (
    JUDGE,
    WAYS,
    Json,
    against,
    best_seconds,
    of_mode,
    side_of,
)
from benchmarks.report.goals import Goal, goals
from benchmarks.report.layout import Row, table
from benchmarks.report.words import apart, megabytes, rate, seconds, share_of, times

GROUPS = {
    "train": "Training, seconds per step",
    "forward": "One example forward",
    "descent": "Gradient descent on two variables",
    "product": "Products of matrices",
    "pass": "Passes over arrays",
}
BYTES = ("pass",)  # kinds whose limit is the memory, not the multiply-adds
NETWORKS = ("train", "forward")
LOSES = "LOSES"


def show(data: Json, console: Console) -> None:
    """Everything; failures and losses last, where they are seen."""
    for kind, title in GROUPS.items():
        cases = [case for case in data["cases"] if case["kind"] == kind and case["sides"]]
        if cases:
            console.print(title, highlight=False)
            _speeds(cases, data["limits"], console)
    _costs(data, console)
    if data.get("one_thread"):
        _one_thread(data, console)
    _goals(goals(data), console)
    for line in lines(data):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


# ----------------------------------------------------------------------------------- speeds


def _speeds(cases: Sequence[Json], limits: Json, console: Console) -> None:
    """A row for each case: every side's fastest way, kedja's ways and what they gain."""
    peers = list(dict.fromkeys(s["name"] for c in cases for s in c["sides"]))[1:]
    modes = list(dict.fromkeys(mode for c in cases for mode in _own(c)["modes"]))
    head = ["case", *peers]
    for mode in modes:
        head += [f"kedja {WAYS[mode]}", "×", "quartiles"]
    rows = [_speed_row(case, peers, modes, limits) for case in cases]
    table(console, (*head, "rate", "of limit", "of mm", "against others"), rows)


def _own(case: Json) -> Json:
    own = side_of(case, "kedja")
    assert own is not None
    return own


def _speed_row(case: Json, peers: Sequence[str], modes: Sequence[str], limits: Json) -> Row:
    cells = [case["name"]]
    for name in peers:
        side = side_of(case, name)
        why = "left out" if name in case["left_out"] else ""
        cells.append(why if side is None else seconds(best_seconds(side)))
    for mode in modes:
        cells += _gain(case, mode)
    return (*cells, *_rates(case, limits), "; ".join(_verdicts(case)))


def _gain(case: Json, mode: str) -> list[str]:
    """kedja's time in one way of running, and PyTorch eager's ÷ it."""
    way = _own(case)["modes"].get(mode)
    if way is None:
        return ["", "", ""]
    found = against(case, mode)
    if found is None:
        return [seconds(way["median"]), "", ""]
    spread = f"{times(found['low'])} … {times(found['high'])}"
    return [seconds(way["median"]), times(found["ratio"]), spread]


def _rates(case: Json, limits: Json) -> tuple[str, str, str]:
    """What kedja's fastest way does in a second, and its share of the limits."""
    best = best_seconds(_own(case))
    if case["kind"] in BYTES:
        moved = case["moved"] / best
        return rate(moved, "B"), share_of(moved, limits["bytes"]), ""
    if not case["flops"]:
        return "", "", ""
    flops = case["flops"] / best
    return (
        rate(flops, "FLOP"),
        share_of(flops, limits["fma_flops"]),
        share_of(flops, limits["mm_flops"]),
    )


def _verdicts(case: Json) -> Iterator[str]:
    """To whom kedja loses, and how; and whether that counts."""
    for mode in _own(case)["modes"]:
        faster = [each for each in of_mode(case, mode) if each["ratio"] < 1]
        names = ", ".join(f"{each['peer']} {times(each['ratio'])}" for each in faster)
        if names:
            yield f"{WAYS[mode]} {LOSES} to {names}"
    if is_disturbed(case):
        yield "DISTURBED"
    if is_far(case):
        yield "FAR"


# ------------------------------------------------------------------------------------ costs


def _costs(data: Json, console: Console) -> None:
    """Import, first step, memory, side by side, of the networks (the file has those of all)."""
    networks = [case for case in data["cases"] if case["kind"] in NETWORKS]
    rows = [row for case in networks for row in _cost_rows(case)]
    head = ("case", "side", "first run", "import", "first step", "from the cache", "memory")
    table(console, head, rows)


def _cost_rows(case: Json) -> Iterator[Row]:
    for side in case["sides"]:
        for mode, start in side["starts"].items():
            cached = start["cached_seconds"]
            yield (
                case["name"],
                side["name"],
                WAYS[mode],
                seconds(side["import_seconds"]),
                seconds(start["first_seconds"]),
                "" if cached is None else seconds(cached),
                megabytes(start["peak_bytes"]) if start["peak_bytes"] else "",
            )


# ------------------------------------------------------------------------------ one thread


def _one_thread(data: Json, console: Console) -> None:
    """The ratio to PyTorch eager with one thread beside that with all."""
    threads = data["settings"]["threads"]
    console.print(f"PyTorch eager ÷ kedja, one thread and {threads}", highlight=False)
    more = {case["name"]: case for case in data["cases"]}
    rows = []
    for case in data["one_thread"]["cases"]:
        for mode in _own(case)["modes"] if case["sides"] else ():
            pair = (against(case, mode), against(more[case["name"]], mode))
            cells = ["" if each is None else times(each["ratio"]) for each in pair]
            rows.append((case["name"], WAYS[mode], *cells))
    table(console, ("case", "kedja", "× with one", f"× with {threads}"), rows)


# ------------------------------------------------------------------------------------ goals

STANDS = {True: "met", False: "MISSED", None: "open (DISTURBED)"}


def _goals(found: Sequence[Goal], console: Console) -> None:
    """All goals, but for the routine ones that are met."""
    if not found:
        return
    told = [goal for goal in found if not (goal.routine and goal.met)]
    rows = [(goal.case, goal.what, goal.found, STANDS[goal.met]) for goal in told]
    table(console, ("case", "goal", "is", ""), rows)
    counts = [sum(goal.met is each for goal in found) for each in (True, False, None)]
    met, missed, unsure = counts
    text = f"{len(found)} goals: {met} met, {missed} missed, {unsure} open"
    console.print(text, highlight=False)
    console.print()


# ------------------------------------------------------------------------------------ lines


def is_disturbed(case: Json) -> bool:
    """Whether other programs took part of the machine while this was measured."""
    ways = (way for side in case["sides"] for way in side["modes"].values())
    return any(way["disturbance"] > DISTURBED for way in ways)


def is_far(case: Json) -> bool:
    """Whether some of its samples were taken while the cores were far from each other."""
    return any(way.get("far") for side in case["sides"] for way in side["modes"].values())


def lines(data: Json) -> Iterator[str]:
    """What must not be overlooked, line by line."""
    yield _how(data)
    yield from (f"not installed: {name} (python -m benchmarks setup)" for name in data["missing"])
    for case in data["cases"]:
        for name, why in case["left_out"].items():
            yield f"left out of {case['name']}: {name}, because {why}"
    disturbed = [case["name"] for case in data["cases"] if is_disturbed(case)]
    if disturbed:
        yield f"DISTURBED by other work, take again when it is quiet: {', '.join(disturbed)}"
    yield from apart(data.get("distance"))
    far = [case["name"] for case in data["cases"] if is_far(case)]
    if far:
        yield f"cores FAR from each other at times, short steps suffer: {', '.join(far)}"
    for case in data["cases"]:
        for each in case["comparisons"]:
            if each["ratio"] < 1:
                slower = f"{1 / each['ratio']:.2f} times slower than {each['peer']}"
                yield f"kedja LOSES {case['name']} ({WAYS[each['mode']]}): {slower}"
    yield from (
        f"FAILED {case['name']}: {case['error']}" for case in data["cases"] if case["error"]
    )


def _how(data: Json) -> str:
    limits, settings, machine = data["limits"], data["settings"], data["machine"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {settings['threads']} threads; medians of "
        f"{settings['rounds']} rounds of at most {settings['seconds']:g} s; × is {JUDGE} eager's "
        f"time ÷ kedja's; the limits are {rate(limits['fma_flops'], 'FLOP')} in registers, "
        f"{rate(limits['mm_flops'], 'FLOP')} by torch.mm, {rate(limits['bytes'], 'B')} of memory"
    )
