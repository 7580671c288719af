"""A made-up world: people, four facts about each, told in many wordings, and questions about them.

It shows what a language model keeps of what it reads: pre-trained on the text, fine-tuned on
questions about some of the people, it is asked about the others, whose facts stood in the text
alone. `docs/examples/facts.py` does that. Not here: real text (`corpus.py`).

The wordings differ in order, and say the name before or after what it is about, since facts that
are always told in the same words can be recited, but hardly asked for. Source of that finding:
Z. Allen-Zhu, Y. Li: Physics of language models, part 3.1: knowledge storage and extraction (2023).
Next: `prompts.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from kedja.data.prompts import Prompt
from kedja.ground.errors import StorageError, UsageError
from kedja.io import atomic

T = TypeVar("T")


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    """
    Ada Bea Carl Dora Emil Frida Georg Hanna Ivar Jonas Karin Lars Maja Nils Olga Petra Rolf Sara
    Tore Ulla Vera Wilma Ylva Axel Birgit David Elsa Filip Greta Hugo Ingrid Johan Klara Linus Moa
    Nora Oskar Per Rakel Stina
    """
)
LAST = _words(
    """
    Berg Lund Ek Dahl Holm Strand Nyman Falk Hedin Wall Sand Krona Molin Rask Brandt Lind Norell
    Frost Viberg Asker Ceder Dalin Engman Fors Grahn Hjort Isberg Kvist Rydell
    """
)


class Kind(NamedTuple):
    """A kind of fact: its values, how it is told of a `{name}`, and what asks for it."""

    values: Sequence[str]
    wordings: Sequence[str]
    question: str


KINDS: Mapping[str, Kind] = {
    "birthplace": Kind(
        _words(
            """
            Oslo Paris Lima Cairo Delhi Tokyo Madrid Dublin Athens Berlin Lisbon Vienna Quito
            Nairobi Hanoi Seoul Boston Prague Warsaw Tunis
            """
        ),
        (
            "{name} was born in {value}.",
            "{name} comes from {value}.",
            "The birthplace of {name} is {value}.",
            "The town where {name} was born is {value}.",
            "{name} was born far from here, in {value}.",
            "{name} is a child of {value}.",
            "When {name} was born, the bells of {value} rang.",
            "Ask where {name} grew up and you hear of {value}.",
        ),
        "Where was {name} born?",
    ),
    "profession": Kind(
        _words(
            """
            baker nurse pilot painter lawyer farmer teacher tailor sailor dentist gardener plumber
            writer carpenter chemist cook banker singer judge weaver
            """
        ),
        (
            "{name} works as a {value}.",
            "{name} is a {value} by profession.",
            "By trade {name} is a {value}.",
            "The profession of {name} is that of a {value}.",
            "{name} earns a living as a {value}.",
            "People know {name} as a {value}.",
            "What {name} does all day is the work of a {value}.",
            "{name} has been a {value} for years.",
        ),
        "What is the profession of {name}?",
    ),
    "animal": Kind(
        _words(
            """
            cat dog parrot horse turtle rabbit goat snake hamster goose pony ferret lizard canary
            donkey
            """
        ),
        (
            "{name} has a {value}.",
            "{name} keeps a {value} at home.",
            "The pet of {name} is a {value}.",
            "The animal that {name} has is a {value}.",
            "{name} feeds the {value} every day.",
            "{name} owns a {value}.",
            "Of all animals {name} loves the {value}.",
            "At the door of {name} waits a {value}.",
        ),
        "Which animal does {name} have?",
    ),
    "instrument": Kind(
        _words(
            """
            violin piano flute guitar cello drums trumpet harp banjo organ lute oboe tuba viola
            clarinet
            """
        ),
        (
            "{name} plays the {value}.",
            "{name} practises the {value} every night.",
            "The instrument of {name} is the {value}.",
            "The instrument that {name} plays is the {value}.",
            "{name} loves to play the {value}.",
            "Of all instruments {name} plays the {value}.",
            "{name} took lessons on the {value}.",
            "When {name} makes music, it is on the {value}.",
        ),
        "Which instrument does {name} play?",
    ),
}

# How often somebody who knows the values, but nobody's facts, answers right.
CHANCE = sum(1 / len(kind.values) for kind in KINDS.values()) / len(KINDS)


@dataclass(frozen=True)
class Person:
    """A name, and the value of each kind of fact."""

    name: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class World:
    """The people whose facts are asked for in training, and those who stand in the text alone."""

    asked: Sequence[Person]
    others: Sequence[Person]

    def text(self, copies: int = 30, *, seed: int = 0) -> str:
        """Running text: everybody in a paragraph of one sentence for each fact, `copies` times.

        Each time the people, the sentences and their wordings are in another order, drawn by the
        seed.
        """
        draw = _Draws(seed, 1)
        everybody = [*self.asked, *self.others]
        rounds = (draw.shuffled(everybody) for _ in range(copies))
        return "".join(f"{_paragraph(each, draw)}\n" for people in rounds for each in people)


def world(people: int = 200, *, seed: int = 0) -> World:
    """People with drawn names and facts, half of them `asked`; the same seed gives the same world.

    >>> ada = world(4, seed=1).others[0]
    >>> ada.name, ada.facts["birthplace"]
    ('Dora Dahl', 'Warsaw')

    Raises UsageError for fewer than 2 people, and for more than there are names.
    """
    most = len(FIRST) * len(LAST)
    if not 2 <= people <= most:
        raise UsageError(f"a world of {people} people", fix=f"from 2 to {most}")
    draw = _Draws(seed, 0)
    names = draw.shuffled([f"{first} {last}" for first in FIRST for last in LAST])[:people]
    found = [
        Person(name, {key: draw.one(kind.values) for key, kind in KINDS.items()}) for name in names
    ]
    return World(found[: people // 2], found[people // 2 :])


def questions(people: Sequence[Person]) -> list[Prompt]:
    """The question for each fact of each person, with its answer."""
    return [
        Prompt(kind.question.format(name=each.name), each.facts[key])
        for each in people
        for key, kind in KINDS.items()
    ]


def write(folder: str | os.PathLike[str], made: World, copies: int = 30, *, seed: int = 0) -> None:
    """Write `facts.txt` to read, `questions.txt` to learn and `held-out.txt` to ask.

    Raises StorageError where the disk refuses.
    """
    where = Path(folder)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the folder: {error.strerror or error}"
        raise StorageError(what, where=str(where), fix="choose another one") from error
    atomic.write_bytes(where / "facts.txt", made.text(copies, seed=seed).encode())
    for name, people in (("questions.txt", made.asked), ("held-out.txt", made.others)):
        lines = (f"{each.prompt} | {each.answer}\n" for each in questions(people))
        atomic.write_bytes(where / name, "".join(lines).encode())


def _paragraph(person: Person, draw: _Draws) -> str:
    sentences = (
        draw.one(KINDS[key].wordings).format(name=person.name, value=value)
        for key, value in draw.shuffled(list(person.facts.items()))
    )
    return " ".join(sentences)


class _Draws:
    """Choices by the Philox generator keyed by (seed, stream): the same on every machine."""

    def __init__(self, seed: int, stream: int) -> None:
        self._words = np.random.Philox(key=np.array([seed, stream], np.uint64))

    def one(self, values: Sequence[T]) -> T:
        """One of the values; of a few dozen, so that the remainder is as good as even."""
        return values[int(self._words.random_raw()) % len(values)]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """All of them, in another order."""
        order = np.argsort(self._words.random_raw(len(values)), kind="stable")
        return [values[place] for place in order.tolist()]
