"""Every page can be found from the README, and what pages name is there: files, links, pictures.

Not here: what the pages say, which pytest executes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import ROOT

LINK = re.compile(r"\]\(([^()\s#]*)(?:#([\w-]+))?\)|src=\"([^\"]+)\"")
CODE = re.compile(r"^```.*?^```$", re.M | re.S)
FORMULA = re.compile(r"`[^`\n]*`")
WITH_FILES = [*{each.parent for each in (ROOT / "kedja").rglob("*.py")}]


def written() -> list[Path]:
    """The pages that people write; the reference is made of docstrings."""
    return [
        ROOT / "README.md",
        *(each for each in (ROOT / "docs").rglob("*.md") if each.parent.name != "reference"),
    ]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in heads}


def broken(page: Path, text: str) -> list[str]:
    """The links of a page's text that lead nowhere, in the project."""
    found = []
    for link, anchor, picture in LINK.findall(FORMULA.sub("", CODE.sub("", text))):
        target = page.parent / (link or picture) if link or picture else page
        there = link.startswith("http") or target.exists()
        if not there or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(f"{page.relative_to(ROOT)}: {link or picture}#{anchor}")
    return found


def test_no_link_and_no_picture_is_missing():
    pages = written()
    assert len(pages) > 40
    assert [each for page in pages for each in broken(page, page.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "text", ["[a](no.md)", "[a](#none)", "[a](docs/views.md#none)", '<img src="no.png">']
)
def test_a_planted_broken_link_is_found(text):
    assert broken(ROOT / "README.md", text)
    assert not broken(ROOT / "README.md", f"`{text}`\n[b](docs/views.md#the-graph)")


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


def test_the_map_of_the_house_places_every_folder_and_names_none_that_is_not_there():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`((?:kedja|tests|benchmarks|docs)/[\w./]*)`", text))
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = {str(each.relative_to(ROOT)) for each in WITH_FILES} - {"kedja"}
    assert sorted(folders - named) == []
