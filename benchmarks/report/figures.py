"""Figures as JSON, and the comparisons in them: a peer's time ÷ kedja's.

Not here: what is wanted of them (`goals.py`), the tables (`tables.py`). Next: `goals.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.limits.distance import Cores
from benchmarks.machine import DISTURBED
from benchmarks.measure import Measured, Result
from kedja.ground.errors import DataError
from kedja.io.atomic import write_bytes

Json = dict[str, Any]

FORMAT = 2
GOALS = {"loop": "goal", "step": "step_goal"}  # bind against PyTorch eager
JUDGE = "torch"
WAYS = {"loop": "one call", "step": "step by step"}
OF_CASE = ("name", "kind", "what", "flops", "moved", "tolerance")
OF_GOALS = ("goal", "step_goal", "bandwidth_goal")
OF_RESULT = ("difference", "losses", "left_out", "error")


def of_case(result: Result, cores: Cores) -> Json:
    """A case as JSON, its comparisons included."""
    data: Json = {name: getattr(result.case, name) for name in (*OF_CASE, *OF_GOALS)}
    data |= {name: getattr(result, name) for name in OF_RESULT}
    data["sides"] = [] if result.error else [_of_side(side, cores) for side in result.sides]
    data["comparisons"] = [each._asdict() for each in compared(data)]
    return data


def _of_side(side: Measured, cores: Cores) -> Json:
    modes = {}
    for name, mode in side.modes.items():
        low, high = mode.quartiles
        figures = {"median": mode.median, "q1": low, "q3": high, "samples": mode.samples}
        apart = {"distances": mode.distances, "again": mode.again}
        apart["far"] = sum(map(cores.are_far, mode.distances))
        modes[name] = figures | {"disturbance": mode.disturbance} | apart
    starts = {name: vars(start) for name, start in side.starts.items()}
    plain = ("name", "version", "import_seconds", "peak_bytes")
    return {name: getattr(side, name) for name in plain} | {"starts": starts, "modes": modes}


def side_of(case: Json, name: str) -> Json | None:
    """What a side of this name has shown in a case."""
    return next((side for side in case["sides"] if side["name"] == name), None)


# ------------------------------------------------------------------------------ comparisons


class Comparison(NamedTuple):
    """One peer's time ÷ kedja's: above 1, kedja is faster; `low` and `high` are its quartiles."""

    mode: str
    peer: str
    peer_mode: str
    kedja_seconds: float
    peer_seconds: float
    ratio: float
    low: float
    high: float
    goal: float | None
    disturbed: bool


def compared(data: Json) -> Iterator[Comparison]:
    """Each of kedja's ways of running against each peer.

    Step by step, a peer runs step by step too; against one call of kedja's it runs in whatever
    way is its fastest.
    """
    own = side_of(data, "kedja")
    for mode in GOALS if own is not None else ():
        for peer in data["sides"]:
            if own is not None and peer is not own and mode in own["modes"]:
                yield _comparison(data, mode, own, peer)


def _comparison(data: Json, mode: str, own: Json, peer: Json) -> Comparison:
    ways = peer["modes"] if mode == "loop" else {"step": peer["modes"]["step"]}
    chosen = min(ways, key=lambda way: float(ways[way]["median"]))
    mine, its = own["modes"][mode], ways[chosen]
    ratio = its["median"] / mine["median"]
    low, high = _quartiles(mine, its)
    return Comparison(
        mode,
        peer["name"],
        chosen,
        mine["median"],
        its["median"],
        ratio,
        min(low, ratio),
        max(high, ratio),
        data[GOALS[mode]] if peer["name"] == JUDGE else None,
        max(mine["disturbance"], its["disturbance"]) > DISTURBED,
    )


def _quartiles(mine: Json, its: Json) -> tuple[float, float]:
    """Of the ratios round by round; where a peer ran in fewer rounds, the widest there can be."""
    if len(mine["samples"]) != len(its["samples"]):
        return its["q1"] / mine["q3"], its["q3"] / mine["q1"]
    low, high = np.percentile(np.divide(its["samples"], mine["samples"]), [25, 75])
    return float(low), float(high)


def of_mode(case: Json, mode: str) -> list[Json]:
    """The comparisons of one of kedja's ways of running."""
    return [each for each in case["comparisons"] if each["mode"] == mode]


def against(case: Json, mode: str, peer: str = JUDGE) -> Json | None:
    """The comparison with one peer."""
    return next((each for each in of_mode(case, mode) if each["peer"] == peer), None)


def best_seconds(side: Json) -> float:
    """A side's fastest way of running."""
    return min(float(mode["median"]) for mode in side["modes"].values())


# ------------------------------------------------------------------------------------ files


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
