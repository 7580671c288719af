"""The made-up world: fixed by its seed, each fact in each paragraph, nobody in both halves."""

from __future__ import annotations

import pytest

from kedja.data import facts, prompts
from kedja.ground.errors import StorageError, UsageError


def test_the_seed_fixes_the_world():
    first, again, other = facts.world(20, seed=3), facts.world(20, seed=3), facts.world(20, seed=4)
    assert first == again
    assert first != other
    assert first.text(2) == again.text(2)
    assert first.text(2, seed=1) != first.text(2)


def test_nobody_is_in_both_halves():
    made = facts.world(101)
    asked, others = ({each.name for each in people} for people in (made.asked, made.others))
    assert (len(asked), len(others)) == (50, 51)
    assert not asked & others


def test_every_paragraph_tells_every_fact_of_one_person():
    made = facts.world(10)
    everybody = {each.name: each for each in (*made.asked, *made.others)}
    paragraphs = made.text(5).splitlines()
    assert len(paragraphs) == 50
    for paragraph in paragraphs:
        [name] = [name for name in everybody if name in paragraph]
        sentences = paragraph.split(". ")
        assert len(sentences) == paragraph.count(name) == len(facts.KINDS)
        assert all(value in paragraph for value in everybody[name].facts.values())


def test_the_order_and_the_wordings_change():
    made = facts.world(2)
    text = made.text(200).splitlines()
    mine = [each for each in text if made.others[0].name in each]
    assert len(set(mine)) > 190
    for key, kind in facts.KINDS.items():
        value = made.others[0].facts[key]
        told = [w.format(name=made.others[0].name, value=value) for w in kind.wordings]
        assert all(any(sentence in each for each in mine) for sentence in told)


def test_no_wording_is_the_question():
    """The model has to find the fact, not to go on with a sentence that it has read."""
    for kind in facts.KINDS.values():
        assert not any(wording.startswith(kind.question[:-1]) for wording in kind.wordings)


def test_chance_is_that_of_the_values():
    made = facts.world(400)
    guesses = {key: kind.values[0] for key, kind in facts.KINDS.items()}
    people = (*made.asked, *made.others)
    right = [each.facts[key] == guess for each in people for key, guess in guesses.items()]
    assert sum(right) / len(right) == pytest.approx(facts.CHANCE, abs=0.02)


def test_files_for_the_command_line(tmp_path):
    made = facts.world(6)
    facts.write(tmp_path / "world", made, copies=2)
    for name, people in (("questions", made.asked), ("held-out", made.others)):
        found = prompts.read(tmp_path / "world" / f"{name}.txt")
        expected = facts.questions(people)
        assert [(p.prompt, p.answer) for p in found] == [(p.prompt, p.answer) for p in expected]
    assert (tmp_path / "world" / "facts.txt").read_text() == made.text(2)


@pytest.mark.parametrize("people", [0, 1, 100_000])
def test_a_world_of_a_wrong_size(people):
    with pytest.raises(UsageError, match="a world of"):
        facts.world(people)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        facts.write(tmp_path / "file" / "inside", facts.world(2))
