"""What is shown: figures as JSON, the tables made from it, and the words that say who loses.

Not here: how figures are taken (`measure.py`), the chart (`chart.py`). Next: `chart.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.machine import DISTURBED
from benchmarks.measure import Measured, Result
from kedja.ground.errors import DataError
from kedja.io.atomic import write_bytes

Json = dict[str, Any]

FORMAT = 1
GOALS = {"loop": "goal", "step": "step_goal"}  # bind against PyTorch eager
JUDGE = "torch"
WAYS = {"loop": "one call", "step": "step by step"}


# ------------------------------------------------------------------------------------- JSON


def of_case(result: Result) -> Json:
    """A case as JSON, its comparisons included."""
    case = result.case
    data: Json = {name: getattr(case, name) for name in ("name", "kind", "what", "flops")}
    data |= {"goal": case.goal, "step_goal": case.step_goal, "tolerance": case.tolerance}
    data |= {"difference": result.difference, "error": result.error}
    data["sides"] = [] if result.error else [_of_side(side) for side in result.sides]
    data["comparisons"] = [each._asdict() for each in compared(data)]
    return data


def _of_side(side: Measured) -> Json:
    modes = {}
    for name, mode in side.modes.items():
        low, high = mode.quartiles
        figures = {"median": mode.median, "q1": low, "q3": high, "samples": mode.samples}
        modes[name] = figures | {"disturbance": mode.disturbance}
    plain = ("name", "version", "import_seconds", "first_seconds", "cached_seconds", "peak_bytes")
    return {name: getattr(side, name) for name in plain} | {"modes": modes}


class Comparison(NamedTuple):
    """One peer's time ÷ kedja's: above 1, kedja is faster."""

    mode: str
    peer: str
    kedja_seconds: float
    peer_seconds: float
    ratio: float
    goal: float | None
    disturbed: bool
    verdict: str


def compared(data: Json) -> Iterator[Comparison]:
    """Each of kedja's ways of running against each peer.

    Step by step, a peer runs step by step too; against one call of kedja's it runs in whatever
    way is its fastest.
    """
    own = next((side for side in data["sides"] if side["name"] == "kedja"), None)
    for mode in GOALS if own is not None else ():
        for peer in data["sides"]:
            if own is not None and peer is not own and mode in own["modes"]:
                yield _comparison(data, mode, own, peer)


def _comparison(data: Json, mode: str, own: Json, peer: Json) -> Comparison:
    ways = peer["modes"] if mode == "loop" else {"step": peer["modes"]["step"]}
    mine, its = own["modes"][mode], min(ways.values(), key=lambda way: float(way["median"]))
    ratio = its["median"] / mine["median"]
    goal = data[GOALS[mode]] if peer["name"] == JUDGE else None
    disturbed = max(mine["disturbance"], its["disturbance"]) > DISTURBED
    words = verdict(ratio, goal, disturbed)
    medians = (mine["median"], its["median"])
    return Comparison(mode, peer["name"], *medians, ratio, goal, disturbed, words)


def verdict(ratio: float, goal: float | None, disturbed: bool) -> str:
    """Who is faster, and what became of the goal; a disturbed figure meets none."""
    words = "LOSES" if ratio < 1 else "faster"
    if goal is not None and not disturbed:
        words += f", goal {goal:g} {'met' if ratio >= goal else 'MISSED'}"
    return f"{words}, but DISTURBED" if disturbed else words


def write(path: Path, data: Json) -> None:
    """Write the figures; StorageError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(data, indent=1) + "\n").encode())


def read(path: Path) -> Json:
    """Figures that `write` wrote. Raises DataError."""
    try:
        data: Json = json.loads(path.read_text(encoding="utf-8"))
        found = data["format"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path} holds no figures: {problem}") from None
    if found != FORMAT:
        raise DataError(f"{path} has format {found}, not {FORMAT}", fix="measure again")
    return data


# ----------------------------------------------------------------------------------- tables


SPEEDS = ("case", "kedja", "per step", "quartiles", "peer", "its", "×", "")
COSTS = (
    *("case", "side", "import", "first step", "cached", "memory"),
    *("GFLOP/s", "of FMA", "of mm"),
)


def show(data: Json, console: Console) -> None:
    """Who is faster, by how much, at what cost; failures last, where they are seen."""
    speeds = [row for case in data["cases"] for row in _speed_rows(case)]
    _table(console, SPEEDS, speeds)
    costs = [row for case in data["cases"] for row in _cost_rows(case, data["limits"])]
    head = (
        "case",
        "side",
        "import",
        "first step",
        "cached",
        "memory",
        "GFLOP/s",
        "of FMA",
        "of mm",
    )
    _table(console, head, costs)
    for line in _lines(data):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _speed_rows(case: Json) -> Iterator[tuple[str, ...]]:
    own: Json = next((s["modes"] for s in case["sides"] if s["name"] == "kedja"), {})
    for mode, way in own.items():
        mine = (case["name"], WAYS[mode], seconds(way["median"]), _range(way))
        against = [each for each in case["comparisons"] if each["mode"] == mode]
        for each in against:
            its = (each["peer"], seconds(each["peer_seconds"]), times(each["ratio"]))
            yield (*mine, *its, each["verdict"])
        if not against:
            yield (*mine, "", "", "", "")


def _range(way: Json) -> str:
    return f"{seconds(way['q1'])} … {seconds(way['q3'])}"


def _cost_rows(case: Json, limits: Json) -> Iterator[tuple[str, ...]]:
    for side in case["sides"]:
        best = min(mode["median"] for mode in side["modes"].values())
        rate = case["flops"] / best
        shares = [_share(rate, limits[name]) for name in ("fma_flops", "mm_flops")]
        starts = [side[f"{name}_seconds"] for name in ("import", "first", "cached")]
        yield (
            case["name"],
            side["name"],
            *("" if each is None else seconds(each) for each in starts),
            f"{side['peak_bytes'] / 2**20:.0f} MB",
            f"{rate / 1e9:.3g}" if rate else "",
            *shares,
        )


def _share(rate: float, limit: float | None) -> str:
    return f"{100 * rate / limit:.0f} %" if rate and limit else ""


def _lines(data: Json) -> Iterator[str]:
    limits, settings, machine = data["limits"], data["settings"], data["machine"]
    yield (
        f"{machine['cpu']}, {machine['cores']} cores, {settings['threads']} threads; medians of "
        f"{settings['rounds']} rounds of {settings['seconds']:g} s; the limits are "
        f"{_rate(limits['fma_flops'])} in registers and {_rate(limits['mm_flops'])} by torch.mm"
    )
    yield from (f"not installed: {name} (python -m benchmarks setup)" for name in data["missing"])
    disturbed = [case["name"] for case in data["cases"] if _is_disturbed(case)]
    if disturbed:
        yield f"DISTURBED by other work, take again when it is quiet: {', '.join(disturbed)}"
    for case in data["cases"]:
        for each in case["comparisons"]:
            if each["ratio"] < 1:
                way = WAYS[each["mode"]]
                slower = f"{1 / each['ratio']:.2f} times slower than {each['peer']}"
                yield f"kedja LOSES {case['name']} ({way}): {slower}"
    yield from (
        f"FAILED {case['name']}: {case['error']}" for case in data["cases"] if case["error"]
    )


def _is_disturbed(case: Json) -> bool:
    ways = (way for side in case["sides"] for way in side["modes"].values())
    return any(way["disturbance"] > DISTURBED for way in ways)


def _rate(flops: float | None) -> str:
    return "unknown" if flops is None else f"{flops / 1e9:.0f} GFLOP/s"


def show_profile(name: str, launches: Sequence[Json], limit: float, console: Console) -> None:
    """Where the time of a step goes, launch by launch in the order in which they run."""
    total = sum(each["seconds"] for each in launches)
    rows = [
        (
            each["label"],
            each["kernel"].removeprefix("kedja_"),
            str(each["tasks"]),
            seconds(each["seconds"]),
            f"{100 * each['seconds'] / total:.0f} %",
            f"{each['flops'] / each['seconds'] / 1e9:.1f}" if each["seconds"] else "",
            _share(each["flops"] / each["seconds"], limit) if each["seconds"] else "",
        )
        for each in launches
    ]
    console.print(f"{name}: {seconds(total)} a step in {len(launches)} launches", highlight=False)
    _table(console, ("launch", "kernel", "tasks", "time", "share", "GFLOP/s", "of FMA"), rows)


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def times(ratio: float) -> str:
    """A ratio in as many digits as mean something."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _table(console: Console, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Drawn on a terminal, plain columns elsewhere; words left, figures right."""
    if not rows:
        return
    if not console.is_terminal:
        _plain(console, head, rows)
        return
    table = Table()
    for title, right in zip(head, _numeric(rows), strict=True):
        table.add_column(title, justify="right" if right else "left")
    for row in rows:
        table.add_row(*row, style="bold red" if "LOSES" in row[-1] else "")
    console.print(table)


def _plain(console: Console, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = _numeric(rows)
    for row in (head, *rows):
        cells = zip(row, widths, right, strict=True)
        texts = [cell.rjust(width) if to else cell.ljust(width) for cell, width, to in cells]
        console.print("  ".join(texts).rstrip(), markup=False, highlight=False, soft_wrap=True)
    console.print()


def _numeric(rows: Sequence[tuple[str, ...]]) -> list[bool]:
    """Which columns hold figures: those whose cells all begin with a digit, or are empty."""
    return [
        all(not cell or cell[0].isdigit() for cell in column) for column in zip(*rows, strict=True)
    ]
