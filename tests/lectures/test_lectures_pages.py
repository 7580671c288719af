"""The lecture pages as documents: links, pictures, the script that draws them, the command.

That the pages' numbers are right is tested by pytest's doctest of `docs/lectures/*.md` and by the
other files of this folder.
"""

from __future__ import annotations

import re
import shlex
import sys
from xml.etree import ElementTree

import pytest

from docs.lectures import figures
from tests.cli.terminal import Terminal

PAGES = sorted(figures.HERE.glob("*.md"))
LINK = re.compile(r"\]\(([^)#]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), target


def test_the_index_names_every_page_and_the_pages_show_every_picture():
    texts = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
    index = texts.pop("README")
    assert [target for target in LINK.findall(index) if target.endswith(".md")] == [
        f"{name}.md" for name in texts
    ]
    shown = {name: LINK.findall(text) for name, text in texts.items()}
    for name, picture in figures.PICTURES.items():
        assert f"figures/{name}.svg" in shown[picture.page]
    assert {path.stem for path in figures.HERE.glob("figures/*")} == set(figures.PICTURES)


def test_the_script_draws_every_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["figures.py", "--out", str(tmp_path)])
    figures.main()
    for name in figures.PICTURES:
        file = tmp_path / f"{name}.svg"
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert 2_000 < file.stat().st_size < 100_000


def test_the_same_page_gives_the_same_bytes():
    assert figures.svg("descent") == figures.svg("descent")


def test_a_page_that_is_wrong_stops_the_script(tmp_path, monkeypatch):
    (tmp_path / "wrong.md").write_text(">>> 1 + 1\n3\n", encoding="utf-8")
    monkeypatch.setattr(figures, "HERE", tmp_path)
    with pytest.raises(figures.PageError, match="Expected"):
        figures.run_page("wrong")


def test_the_command_on_the_page_prints_what_the_page_shows(capsys):
    page = (figures.HERE / "06-descent.md").read_text(encoding="utf-8")
    block = re.search(r"```console\n\$ kedja (.*?)\n(.*?)```", page, re.DOTALL)
    assert block is not None
    result = Terminal(capsys)(*shlex.split(block[1]), tier="auto")
    assert result.code == 0
    assert result.out.startswith(block[2])
    assert "f = -1.14312 at x1 = 2.11894, x2 = -2" in block[2]
