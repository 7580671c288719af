"""`kedja train tic-tac-toe` and `kedja play` on it, as they are called.

Not here: self-play itself (`tests/rl`).
"""

from __future__ import annotations

import io
import json
import shlex

import pytest

from kedja.cli import runs
from kedja.cli.agents import games
from kedja.cli.families import usual
from kedja.models import folder as folders
from kedja.rl.games.network import BoardNet, config_for
from kedja.rl.games.rules import TIC_TAC_TOE
from kedja.rl.games.self_play import _Run
from tests.cli.terminal import Terminal

SIZES = "--iterations 2 --games 4 --simulations 4 --steps 2 --width 4 --layers 1 --batch 16"


@pytest.fixture
def kedja(tmp_path, monkeypatch, capsys):
    """Run a line in a folder of the test's own, with something typed: exit code, output, notes."""
    monkeypatch.chdir(tmp_path)

    terminal = Terminal(capsys)

    def run(line: str, typed: str = ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return terminal(*shlex.split(line))

    return run


def test_games_are_recognised_by_their_names(tmp_path, monkeypatch):
    assert usual(["tic-tac-toe"]) == usual(["connect-four"]) == "alpha-zero"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tic-tac-toe").write_text("a,b\n1,2\n")
    assert usual(["tic-tac-toe"]) != "alpha-zero"


def test_a_game_is_learned_resumed_and_played(kedja, monkeypatch):
    lives = _Run._next
    monkeypatch.setattr(games, "TEST_GAMES", {"random": 10})

    def interrupted(self, number):
        if number == 2:
            raise KeyboardInterrupt
        return lives(self, number)

    monkeypatch.setattr(_Run, "_next", interrupted)
    code, _, notes = kedja(f"train tic-tac-toe {SIZES} --out run")
    command = "kedja train tic-tac-toe --out run --resume"
    assert code == 130
    assert f"after 1 iterations; go on with: {command}" in notes
    assert kedja("play run --against random --games 2 --simulations 2")[0] == 0
    monkeypatch.setattr(_Run, "_next", lives)
    code, out, notes = kedja(f"{command.removeprefix('kedja ')} --json")
    found = json.loads(out)
    assert code == 0
    assert "1 blocks of 4 channels" in notes
    assert [each["opponent"] for each in found["matches"]] == ["every reply"] * 2 + ["random"]
    assert found["matches"][2]["both"]["wins"] > 5
    _matches(kedja)
    _a_person(kedja)
    _wrong(kedja)


def _matches(kedja):
    code, out, _ = kedja("play run --against random --games 10 --simulations 4 --json")
    found = json.loads(out)
    assert code == 0
    assert sum(found["both"][each] for each in ("wins", "draws", "losses")) == 10
    code, out, _ = kedja("play run --against perfect --games 4 --simulations 0")
    assert code == 0
    assert out.splitlines()[0] == "network against perfect"
    assert kedja("play run --against all --simulations 0")[1].count("lines of play") == 3


def _a_person(kedja):
    """Someone who thinks, mistypes, and tries every cell until the game is over."""
    typed = "?\nhello\n" + "\n".join("5123467895123467891234567899") + "\n"
    code, out, _ = kedja("play run --simulations 8 --opinion", typed)
    assert code == 0
    assert "'hello' is no move here: give one of 1, 2, 3, 4, 5, 6, 7, 8, 9" in out
    assert "after 8 simulations" in out
    assert out.splitlines()[-1] in ("you win", "search-8 wins", "a draw")
    code, out, _ = kedja("play run --moves 5,1 --simulations 8 --json")
    thought = json.loads(out)
    assert code == 0
    assert (thought["after"], thought["side"]) == ([5, 1], "x")
    assert [each["number"] for each in thought["moves"]] == [2, 3, 4, 6, 7, 8, 9]
    pytest.importorskip("matplotlib")
    code, out, notes = kedja("play run --moves 5 --simulations 8 --plot board.svg")
    assert code == 0
    assert "wrote board.svg" in notes
    assert "after 8 simulations" in out
    code, out, _ = kedja("play run --second --simulations 8", "")
    assert code == 0
    assert "search-8 (x) plays" in out
    assert out.endswith("the game ends here\n")


def _wrong(kedja):
    for line, message in (
        ("play run --gif x.gif", "alpha-zero plays a board game, which has no --gif"),
        ("play run --moves 5,5 --json", "move 2 is number 5, which is not legal"),
        ("play run --plot board.txt", "board.txt is no picture"),
        ("play run --moves a", "numbers of moves from 1"),
        ("play run --moves 1,4,2,5,3 --json", "the game is over"),
        ("play run --against deep", "there is no player 'deep'"),
        ("train tic-tac-toe --out run --resume --games 9", "--games is 9"),
    ):
        code, out, notes = kedja(line)
        assert (code, out) == (2, "")
        assert message in notes


WRONG = [
    ("train tic-tac-toe connect-four", "several games"),
    ("train connect-four --epochs 3", "the model alpha-zero has no --epochs"),
    ("train connect-four --simulations 0", "a whole number from 1"),
    ("train chess --model alpha-zero", "there is no game 'chess'"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_bad_input_has_one_clear_message(line, message, kedja):
    code, out, notes = kedja(line)
    assert code == 2
    assert message in notes
    assert not out


def test_ctrl_c_ends_a_game_cleanly(kedja, monkeypatch):
    folders.save("run", BoardNet(config_for(TIC_TAC_TOE, channels=4, blocks=1)))
    runs.write(runs.Path("run"), {"recipe": {"model": "alpha-zero"}})

    def interrupt(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupt)
    code, _, notes = kedja("play run --simulations 2")
    assert code == 130
    assert "interrupted: the game ends here" in notes
