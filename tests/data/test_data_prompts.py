"""Prompts with answers and labelled texts: both kinds of files, and errors that name the line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import jsonlines, labelled, prompts
from kedja.ground.errors import DataError, UsageError

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], exclude_characters="|"),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def file(tmp_path):
    def write(content, name="file.txt"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8))
def test_both_kinds_of_files(tmp_path_factory, pairs):
    folder = tmp_path_factory.getbasetemp()
    (folder / "a.txt").write_text("\n\n".join(f"{p} | {a}" for p, a in pairs), "utf-8")
    lines = (json.dumps({"prompt": p, "answer": a, "source": 1}) for p, a in pairs)
    (folder / "a.jsonl").write_text("\n".join(lines), "utf-8")
    for name in ("a.txt", "a.jsonl"):
        found = prompts.read(folder / name)
        assert [(each.prompt, each.answer) for each in found] == pairs
        assert prompts.are_in(folder / name)


def test_the_last_mark_divides(file):
    [found] = prompts.read(file(" |x| of -3  |  3 \n"))
    assert (found.prompt, found.answer) == ("|x| of -3", "3")
    assert found.where.endswith("file.txt, line 1")


def test_running_text_holds_no_prompts(file):
    assert not prompts.are_in(file("To be, or not to be\nthat | is\n"))


@pytest.mark.parametrize(
    ("content", "reason", "fix"),
    [
        ("a | b\nno mark", "no '|' between", "Where was"),
        ("a | b\n| b", "no sentence before", "Where was"),
        ("a | b\na |  ", "no answer after", "Where was"),
        ('a | b\n{"prompt": "a"}', "no '|'", ".jsonl"),
    ],
)
def test_text_that_holds_none(file, content, reason, fix):
    with pytest.raises(DataError) as caught:
        prompts.read(file(content))
    assert reason in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where.endswith("file.txt, line 2")


@pytest.mark.parametrize(
    ("line", "reason", "fix"),
    [
        ("{", "no JSON", 'one object on each line, such as {"prompt"'),
        ("[" * 100_000, "no JSON", "one object"),
        ("[1]", "a list, no JSON object", "one object"),
        ("null", "null, no JSON object", "one object"),
        ('{"prompt": "a"}', "no 'answer'", "there are: prompt"),
        ('{"prompt": "a", "answers": "b"}', "no 'answer'", "did you mean 'answers'"),
        ('{"prompt": "a", "answer": 3}', "'answer' is a number, no text", "quotes"),
        ('{"prompt": " ", "answer": "b"}', "'prompt' is empty", "fill it"),
    ],
)
def test_json_that_holds_none(file, line, reason, fix):
    path = file(f'{{"prompt": "a", "answer": "b"}}\n\n{line}\n', "file.jsonl")
    with pytest.raises(DataError) as caught:
        prompts.read(path)
    assert reason in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where == f"{path}, line 3"


@given(st.lists(st.integers(0, 30), min_size=5, max_size=40), st.integers(0, 3))
def test_division(numbers, seed):
    given = [prompts.Prompt(f"what is {n}?", str(n), str(i)) for i, n in enumerate(numbers)]
    try:
        train, held = prompts.divide(given, 0.3, seed)
    except UsageError:
        assert round(len(set(numbers)) * 0.3) == 0
        return
    assert sorted(each.where for each in train + held) == sorted(each.where for each in given)
    assert not {each.prompt for each in train} & {each.prompt for each in held}
    assert len({each.prompt for each in held}) == round(len(set(numbers)) * 0.3)
    assert prompts.divide(given, 0.3, seed) == (train, held)


@pytest.mark.parametrize("share", [0, 1, 0.1, 0.9])
def test_division_that_leaves_nothing(share):
    with pytest.raises(UsageError):
        prompts.divide([prompts.Prompt("a", "b"), prompts.Prompt("b", "b")], share, 0)


# ----------------------------------------------------------------------------- labelled texts


def write_records(path, *records):
    path.write_text("\n".join(json.dumps(each) for each in records))
    return path


def test_labelled_texts(tmp_path):
    path = write_records(
        tmp_path / "mail.jsonl",
        {"text": "Win money!", "label": "spam", "id": "m-1"},
        {"text": "See you at 5", "label": "ham", "id": 2, "from": "Ada"},
        {"text": "Lunch?", "label": " ham"},
    )
    found = labelled.read(path)
    assert [(each.text, each.label, each.id) for each in found] == [
        ("Win money!", "spam", "m-1"),
        ("See you at 5", "ham", 2),
        ("Lunch?", "ham", None),
    ]
    assert labelled.classes(found) == ("ham", "spam")


def test_stars_are_sorted_by_value(tmp_path):
    stars = [{"text": "so so", "label": label} for label in (10, "9", -1)]
    assert labelled.classes(labelled.read(write_records(tmp_path / "a.jsonl", *stars))) == (
        "-1",
        "9",
        "10",
    )


def test_texts_to_be_classified_need_no_label(tmp_path):
    path = write_records(tmp_path / "a.jsonl", {"text": "a"}, {"text": "b", "label": "x"})
    assert [each.label for each in labelled.read(path, labels=False)] == [None, "x"]
    with pytest.raises(DataError, match="no 'label'"):
        labelled.read(path)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"label": "a"}, "no 'text'"),
        ({"text": ["a"], "label": "a"}, "'text' is a list"),
        ({"text": "a", "label": True}, "'label' is True"),
        ({"text": "a", "label": 0.5}, "'label' is 0.5"),
        ({"text": "a", "label": None}, "'label' is None"),
        ({"text": "a", "label": " "}, "'label' is ' '"),
        ({"text": "a", "label": "a", "id": [1]}, "'id' is"),
    ],
)
def test_what_is_no_labelled_text(tmp_path, record, reason):
    path = write_records(tmp_path / "a.jsonl", {"text": "a", "label": "a"}, record)
    with pytest.raises(DataError) as caught:
        labelled.read(path)
    assert reason in caught.value.what
    assert caught.value.where == f"{path}, line 2"
    assert caught.value.fix


def test_names_of_files():
    assert jsonlines.is_named_so("a.JSONL")
    assert not jsonlines.is_named_so("a.json")


def test_a_labelled_text_may_be_empty(tmp_path):
    path = write_records(tmp_path / "a.jsonl", {"text": "", "label": "a"})
    assert labelled.read(path)[0].text == ""


def test_the_example_is_one_of_labelled_texts(tmp_path):
    path = tmp_path / "mails.jsonl"
    path.write_text("hello")
    with pytest.raises(DataError) as caught:
        labelled.read(path)
    assert '{"text": "The bill is due.", "label": "money"}' in caught.value.fix
