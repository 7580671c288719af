"""Evolution: it finds what can be found, the same seed finds the same bits, runs resume.

Not here: the carts (`test_rl_poles.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("cmaes")

from kedja.ground.errors import CheckpointError, Interrupted, UsageError
from kedja.rl import evolve, fleet
from kedja.rl.environments import make
from kedja.rl.evolution import poles
from kedja.rl.evolution.searches import SEARCHES, Genetic
from kedja.rl.physics import TWO, Task
from kedja.rl.policies import vector
from tests.rl.environments_for_tests import Reach, Switches

QUIET = {"progress": False}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_climbs(name):
    search = SEARCHES[name](3, seed=2)
    goal = np.array([1.0, -2.0, 0.5])
    for _ in range(60):
        search.tell(-np.sum((search.ask() - goal) ** 2, axis=1))
    assert np.abs(search.ask() - goal).max(axis=1).min() < 0.3


def test_cma_es_starts_again_with_twice_the_population():
    search = SEARCHES["cma-es"](2, seed=0, population=6)
    sizes = set()
    for _ in range(150):
        asked = search.ask()
        sizes.add(len(asked))
        search.tell(-np.sum(asked**2, axis=1))
    assert {6, 12} <= sizes


@pytest.mark.parametrize("name", SEARCHES)
def test_a_share_of_sigma_is_kept(name):
    """The spread of the last generation, long after the best place was found."""
    spreads = []
    for least in (0.0, 0.5):
        search = SEARCHES[name](21, seed=0, least=least)
        for _ in range(100):
            search.tell(-np.sum(search.ask() ** 2, axis=1))
        spreads.append(np.abs(search.ask()).mean())
    assert spreads[0] < 0.1
    assert spreads[1] > 5 * spreads[0]


def test_the_best_of_the_genetic_algorithm_lives_on():
    search = Genetic(4, population=10, seed=0)
    first = search.ask()
    search.tell(np.arange(10.0))
    np.testing.assert_array_equal(search.ask()[0], first[9])


def test_two_poles_with_velocities_are_balanced_for_100_000_steps():
    found = evolve("kedja/TwoPoles-v0", seed=0, limit=100_000, **QUIET)
    assert found.solved
    assert found.evaluations < 1000
    assert poles.lasts(Task(TWO), found.policy)


def test_two_poles_without_velocities_need_a_memory():
    """Only who has stood for all steps is put to the test."""
    task = Task(TWO, velocities=False)
    tested = []

    def accept(policy):
        tested.append(poles.lasts(task, policy, 1000))
        return poles.lasts(task, policy, 2000)

    found = evolve(
        "kedja/TwoPolesNoVelocities-v0",
        seed=2,
        recurrent=True,
        limit=1000,
        fitness="gruau",
        goal=fleet.stood(1000),
        accept=accept,
        **QUIET,
    )
    assert found.solved
    assert all(tested)
    assert len(tested) < len(found.generations)
    blind = evolve("kedja/TwoPolesNoVelocities-v0", seed=2, generations=30, **QUIET)
    assert not blind.solved


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("discrete", [False, True])
def test_other_environments_are_stepped_by_gymnasium(search, discrete):
    """CartPole's goal is met; of Pendulum some generations are enough to see it get better."""
    name = "CartPole-v1" if discrete else "Pendulum-v1"
    options = {"generations": 8, "population": 10, "limit": 60, "goal": 60.0}
    found = evolve(name, search=search, seed=1, **options, **QUIET)
    means = [row.mean for row in found.generations]
    assert found.solved or max(means) > means[0]
    assert found.policy.config.discrete == discrete


def test_the_same_seed_finds_the_same_bits():
    options = {"generations": 6, "hidden": (3,), **QUIET}
    one, same, other = (evolve("kedja/TwoPoles-v0", seed=s, **options) for s in (1, 1, 2))
    np.testing.assert_array_equal(vector(one.policy), vector(same.policy))
    assert (vector(one.policy) != vector(other.policy)).any()


def interrupting(after):
    """An `accept` that presses Ctrl-C in a later generation."""
    calls = []

    def accept(policy):
        calls.append(policy)
        if len(calls) > after:
            raise KeyboardInterrupt
        return False

    return accept


@pytest.mark.parametrize("search", SEARCHES)
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(search, tmp_path):
    options = {"search": search, "population": 8, "seed": 5, "generations": 10, **QUIET}
    name = "kedja/TwoPolesNoVelocities-v0"
    whole = evolve(name, accept=lambda policy: False, **options)
    with pytest.raises(Interrupted, match="after 4 generations") as caught:
        evolve(name, accept=interrupting(4), checkpoint=tmp_path, **options)
    assert caught.value.checkpoint == str(tmp_path)
    again = {"accept": lambda policy: False, "checkpoint": tmp_path, "resume": True}
    resumed = evolve(name, **again, **options)
    assert resumed.generations == whole.generations
    np.testing.assert_array_equal(vector(resumed.policy), vector(whole.policy))


def test_a_run_that_was_solved_is_not_gone_on_with(tmp_path):
    options = {"limit": 200, "seed": 1, "checkpoint": tmp_path, **QUIET}
    found = evolve("kedja/OnePole-v0", **options)
    again = evolve("kedja/OnePole-v0", resume=True, **options)
    assert again.solved
    assert again.evaluations == found.evaluations
    np.testing.assert_array_equal(vector(again.policy), vector(found.policy))


def test_another_runs_checkpoint_is_refused(tmp_path):
    evolve("kedja/OnePole-v0", generations=1, limit=50, checkpoint=tmp_path, **QUIET)
    with pytest.raises(CheckpointError, match="seed is 3, in the checkpoint 0"):
        evolve("kedja/OnePole-v0", limit=50, seed=3, checkpoint=tmp_path, resume=True, **QUIET)
    (tmp_path / "evolution.safetensors").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError):
        evolve("kedja/OnePole-v0", limit=50, checkpoint=tmp_path, resume=True, **QUIET)


def test_options_that_do_not_fit_are_named():
    with pytest.raises(UsageError, match="no search 'anneal'"):
        evolve("kedja/OnePole-v0", search="anneal")
    with pytest.raises(UsageError, match="no fitness 'speed'"):
        evolve("kedja/OnePole-v0", fitness="speed")
    with pytest.raises(UsageError, match="carts with poles"):
        evolve("CartPole-v1", fitness="gruau")
    with pytest.raises(UsageError, match="no usual goal"):
        evolve("kedja/OnePole-v0", fitness="gruau")
    assert not evolve("kedja/OnePole-v0", goal=float("nan"), generations=2, **QUIET).solved
    unnamed = make("kedja/OnePole-v0").unwrapped
    unnamed.spec = None
    assert evolve(unnamed, limit=20, generations=1, **QUIET).evaluations > 0


def test_an_environment_may_be_given_by_a_function_that_makes_it():
    """The class itself, too; only copies of one that was made by hand cannot be made."""
    found = evolve(Reach, generations=3, **QUIET)
    assert found.fitness == evolve(lambda: Reach(), generations=3, **QUIET).fitness
    several = evolve(Switches, generations=8, **QUIET)
    assert several.fitness > evolve(Switches, generations=1, **QUIET).fitness
    with pytest.raises(UsageError, match="give a function that makes it"):
        evolve(Reach(), generations=1, **QUIET)
    with pytest.raises(UsageError, match="generations 0"):
        evolve(Reach, generations=0, **QUIET)


def test_cma_es_starts_again_where_nothing_gets_better():
    """The best that is told stays 0 from the first generation on."""
    search = SEARCHES["cma-es"](3, seed=0, population=6)
    centres = []
    for _ in range(search.PATIENCE + 2):
        asked = search.ask()
        centres.append(np.abs(asked.mean(axis=0)).max())
        order = np.argsort(asked[:, 0])
        search.tell(np.where(order == 0, 0.0, -order))
    assert len(asked) == 6
    assert centres[-1] < 2 < centres[search.PATIENCE - 1]
