"""`kedja inspect --learning-curve`: the error of networks trained on more and more of the data.

Not here: the training (`kedja/inspection/curves.py`). Next: `inspect.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kedja.cli import options, runs
from kedja.cli.output import note, say, say_json
from kedja.front.tables import rendered
from kedja.ground.errors import Interrupted
from kedja.inspection.curves import LearningCurve, learning_curve
from kedja.inspection.power_law import FARTHEST
from kedja.views import figures


def run(
    data: str,
    label: str | None,
    sizes: str | None,
    seeds: int,
    out: Path | None,
    plot: Path | None,
    json: bool,
) -> None:
    """Measure the curve and print it; what is measured is kept in `out`."""
    if plot is not None:
        figures.require(plot)
    with _kept_in(out, _command(data, label, sizes, seeds)):
        found = learning_curve(
            data,
            label=label,
            sizes=None if sizes is None else options.sizes(sizes, "--sizes"),
            seeds=seeds,
            folder=out,
            progress=_told,
        )
    if plot is not None:
        _draw(found, plot)
    if json:
        say_json(found.to_json())
    else:
        for line in lines(found):
            say(line)


def _command(data: str, label: str | None, sizes: str | None, seeds: int) -> list[str]:
    """The command line that measures the same curve, but for the folder."""
    line = ["kedja", "inspect", data, "--learning-curve", "--seeds", str(seeds)]
    line += ["--label", label] if label else []
    return line + (["--sizes", sizes] if sizes else [])


@contextmanager
def _kept_in(out: Path | None, command: Sequence[str]) -> Iterator[None]:
    """What stops the measuring says how to go on; without a folder, that nothing is kept."""
    if out is not None:
        with runs.resumable(shlex.join([*command, "--out", str(out)]), out):
            yield
        return
    try:
        yield
    except Interrupted as stop:
        raise Interrupted(f"{stop}; with --out FOLDER they would be kept") from None


def _told(size: int, seed: int, error: float) -> None:
    note(f"{size:,} examples, network {seed + 1}: {error:.4g}")


def _draw(found: LearningCurve, file: Path) -> None:
    figures.save(found.plot().figure, file)
    note(f"wrote {file}")


def lines(found: LearningCurve) -> list[str]:
    """The curve as it is printed."""
    error = "wrong" if found.measure == "wrong" else "error"
    rows = []
    for place, size in enumerate(found.sizes):
        low, high = found.interval(place)
        span = "" if low != low else f"{_shown(found, low)} to {_shown(found, high)}"
        rows.append([f"{size:,}", _shown(found, found.means[place]), span])
    table = rendered(["examples", error, "95 % interval"], rows, numbers=["examples", error])
    head = f"{found.name}: tested on {found.tested:,} examples that no network saw"
    return [head, "", table, "", _law(found)]


def _shown(found: LearningCurve, error: float) -> str:
    return f"{max(error, 0.0):.2%}" if found.measure == "wrong" else f"{error:.5g}"


def _law(found: LearningCurve) -> str:
    law = found.law
    if law is None:
        return "too few sizes, or no error left, to fit a law"
    text = f"error(n) = {law.a:.3g} · n^(−{law.b:.3g}) + {law.c:.3g}"
    if law.b < 0.01:
        return f"{text}: more examples of this kind do not help this network"
    n = found.sizes[-1] * FARTHEST
    middle, low, high = (_shown(found, each) for each in found.expected(n))
    text += f"; at {n:,} examples {middle} ({low} to {high})"
    return f"{text}, if the law holds that far"
