"""What a check found: what, where, how sure, what to do; and all of it together, as a report.

Not here: the checks (`checks.py`), how a report looks (`page.py`, `kedja/cli/inspect.py`).
Next: `subject.py`, what is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["defect", "notice"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    - `severity`: a `defect` spoils what is learned or measured; a `notice` is worth knowing.
    - `where`: the examples or columns, by line, file or row; all of them.
    - `rows`: the numbers of the examples in the data, from 0 (in the test data, if `in_test`).
    - `chance`: how probable as much would be if nothing were wrong; None where that is no
      question, as with a cell that is no number.
    - `sure`: how sure, in words.
    - `figures`: numbers that belong to it, by name.
    """

    check: str
    severity: Severity
    what: str
    fix: str
    where: Sequence[str] = ()
    rows: Sequence[int] = ()
    chance: float | None = None
    sure: str = "certain"
    figures: Mapping[str, Any] = field(default_factory=dict)
    in_test: bool = False

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types; its keys are the fields' names."""
        return {
            "check": self.check,
            "severity": self.severity,
            "what": self.what,
            "where": list(self.where),
            "rows": [int(row) for row in self.rows],
            "in_test": self.in_test,
            "sure": self.sure,
            "chance": self.chance,
            "fix": self.fix,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True)
class Bars:
    """A histogram: counts of values between edges (numbers), or of the commonest names."""

    counts: tuple[int, ...]
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Counts and the names that they belong to."""
        return {"counts": list(self.counts), "names": list(self.names)}


@dataclass(frozen=True)
class Summary:
    """One column, or the labels, in a few figures by name."""

    name: str
    kind: str
    figures: Mapping[str, Any]
    bars: Bars

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types."""
        bars = self.bars.to_json()
        return {"name": self.name, "kind": self.kind, **self.figures, "histogram": bars}


@dataclass(frozen=True, repr=False)
class Report:
    """All that was found in a data set: facts, a summary of each column, findings by severity."""

    name: str
    kind: str
    facts: Mapping[str, Any]
    summaries: tuple[Summary, ...]
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]

    @property
    def defects(self) -> tuple[Finding, ...]:
        """The findings that spoil what is learned or measured."""
        return tuple(each for each in self.findings if each.severity == "defect")

    @property
    def notices(self) -> tuple[Finding, ...]:
        """The findings that are worth knowing."""
        return tuple(each for each in self.findings if each.severity == "notice")

    def __repr__(self) -> str:
        counts = f"{len(self.defects)} defects, {len(self.notices)} notices"
        found = (f"{each.severity}: {each.check}: {each.what}" for each in self.findings)
        return "\n".join([f"{self.name}: {counts}, by {len(self.checks)} checks", *found])

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types, with the same keys for every data set."""
        return {
            "data": self.name,
            "kind": self.kind,
            **self.facts,
            "columns": [each.to_json() for each in self.summaries],
            "checks": list(self.checks),
            "defects": len(self.defects),
            "notices": len(self.notices),
            "findings": [each.to_json() for each in self.findings],
        }
