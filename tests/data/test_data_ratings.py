"""Ratings: MovieLens' layouts and other tables, order, splits, what is refused, what is made."""

from __future__ import annotations

import numpy as np
import pytest

from kedja.data import ratings
from kedja.data.generated_ratings import generate
from kedja.ground.errors import DataError, UsageError

CSV = "userId,movieId,rating,timestamp\n1,10,4.0,30\n2,10,3.5,10\n1,11,1.0,20\n"
LAYOUTS = {
    "ratings.csv": CSV,
    "u.data": "1\t10\t4.0\t30\n2\t10\t3.5\t10\n1\t11\t1.0\t20\n",
    "ratings.dat": "1::10::4.0::30\n2::10::3.5::10\n1::11::1.0::20\n",
    "other.tsv": "stars\tcustomer id\tday\tProduct\n4\t1\t30\t10\n3.5\t2\t10\t10\n1\t1\t20\t11\n",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_recognised_and_put_in_order_of_time(name, tmp_path):
    file = tmp_path / name
    file.write_text(LAYOUTS[name])
    assert ratings.are_in(str(file))
    found = ratings.read(file)
    rows = [
        (found.users[u], found.items[i], float(r))
        for u, i, r in zip(found.user, found.item, found.rating, strict=True)
    ]
    assert rows == [("2", "10", 3.5), ("1", "11", 1.0), ("1", "10", 4.0)]
    assert found.time.tolist() == [10, 20, 30]
    assert found.explicit


def test_a_folder_of_movielens_has_titles(tmp_path):
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_text(LAYOUTS["u.data"])
    (folder / "u.item").write_bytes("10|Amélie (2001)|\n11|Heat (1995)|\n".encode("latin-1"))
    found = ratings.read(folder)
    assert found.name == "ml-100k"
    assert [found.title(i) for i in range(2)] == ["Amélie (2001)", "Heat (1995)"]


def test_dates_are_times(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item,date\na,x,2026-01-02\nb,x,2026-01-01T12:00:00+00:00\n")
    found = ratings.read(file)
    assert np.diff(found.time).tolist() == [12 * 3600]
    assert not found.explicit
    assert "without points" in " ".join(found.describe())


def test_the_latest_of_two_ratings_counts(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item,rating,time\na,x,1,5\na,x,5,9\nb,x,2,7\n")
    found = ratings.read(file)
    assert found.rating.tolist() == [2, 5]
    assert found.notes == ("1 pairs were rated again: the latest counts",)


def test_the_test_is_later_than_the_training():
    train, test = generate(users=20, items=20, each=10).ratings.split(0.3)
    assert train.time.max() < test.time.min()
    assert len(test) == 60


def test_equal_moments_stay_together(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item,time\n" + "".join(f"u{i},x{i},{min(i, 7)}\n" for i in range(10)))
    train, test = ratings.read(file).split(0.2)
    assert train.time.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert test.time.tolist() == [7, 7, 7]


def test_without_times_the_seed_draws(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item\n" + "".join(f"u{i},x{i}\n" for i in range(50)))
    found = ratings.read(file)
    first, again, other = (found.split(0.2, seed)[1].user.tolist() for seed in (0, 0, 1))
    assert first == again != other


WRONG = {
    "a rating that is no number": ("user,item,rating\na,x,good\n", "line 2: the rating 'good'"),
    "infinity": ("user,item,rating\na,x,inf\n", "is no number"),
    "a date that is none": ("user,item,time\na,x,yesterday\n", "the time 'yesterday' is none"),
    "a short line": ("user,item,rating\na,x,1\nb\n", "line 3: the line has 1 parts"),
    "no user": ("user,item\n,x\n", "a rating without user or item"),
    "only a header": ("user,item\n", "there are no ratings"),
    "other columns": ("height,width\n1,2\n", "no column of users and items"),
    "nothing": ("", "no column of users and items"),
    "binary": ("user,item\n\0", "binary"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name, tmp_path):
    text, message = WRONG[name]
    file = tmp_path / "r.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        ratings.read(file)


def test_a_line_without_an_end_is_not_taken_into_memory(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item\n" + "a" * (1 << 17))
    with pytest.raises(DataError, match="a line of over"):
        ratings.read(file)


def test_what_is_no_list_of_ratings_is_not_taken_for_one(tmp_path):
    for name, text in {"a.csv": "x,y\n1,2\n", "b.txt": "To be, or not to be\n"}.items():
        (tmp_path / name).write_text(text)
        assert not ratings.are_in(str(tmp_path / name))
    assert not ratings.are_in(str(tmp_path))
    assert not ratings.are_in("digits")


def test_made_ratings_follow_their_formula():
    made = generate(users=30, items=20, factors=3, each=10, noise=0.0, seed=4)
    found = made.ratings
    exact = made.levels[found.user, found.item]
    assert np.allclose(found.rating, exact, atol=1e-6)
    assert len({*zip(found.user.tolist(), found.item.tolist(), strict=True)}) == 300
    with pytest.raises(UsageError, match="21 items"):
        generate(users=2, items=20, each=21)
