"""`python -m tests.oracles`: how many of PyTorch's operators are offered, agree, disagree."""

from __future__ import annotations

import argparse
import warnings

from tests.oracles import comparison, offered
from tests.oracles.comparison import torch


def main() -> int:
    """Prints the report; 1 where an operator disagrees."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracles", description=__doc__)
    parser.add_argument("names", nargs="*", help="operators; all of the table by default")
    parser.add_argument("--skipped", action="store_true", help="what is skipped, and why")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    operators = comparison.operators()
    names = options.names or list(offered.ROWS)
    outcomes = {name: comparison.outcome(operators[name], offered.ROWS[name]) for name in names}
    report(outcomes, len(operators), options.skipped)
    return 1 if any(each.differences for each in outcomes.values()) else 0


def report(outcomes: dict[str, comparison.Outcome], known: int, with_skipped: bool) -> None:
    """The differences, what was skipped, and the counts."""
    for name, each in outcomes.items():
        if each.differences:
            print(f"{name} disagrees on {len(each.differences)} samples:\n{each.differences[0]}\n")
        if with_skipped:
            for reason, count in each.skipped.items():
                print(f"{name}: {count} samples skipped: {reason}")
    if with_skipped:
        for name, reason in offered.LEFT_OUT.items():
            print(f"{name} is left out: {reason}")
    wrong = sum(bool(each.differences) for each in outcomes.values())
    compared = sum(each.agreeing for each in outcomes.values())
    skipped = sum(sum(each.skipped.values()) for each in outcomes.values())
    print(f"operators of PyTorch {torch.__version__}: {known}")
    print(f"offered: {len(outcomes)}")
    print(f"agreeing: {len(outcomes) - wrong}, on {compared} samples ({skipped} skipped)")
    print(f"disagreeing: {wrong}")
    print(f"left out, each with its reason: {len(offered.LEFT_OUT)}")


if __name__ == "__main__":
    raise SystemExit(main())
