"""Every check finds what is planted for it, where it is, and nothing in a clean table.

Not here: labels (`test_inspection_labels.py`), other kinds of data (`test_inspection_kinds.py`).
"""

from __future__ import annotations

import time

import numpy as np
import pytest

import kedja as kj
from tests.inspection import planted


@pytest.fixture
def look(tmp_path):
    """Inspect a table; `without` the model, which the other checks do not need."""

    def inspect(table, names=planted.NAMES, label="kind", **options):
        file = planted.write(tmp_path / "data.csv", table, names)
        return kj.inspection.inspect(file, label=label, **options)

    return inspect


@pytest.fixture
def cells(look):
    """What is found without labels, for which no network is trained."""

    def inspect(table, names=planted.NAMES):
        return look(table, names, label="none")

    return inspect


def only(report, check):
    """The one finding of a check."""
    (found,) = [each for each in report.findings if each.check == check]
    return found


def test_a_clean_table_has_no_defect(look):
    report = look(planted.rows())
    assert not report.findings
    assert report.facts["examples"] == planted.ROWS
    assert report.facts["labels"].keys() == {"cat", "dog"}


def test_copies_are_found_where_they_are(look):
    table = planted.rows()
    table += [table[3], table[70], table[3]]
    found = only(look(table), "duplicates")
    assert found.severity == "defect"
    assert list(found.rows) == [400, 402, 401]
    assert found.where[0] == "line 5 = line 402 = line 404"


def test_equal_rows_of_few_values_are_no_defect(look):
    table = [[row[3], str(float(row[2]) > 40), row[4]] for row in planted.rows()]
    report = look(table, ("city", "old", "kind"))
    assert only(report, "duplicates").severity == "notice"
    assert only(report, "conflicting labels").severity == "notice"


def test_copies_with_a_little_noise_are_found(look):
    table = planted.rows()
    table += [[f"{float(row[0]) + 0.01:.2f}", *row[1:]] for row in table[:5]]
    found = only(look(table), "near-duplicates")
    assert found.severity == "defect"
    assert set(found.rows) == set(range(400, 405))


def test_equal_inputs_with_different_labels_are_found(look):
    table = planted.rows()
    table += [[*row[:4], "dog" if row[4] == "cat" else "cat"] for row in table[:6]]
    found = only(look(table), "conflicting labels")
    assert found.severity == "defect"
    assert set(found.rows) == {*range(6), *range(400, 406)}


def test_words_and_codes_for_missing_values_are_found(cells):
    table = planted.rows()
    for row in (5, 50, 51):
        table[row][2] = "-999"
    table[9][1] = "unknown"
    table[11][0] = ""
    found = [each for each in cells(table).findings if each.check == "missing values"]
    by_column = {each.figures["column"]: each for each in found}
    assert list(by_column["age"].rows) == [5, 50, 51]
    assert by_column["age"].severity == by_column["weight"].severity == "defect"
    assert list(by_column["weight"].rows) == [9]
    assert by_column["height"].severity == "notice"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: f"{row[0]} cm", "numbers that are written as texts"),
        (lambda row: "tall" if row[0].endswith("07") else row[0], "hold numbers, but"),
    ],
)
def test_cells_of_another_type_are_found(cells, change, words):
    table = [[change(row), *row[1:]] for row in planted.rows()]
    found = only(cells(table), "types")
    assert found.severity == "defect"
    assert words.replace("hold ", "holds ") in found.what


@pytest.mark.parametrize(
    ("dates", "severity", "words"),
    [
        (["01/02/2024", "03/04/2024", "07/08/2023"], "notice", "days or months come first"),
        (["13/02/2024", "02/14/2024", "03/04/2024"], "defect", "others the month"),
        (["2024-02-03T10:00", "2024-02-03T10:00Z"], "defect", "offset from UTC"),
        (["3 Mar 2024", "2024-05-06", "2024-05-06"], "notice", "2 ways: '2024-05-06' (266), '3 M"),
        (["2024-05-06", "2024-05-07 10:15"], None, ""),
    ],
)
def test_dates_that_are_not_clear_are_told(cells, dates, severity, words):
    table = [[dates[number % len(dates)], *row] for number, row in enumerate(planted.rows())]
    report = cells(table, ("day", *planted.NAMES))
    if severity is None:
        assert not report.findings
        return
    found = only(report, "types")
    assert found.severity == severity
    assert words in found.what


def test_spellings_of_one_category_are_found(cells):
    table = planted.rows()
    table[7][3] = table[7][3].upper()
    assert list(only(cells(table), "types").rows) == [7]


def test_y_and_yes_are_told_and_spellings_of_labels(look):
    table = [[*row[:3], ("yes", "no")[n % 2], row[4]] for n, row in enumerate(planted.rows())]
    table[2][3] = "Y"
    table[10][4], table[11][4] = "Cat", "dog"
    found = {each.what[:9]: each for each in look(table).findings if each.check == "types"}
    assert list(found["column 'c"].rows) == [2]
    whole = [each for each in look(table).findings if "label 'kind'" in each.what]
    assert [(list(each.rows), each.severity) for each in whole] == [([10], "defect")]


@pytest.mark.parametrize(
    ("change", "severity", "words"),
    [
        (lambda n, cell: "low" if n % 5 == 0 else cell, "defect", "80% of its cells, and in the"),
        (lambda n, cell: f"A{n}" if n % 5 == 0 else cell, "notice", "'A0' (1)"),
        (
            lambda n, cell: f"{cell} {('kg', 'lb')[n % 3 == 0]}",
            "defect",
            "units: kg (266), lb (134)",
        ),
        (lambda n, cell: ("1", "2", "3+")[n % 3], None, ""),
    ],
)
def test_numbers_among_words_are_told(cells, change, severity, words):
    table = [[change(n, row[0]), *row[1:]] for n, row in enumerate(planted.rows())]
    found = [each for each in cells(table).findings if each.check == "types"]
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all(words in each.what for each in found)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("MalmÃ¶", "'MalmÃ¶' for 'Malmö'"),
        ("â€œLundâ€\x9d", "for '“Lund”'"),
        ("Malm\ufffd", "'Malm\ufffd'"),
        ("„Spaß“", ""),
        ("São Paulo – Âge", ""),
    ],
)
def test_letters_that_were_read_in_another_encoding_are_told(cells, cell, told):
    table = planted.rows()
    table[7][3] = cell
    found = [each for each in cells(table).findings if each.check == "damaged letters"]
    assert len(found) == bool(told)
    assert all(told in each.what and list(each.rows) == [7] for each in found)


def test_a_file_without_a_line_of_names_is_told(cells):
    first, *rest = planted.rows()
    assert repr(first[0]) in only(cells(rest, tuple(first)), "reading").what
    years = [[row[3], *(f"{1000 * float(cell):.0f}" for cell in row[:3])] for row in rest]
    assert not cells(years, ("town", "2001", "2002", "2003")).defects


def test_values_that_cannot_be_are_told_by_the_name_of_their_column(cells):
    table = planted.rows()
    table[3][2], table[9][2] = "-3", "150"
    report = cells(table)
    assert sorted(only(report, "impossible values").rows) == [3, 9]
    days = [[*row[:2], f"{365 * float(row[2]):.0f}", *row[3:]] for row in planted.rows()]
    assert not [each for each in cells(days).findings if each.check == "impossible values"]


def test_a_value_alone_in_the_tail_is_told_on_either_side(cells):
    table = planted.rows()
    table[40][0], table[41][0] = "17.42", "1742"
    found = only(cells(table), "outliers")
    assert "2 values far from all others" in found.what
    assert list(found.rows) == [41, 40]


@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "standard_exponential"])
def test_tails_alone_have_no_outliers(draw):
    for seed in range(5):
        x = getattr(np.random.default_rng(seed), draw)((500, 3))
        report = kj.inspection.inspect_arrays(x)
        assert not [each for each in report.findings if "far from all others" in each.what]


def test_the_most_harmful_is_told_first(look):
    table = [[*row[:4], row[4], row[4]] for row in planted.rows()]
    table += table[:3]
    table[5][3] = table[5][3].upper()
    report = look(table, (*planted.NAMES[:4], "outcome", "kind"))
    assert [each.check for each in report.defects] == ["leaks", "duplicates", "types"]


@pytest.mark.parametrize(
    ("cell", "severity"), [(lambda n: "7", "defect"), (lambda n: f"{n + 1}", "notice")]
)
def test_columns_that_tell_nothing_are_found(look, cell, severity):
    table = [[cell(number), *row] for number, row in enumerate(planted.rows())]
    found = only(look(table, ("number", *planted.NAMES)), "columns")
    assert found.severity == severity
    assert "'number'" in found.what


def test_a_label_that_is_always_empty_is_told(look):
    found = only(look([[*row[:4], ""] for row in planted.rows()]), "balance")
    assert (found.severity, found.what) == ("defect", "no example has a label: 'kind' is empty")


def test_numbers_beyond_all_reason_are_told(look):
    table = planted.rows()
    table[7][0], table[8][1] = "1e308", "-inf"
    report = look(table)
    assert list(only(report, "types").rows) == [7]
    assert list(only(report, "missing values").rows) == [8]


def test_many_columns_take_no_longer_than_they_have_to(look):
    """Other columns are asked only where one seems to have changed, and then a few of them."""
    rng = np.random.default_rng(0)
    table = [[*(f"{each:.2f}" for each in rng.random(300)), "ab"[n % 2]] for n in range(40)]
    started = time.process_time()
    assert not look(table, (*(f"f {chr(97 + n % 26)}{n}" for n in range(300)), "kind")).defects
    assert time.process_time() - started < 20


def test_rare_classes_are_told(look):
    table = [
        [*row[:4], "bird" if number < 3 else row[4]] for number, row in enumerate(planted.rows())
    ]
    assert only(look(table), "balance").severity == "notice"
