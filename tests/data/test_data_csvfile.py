"""CSV text: round trips, and errors that name the line."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.data import csvfile
from kedja.ground.errors import DataError

# Any text but NUL (a sign of a binary file) and lone surrogates (no UTF-8).
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refuse(path, reason, line=None):
    with pytest.raises(DataError, match=reason) as caught:
        csvfile.read(path)
    assert caught.value.where == (f"{path}, line {line}" if line else str(path))
    assert caught.value.fix


@given(st.data(), st.sampled_from(csvfile.DELIMITERS), st.sampled_from(["utf-8", "utf-8-sig"]))
@settings(max_examples=100, deadline=None)
def test_round_trip(data, delimiter, encoding):
    width = data.draw(st.integers(2, 4))
    names = [f"name{i}" for i in range(width)]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1))
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        cells = csvfile.read(path)
    assert list(cells.columns) == names
    assert [list(row) for row in zip(*cells.columns.values(), strict=True)] == rows


@given(st.lists(st.none() | st.floats(-1e99, 1e99), min_size=1))
def test_numbers_round_trip(values):
    texts = ["" if value is None else repr(value) for value in values]
    cells = csvfile.Cells("file", {"x": texts}, list(range(len(texts))), False)
    found = csvfile.numbers(cells, "x")
    assert not found.bad
    np.testing.assert_array_equal(found.values, [np.nan if v is None else v for v in values])


def test_lines_are_where_rows_start(file):
    path = file('\na,b\r\n\r\n1,"x\r\ny"\r\n2,z\r\n')
    cells = csvfile.read(path)
    assert cells.columns == {"a": ["1", "2"], "b": ["x\r\ny", "z"]}
    assert cells.lines == [4, 6]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(file, end):
    assert csvfile.read(file(end.join(["a,b", "1,2", "3,4"]))).columns["b"] == ["2", "4"]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_delimiter_is_found(file, mark):
    cells = csvfile.read(file(f'a{mark}"b,;"{mark}c\n1{mark}2{mark}3\n'))
    assert list(cells.columns) == ["a", "b,;", "c"]


def test_a_single_column(file):
    assert csvfile.read(file("a\n1\n2\n")).columns == {"a": ["1", "2"]}


def test_nameless_columns_are_numbered(file):
    assert list(csvfile.read(file(",a, \n1,2,3\n")).columns) == ["column 1", "a", "column 3"]


@pytest.mark.parametrize("row", ["1,2,3", "1"])
def test_ragged_rows_name_their_line(file, row):
    cells = row.count(",") + 1
    reason = f"the row has {cells} cells, the header has 2"
    refuse(file(f"a,b\n1,2\n\n{row}\n3,4\n"), reason, line=4)


@pytest.mark.parametrize("content", ["", " \n\n", "\ufeff", "\ufeff\n"])
def test_empty_files(file, content):
    refuse(file(content), "the file is empty")


def test_no_rows(file):
    refuse(file("a,b\n\n"), "no rows after the header")


def test_duplicate_names(file):
    refuse(file("a,b, a\n1,2,3\n"), "2 columns are called 'a'", line=1)


def test_numbers_instead_of_a_header(file):
    refuse(file("\n1,2.5,-3e4\n4,5,6\n"), r"holds numbers \(1, 2.5, -3e4\)", line=2)


def test_binary_files(file):
    refuse(file(b"a,b\n1,\x00\n"), "binary file")
    refuse(file(b"\x1f\x8b\x08rest of a gzip file"), "binary file")


def test_wrong_encodings(file):
    refuse(file("a,b\n1,2\nåäö,3\n".encode("latin-1")), "byte 0xe5 is not UTF-8", line=3)
    refuse(file("a,b\n1,2\n".encode("utf-16")), "UTF-16")


def test_quotes_that_never_end(file):
    refuse(file('a,b\n1,2\n"3,4\n5,6\n'), "unexpected end of data", line=3)


def test_cells_may_be_long(file):
    assert csvfile.read(file("a,b\n1," + "x" * 200_000 + "\n")).columns["b"] == ["x" * 200_000]
    assert csv.field_size_limit() == 131_072  # for other users of the module as it was


def test_missing_and_oversized_files(file, tmp_path, monkeypatch):
    refuse(tmp_path / "absent.csv", "No such file")
    refuse(tmp_path, "Is a directory")
    monkeypatch.setattr(csvfile, "MAX_BYTES", 10)
    refuse(file("a,b\n1,2\n3,4\n"), "12 bytes; CSV files up to 10 are read")


def columns(file, *cells, header="x,y", mark=","):
    lines = [header.replace(",", mark), *(f"{cell}{mark}0" for cell in cells)]
    return csvfile.read(file("\n".join(lines)))


def test_missing_values_in_every_writing(file):
    cells = columns(file, "1", "", "NA", "NaN", "null", "?", "-", " n/a ", "2")
    found = csvfile.numbers(cells, "x")
    assert not found.bad
    assert np.isnan(found.values).tolist() == [False, *[True] * 7, False]
    assert csvfile.texts(cells, "x") == ["1", *[None] * 7, "2"]


@pytest.mark.parametrize("cell", ["abc", "1_000", "inf", "-Infinity", "1e101", "0x10", "1.2.3"])
def test_what_is_no_number(file, cell):
    found = csvfile.numbers(columns(file, "1", cell, "", "2"), "x")
    assert found.bad == [(1, cell)]
    assert np.isnan(found.values).tolist() == [False, True, True, False]


def test_decimal_commas_where_semicolons_separate(file):
    cells = columns(file, "1,5", "-2,25", "3.5", "", mark=";")
    np.testing.assert_array_equal(csvfile.numbers(cells, "x").values, [1.5, -2.25, 3.5, np.nan])
    found = csvfile.numbers(columns(file, "1,5", "a,b", mark=";"), "x")
    assert found.bad == [(1, "a,b")]


@pytest.mark.parametrize(
    ("cells", "mark", "values", "told"),
    [
        (['"1,234"', "950", '"-1,234,567.5"'], ",", [1234, 950, -1234567.5], "','"),
        (["1 234,5", "7", "2\u00a0000"], ";", [1234.5, 7, 2000], "' '"),
        (["1'234.50", "9.5"], ",", [1234.5, 9.5], '"\'"'),
        (["1.234,5", "1.234", "12"], ";", [1234.5, 1234, 12], "'.'"),
        (["$5", "$ 7.25", '"$1,000"'], ",", [5, 7.25, 1000], "'$'"),
        (["12 %", "3%", "0"], ",", [12, 3, 0], "'%'"),
    ],
)
def test_numbers_with_marks_and_units(file, cells, mark, values, told):
    plain = "\n".join([f"x{mark}y", *(f"{cell}{mark}0" for cell in cells), f"NA{mark}0"])
    found = csvfile.numbers(csvfile.read(file(plain)), "x")
    np.testing.assert_array_equal(found.values, [*values, np.nan])
    assert not found.bad
    assert told in found.told


def test_columns_with_several_units_are_no_numbers(file):
    found = csvfile.numbers(columns(file, "$5", "€5", "6"), "x")
    assert found.bad == [(1, "€5")]
    mixed = csvfile.numbers(columns(file, '"1,234"', "1 234", '"12,34"', "1234"), "x")
    assert [cell for _, cell in mixed.bad] == ["1 234", "12,34"]


def test_the_refusal_names_line_column_and_cell(file):
    cells = columns(file, "1", "abc", "d" * 99)
    with pytest.raises(DataError) as caught:
        csvfile.refuse_bad_number(cells, "x", [(1, "abc"), (2, "d" * 99)])
    assert caught.value.where == f"{cells.where}, line 3"
    assert caught.value.what == (
        "column 'x' holds numbers, but here stands 'abc' (and 1 more in this column)"
    )
    with pytest.raises(DataError, match=r"'d{40}'…"):
        csvfile.refuse_bad_number(cells, "x", [(2, "d" * 99)])


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_table_or_a_data_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv"
        path.write_bytes(content)
        try:
            assert len(csvfile.read(path)) > 0
        except DataError as error:
            assert error.where.startswith(str(path))
