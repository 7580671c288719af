"""How often each class is there, and what is to be had by always naming the commonest.

Not here: labels that are wrong (`wrong_labels.py`). Next: `duplicates.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kedja.data.dataset import UNBALANCED
from kedja.ground.suggest import counted, listed
from kedja.inspection.finding import Finding
from kedja.inspection.look import FEWEST, Look
from kedja.inspection.subject import Labels


def counts(labels: Labels) -> dict[str, int]:
    """How often each class is there, in the classes' order."""
    found = np.bincount(labels.codes[labels.codes >= 0], minlength=len(labels.classes))
    return dict(zip(labels.classes, found.tolist(), strict=True))


def balance(look: Look) -> Iterator[Finding]:
    """Examples without a label, one class alone, rare classes, and those that only the test has."""
    labels = look.data.labels
    if labels is None:
        return
    yield from _unlabelled(look, labels)
    if not labels.are_classes:
        return
    found = counts(labels)
    if len(found) == 1 and len(look.data) > 1:
        what = f"every example has the same label, {labels.classes[0]!r}"
        yield Finding("balance", "defect", what, "add examples of other classes")
    yield from _rare(labels, found)
    yield from _unknown(look, labels)


def _unlabelled(look: Look, labels: Labels) -> Iterator[Finding]:
    gone = ~np.isfinite(labels.values) if labels.values is not None else labels.codes < 0
    rows = np.flatnonzero(gone)
    if len(rows) == len(look.data):
        what = f"no example has a label: {labels.name!r} is empty"
        yield Finding("balance", "defect", what, "name the label's column with --label")
    elif len(rows):
        yield Finding(
            "balance",
            "notice",
            f"{len(rows):,} examples have no label",
            "label them; training leaves them out",
            look.data.named(rows),
            rows.tolist(),
        )


def _rare(labels: Labels, found: dict[str, int]) -> Iterator[Finding]:
    most = max(found.values(), default=0)
    share = most / max(sum(found.values()), 1)
    rare = [name for name, count in found.items() if count < FEWEST]
    if rare and len(found) > 1:
        shown = listed([f"{name} ({found[name]})" for name in rare])
        has = counted(len(rare), "class has", "classes have")
        what = f"{has} fewer than {FEWEST} examples: {shown}"
        yield Finding("balance", "notice", what, "add examples, or join classes", rare)
    elif found and most > UNBALANCED * min(found.values()):
        least = min(found, key=lambda name: found[name])
        yield Finding(
            "balance",
            "notice",
            f"classes are unbalanced: {most:,} examples of the commonest, {found[least]:,} of "
            f"{least!r}",
            f"judge by the classes apart: to name the commonest is right in {share:.1%}",
            [least],
            figures={"commonest_share": share},
        )


def _unknown(look: Look, labels: Labels) -> Iterator[Finding]:
    held = None if look.test is None else look.test.labels
    if held is None or not held.are_classes:
        return
    new = [name for name in held.classes if name not in labels.classes]
    if new:
        what = f"the test data has classes that the training data lacks: {listed(new)}"
        yield Finding("balance", "defect", what, "divide the data anew, class by class", new)
