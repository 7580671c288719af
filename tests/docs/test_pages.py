"""Every page can be found from the README, and what the map of the house names is there."""

from __future__ import annotations

import re

from tests.paths import ROOT


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text("utf-8")
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/README.md")]
    assert len(pages) > 20
    missing = [
        str(page.relative_to(ROOT)) for page in pages if f"({page.relative_to(ROOT)}" not in readme
    ]
    assert not missing


def test_the_map_of_the_house_names_what_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    packages = [each.parent.name for each in (ROOT / "kedja").glob("*/__init__.py")]
    assert [
        name for name in packages if f"`kedja/{name}`" not in text and f"`{name}`" not in text
    ] == []
    known = {
        path.name
        for folder in ("kedja", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    named = set(re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", text))
    assert len(named) > 100
    assert named <= known
