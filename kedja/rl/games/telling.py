"""What a run of self-play shows of itself on stderr. Not here: the loop. Next: `showing.py`."""

from __future__ import annotations

from collections.abc import Sequence

from kedja.rl.games.kept import Evaluation, Iteration


def head(number: int, iterations: int) -> str:
    """Which iteration it is.

    >>> head(3, 40)
    'iteration 3/40'
    """
    return f"iteration {number:,}/{iterations:,}"


def text(row: Iteration, iterations: int, evaluations: Sequence[Evaluation]) -> str:
    """An iteration in one line.

    >>> text(Iteration(12, 640, 7.5, 0.61, 0.912, 0.104), 30, ())
    'iteration 12/30  640 positions  policy loss 0.912  value loss 0.104'
    """
    line = (
        f"{head(row.number, iterations)}  {row.examples:,} positions  "
        f"policy loss {row.policy_loss:.3f}  value loss {row.value_loss:.3f}"
    )
    if not evaluations:
        return line
    last = evaluations[-1].match
    return f"{line}  {last.both.points:.0%} against {last.opponent}"
