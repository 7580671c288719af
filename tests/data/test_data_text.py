"""Text files in pieces and lines: what Python reads, and errors that name the place."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import text
from kedja.ground.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
ENDS = st.lists(st.sampled_from(["\r\n", "\r", "\n", "é", "a", "\ufeff"]), max_size=20).map("".join)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@given(TEXT | ENDS, st.sampled_from(["utf-8", "utf-8-sig"]), st.integers(4, 9))
def test_what_python_reads(content, encoding, size):
    content += "x"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.txt"
        path.write_bytes(content.encode(encoding))
        expected = path.read_text(encoding="utf-8-sig")
        assert "".join(text.pieces(path, size)) == expected
        assert text.read(path) == expected
        assert list(text.lines(path)) == [
            (number, line) for number, line in enumerate(expected.split("\n"), 1) if line.strip()
        ]


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        (b"", "empty", None),
        (b" \n\t\n", "empty", None),
        (b"\xef\xbb\xbf", "empty", None),
        (b"ab\0c", "byte 2 is 0", None),
        ("hello".encode("utf-16"), "UTF-16", None),
        (b"\x1f\x8b123", "gzip", None),
        (b"PK\x03\x04...", "office document", None),
        (b"%PDF-1.7", "PDF", None),
        (b"a\nb\xe4c", "byte 0xe4 at place 3 is not UTF-8", 2),
        (b"\xef\xbb\xbfa\n\xff", "byte 0xff at place 5", 2),
        ("aé".encode()[:-1], "middle of a character", 1),
    ],
)
def test_what_is_no_text(file, content, reason, line):
    path = file(content)
    with pytest.raises(DataError, match=reason) as caught:
        text.read(path)
    assert caught.value.where == (f"{path}, line {line}" if line else str(path))
    assert caught.value.fix


def test_a_bad_byte_far_away(file):
    """The place is that of the file, not of the piece: also where a character is cut by pieces."""
    path = file(("é\n" * 1000).encode() + b"\xc3\n")
    for size in (7, 1000, 3000, 10_000):
        with pytest.raises(DataError, match="byte 0xc3 at place 3,000") as caught:
            list(text.pieces(path, size))
        assert caught.value.where == f"{path}, line 1001"


@pytest.mark.parametrize("path", ["missing.txt", "."])
def test_no_file(path):
    with pytest.raises(DataError, match="cannot read"):
        list(text.pieces(path))


def test_a_line_that_never_ends(file, monkeypatch):
    monkeypatch.setattr(text, "LONGEST_LINE", 100)
    monkeypatch.setattr(text, "PIECE", 10)
    path = file("short\n" + "x" * 2_000_000)
    with pytest.raises(DataError, match="more than 100 characters") as caught:
        list(text.lines(path))
    assert caught.value.where == f"{path}, line 2"
