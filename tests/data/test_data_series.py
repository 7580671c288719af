"""Time series from CSV files: dates in all ways of writing, order, gaps, duplicates, spacing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import dates, seasons, series, spacing
from kedja.data.seasonal import Seasonal, random_walk
from kedja.ground.errors import DataError, UsageError


@pytest.fixture
def file(tmp_path):
    """A function that writes rows into a CSV file."""

    def write(*rows, header="date,y"):
        path = tmp_path / "given.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def days(*values, start="2024-01-01", step=1):
    first = np.datetime64(start)
    return [f"{first + step * i},{value}" for i, value in enumerate(values)]


def moments(*texts, **options):
    return [str(each) for each in dates.parse(texts, **options).values.astype("M8[s]")]


# ---------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", "2024-03-01T00:00:00"),
        ("2024/3/1", "2024-03-01T00:00:00"),
        ("01.03.2024", "2024-03-01T00:00:00"),
        ("01.03.24", "2024-03-01T00:00:00"),
        ("25/03/24 14:05", "2024-03-25T14:05:00"),
        ("01-Mar-24", "2024-03-01T00:00:00"),
        ("1 Mar 99 2:05 pm", "1999-03-01T14:05:00"),
        ("1 Mar 2024", "2024-03-01T00:00:00"),
        ("01-Mar-2024", "2024-03-01T00:00:00"),
        ("March 1, 2024", "2024-03-01T00:00:00"),
        ("Fri, 1 March 2024", "2024-03-01T00:00:00"),
        ("2024-03", "2024-03-01T00:00:00"),
        ("Mar 2024", "2024-03-01T00:00:00"),
        ("2024-Q2", "2024-04-01T00:00:00"),
        ("Q2 2024", "2024-04-01T00:00:00"),
        ("2024-W09", "2024-02-26T00:00:00"),
        ("2024", "2024-01-01T00:00:00"),
        ("20240301", "2024-03-01T00:00:00"),
        ("1709251200", "2024-03-01T00:00:00"),
        ("1709251200000", "2024-03-01T00:00:00"),
        ("2024-03-01T14:05", "2024-03-01T14:05:00"),
        ("2024-03-01 14:05:10.5", "2024-03-01T14:05:10"),
        ("01.03.2024 2:05 pm", "2024-03-01T14:05:00"),
        ("2024-03-01T12:00:00Z", "2024-03-01T12:00:00"),
        ("2024-03-01 12:00+05:30", "2024-03-01T12:00:00"),
    ],
)
def test_the_usual_ways_of_writing_a_date(text, expected):
    assert moments(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *("2024-13-01", "2024-02-30", "31.04.2024", "12:00", "24-03-01"),
        *("2024-03-01 25:00", "2024-03-01 12:00 XST", "soon", "3.14"),
    ],
)
def test_what_is_no_date_is_listed(text):
    found = dates.parse([text, None])
    assert found.bad == [(0, text)]
    assert np.isnat(found.values).all()


def test_day_or_month_first_follows_from_a_number_above_12():
    assert moments("01/02/2024", "13/02/2024")[0] == "2024-02-01T00:00:00"
    assert moments("01/02/2024", "02/13/2024")[0] == "2024-01-02T00:00:00"


def test_day_or_month_first_follows_from_even_spacing():
    quarters = [f"01/{m:02}/{y}" for y in (2022, 2023, 2024) for m in (1, 4, 7, 10)]
    found = dates.parse(quarters)
    assert str(found.values[1])[:10] == "2022-04-01"
    assert found.notes == ["dates like 01/02/2024 have the day first"]


def test_an_undecided_order_is_an_error_that_the_option_solves():
    texts = [f"{n:02}/{n:02}/2024" for n in range(1, 13)] + ["01/02/2025"]
    with pytest.raises(DataError, match="whether days or months come first"):
        dates.parse(texts)
    assert moments(*texts, day_first=True)[-1] == "2025-02-01T00:00:00"
    assert moments(*texts, day_first=False)[-1] == "2025-01-02T00:00:00"


def test_contradicting_orders_are_an_error():
    with pytest.raises(DataError, match="others the month"):
        dates.parse(["13/01/2024", "01/13/2024"])


def test_different_offsets_become_utc_and_missing_ones_are_an_error():
    found = dates.parse(["2024-03-30 12:00+01:00", "2024-04-01 12:00+02:00"])
    assert [str(each)[11:16] for each in found.values] == ["11:00", "10:00"]
    assert "UTC" in found.notes[0]
    with pytest.raises(DataError, match="offset"):
        dates.parse(["2024-03-30 12:00+01:00", "2024-04-01 12:00"])


# ------------------------------------------------------------------------------- spacing


@pytest.mark.parametrize(
    ("start", "step", "name"),
    [
        ("2024-01-01T00:00", np.timedelta64(15, "m"), "15 minutes"),
        ("2024-01-01T00:30", np.timedelta64(1, "h"), "hour"),
        ("2024-01-01", np.timedelta64(1, "D"), "day"),
        ("2024-01-03", np.timedelta64(7, "D"), "week"),
    ],
)
def test_fixed_spacings(start, step, name):
    times = np.datetime64(start, "us") + step * np.arange(40)
    found = spacing.find(times)
    assert found.name == name
    assert (found.times(found.numbers(times)) == times).all()
    assert found.gaps(times) == 0
    assert found.gaps(np.delete(times, [3, 4, 20])) == 3


@pytest.mark.parametrize(("size", "name"), [(1, "month"), (3, "quarter"), (12, "year")])
@pytest.mark.parametrize("day", [1, 15, 30, "last"])
def test_months_of_any_day(size, name, day):
    months = np.datetime64("2019-01", "M") + size * np.arange(20)
    lengths = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(int)
    wanted = lengths if day == "last" else np.minimum(day, lengths)
    times = (months.astype("M8[D]") + (wanted - 1).astype("m8[D]")).astype("M8[us]")
    found = spacing.find(times)
    assert found.name == name
    assert (found.times(found.numbers(times)) == times).all()


@given(st.integers(0, 400), st.integers(1, 60))
def test_business_days_skip_weekends(start, count):
    first = np.busday_offset("2023-01-02", start, roll="forward")
    times = np.busday_offset(first, np.arange(10 + count)).astype("M8[us]")
    found = spacing.find(times)
    assert found.name == "business day"
    assert (found.times(found.numbers(times)) == times).all()
    assert found.gaps(np.delete(times, 4)) == 1


def test_irregular_dates_have_no_spacing():
    assert spacing.find(np.array(["2024-01-01", "2024-01-04", "2024-01-09"], "M8[us]")) is None
    with pytest.raises(UsageError, match="fortnight"):
        spacing.named("fortnight")


# --------------------------------------------------------------------------------- files


def test_rows_are_sorted_duplicates_taken_once_gaps_carried_on(file):
    rows = ["2024-01-05,5", "2024-01-01,1", "2024-01-02,2", "2024-01-02,2", "2024-01-06,", ",9"]
    found = series.read(file(*rows, "2024-01-07,7"))
    assert found.values.tolist() == [1, 2, 2, 2, 5, 5, 7]
    assert found.there.tolist() == [True, True, False, False, True, False, True]
    told = " ".join(found.notes)
    for each in ("1 rows have no date", "sorted", "1 rows are there twice", "3 of 7 values"):
        assert each in told


def test_a_gap_is_never_filled_from_later(file):
    early = series.read(file(*days(1, 2, "", "", 9, 1, 1)))
    late = series.read(file(*days(1, 2, "", "", -50, 1, 1)))
    assert (early.values[:4] == late.values[:4]).all()


def test_one_date_with_different_values_is_an_error_unless_gathered(file):
    path = file(*days(1, 2, 3, 4), "2024-01-02,8")
    with pytest.raises(DataError, match="2024-01-02"):
        series.read(path)
    assert series.read(path, every="day").values.tolist() == [1, 5, 3, 4]
    assert series.read(path, every="day", gather="sum").values.tolist() == [1, 10, 3, 4]
    assert series.read(path, every="day", gather="last").values.tolist() == [1, 8, 3, 4]


def test_uneven_dates_are_an_error_unless_gathered(file):
    path = file("2024-01-01,1", "2024-01-04,2", "2024-01-09,3", "2024-02-02,4")
    with pytest.raises(DataError, match="not evenly spaced: 3 to 24 days"):
        series.read(path)
    assert series.read(path, every="month").values.tolist() == [2, 4]


def test_a_bad_date_is_told_with_its_line(file):
    with pytest.raises(DataError, match=r"line 23.*'soon'"):
        series.read(file(*days(*range(21)), "soon,3"))


def test_the_target_is_the_last_column_of_numbers_or_the_named_one(file):
    rows = [f"{row},{i * i},a" for i, row in enumerate(days(*range(9)))]
    path = file(*rows, header="date,x,y,word")
    assert series.read(path).target == "y"
    assert series.read(path, target="x").values[3] == 3
    with pytest.raises(DataError, match="word"):
        series.read(path, target="word")
    with pytest.raises(UsageError, match="no column 'z'"):
        series.read(path, target="z")
    with pytest.raises(UsageError, match="twice"):
        series.read(path, target="x", past=["x"])


def test_columns_known_in_advance_go_beyond_the_end(file):
    rows = [f"{np.datetime64('2024-01-01') + i},{i % 2},{i if i < 8 else ''}" for i in range(10)]
    found = series.read(file(*rows, header="date,holiday,y"), known=["holiday"])
    assert len(found) == 8
    assert found.ahead.tolist() == [[0], [1]]
    assert found.until(6).ahead.tolist() == [[0], [1], [0], [1]]


def test_what_is_recognised_as_a_series(file):
    assert series.is_in(file(*days(*range(9))))
    assert series.is_in(file(*[f"{y},{y % 7}" for y in range(1990, 2020)], header="year,y"))
    assert not series.is_in(file("1,2", "3,4", header="a,b"))
    assert not series.is_in(file(*["2024-01-01,1"] * 9))  # sales of one day: rows
    assert not series.is_in(file("2024-01-01,red", "2024-01-02,blue", "2024-01-03,red"))
    ratings = [f"{i},{i % 3},{964982703 + i}" for i in range(9)]
    assert not series.is_in(file(*ratings, header="user,item,timestamp"))


def test_no_dates_and_no_numbers_are_errors(file):
    with pytest.raises(DataError, match="no column of dates"):
        series.read(file("a,1", "b,2", "c,3", header="x,y"))
    with pytest.raises(DataError, match="no column of numbers"):
        series.read(file(*[f"2024-01-0{i},w" for i in range(1, 6)]))
    few = [f"2024-01-{i:02},{'many' if i == 7 else i}" for i in range(1, 31)]
    with pytest.raises(DataError, match="holds numbers, but here stands 'many'") as caught:
        series.read(file(*few))
    assert "line 8" in caught.value.where
    assert series.is_in(file(*few))


def test_one_of_several_series_is_read(file):
    one, other = days(1, 2, 3, 4), days(9, 8, 7, 6)
    both = [f"{day},{name}" for pair in zip(one, other, strict=True)
            for day, name in zip(pair, ("north", "south"), strict=True)]  # fmt: skip
    given = file(*both, header="date,y,shop")
    with pytest.raises(DataError, match="same date") as caught:
        series.read(given)
    assert "--only 'shop=north'" in caught.value.fix
    assert series.read(given, only={"shop": "south"}).values.tolist() == [9, 8, 7, 6]
    with pytest.raises(UsageError, match="no column 'shp'"):
        series.read(given, only={"shp": "south"})
    with pytest.raises(UsageError, match="shop is nowhere 'west'"):
        series.read(given, only={"shop": "west"})


def test_what_is_apart_is_said_in_words():
    names = [spacing.named(each).apart for each in ("hour", "day", "15min", "quarter")]
    assert names == ["an hour apart", "a day apart", "15 minutes apart", "a quarter apart"]


# ------------------------------------------------------------------------------- seasons


@pytest.mark.parametrize("season", [7, 12, 24, 50])
@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_a_season_is_found(season, slope):
    made = Seasonal(season=season, slope=slope, amplitude=2.0, seed=3)
    assert seasons.find(made.values(600)) == season


def test_several_years_are_no_season_beside_the_year():
    month = np.arange(600)
    slow = np.cos(2 * np.pi * month / 48)  # a wave of four years, which the year's season has, too
    noise = 0.4 * np.random.default_rng(0).normal(size=600)
    values = 2 * np.cos(2 * np.pi * month / 12) + slow + noise
    assert seasons.find(values) == 48
    assert seasons.find(values, spacing.named("month")) == 12


def test_noise_and_random_walks_have_no_season():
    step = spacing.named("day")
    rng = np.random.default_rng(0)
    for seed in range(10):
        assert seasons.find(random_walk(400, seed), step) == 1
        assert seasons.find(rng.standard_normal(400), step) == 1


def test_the_best_error_of_a_made_series_is_that_of_its_noise():
    made = Seasonal(persistence=0.6, noise=0.5, seed=1)
    clean = Seasonal(persistence=0.6, noise=0.0, seed=1)
    rest = made.values(60_000) - clean.values(60_000)
    for step in (1, 2, 5):
        error = rest[step:] - rest[:-step] * 0.6**step
        assert np.sqrt((error**2).mean()) == pytest.approx(made.best(step), rel=0.02)
