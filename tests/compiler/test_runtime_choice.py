"""Short steps run on all threads or on one, as is faster: the same bits either way.

Not here: who runs which task (`test_runtime.py`), and that anything is faster, which needs a
machine with far cores and nobody else on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from runtime_kernels import counter, program

import kedja as kj
from kedja import nn
from kedja.compiler import runtime_choice
from kedja.compiler.runtime import Buffer, Launch, Plan, Program
from kedja.compiler.runtime_choice import BETWEEN, FIRST, MOST, NEVER, TRIED, start_of
from kedja.compiler.runtime_plan import Jump, Repeat
from kedja.compiler.runtime_threads import POOL, _pools

TASKS = 6
LONG_FLOPS = int(2 * runtime_choice.LONG * runtime_choice.FLOPS_PER_SECOND)


@pytest.fixture
def made() -> Program:
    return counter(TASKS)


def shared_launches() -> int:
    """How many launches the workers have been called to, so far."""
    memory = _pools["pool"]._memory
    first = POOL.fields["job"][0]
    return int(memory[first : first + 4].view(np.uint32)[0])


def run(made: Program, steps: int) -> int:
    """How many of these steps were shared."""
    cells = np.zeros(TASKS, np.int64)
    made.run([], [cells], steps=0, threads=2)  # the pool is there
    before = shared_launches()
    made.run([], [cells], steps=steps, threads=2)
    np.testing.assert_array_equal(cells, np.full(TASKS, steps))
    return shared_launches() - before


# ----------------------------------------------------------------------------- the driver


@pytest.mark.parametrize(("left", "alone", "shared"), [(0, 0, 50), (NEVER, 0, 50), (NEVER, 1, 0)])
def test_steps_run_in_the_way_that_was_chosen(
    made: Program, left: int, alone: int, shared: int
) -> None:
    made.choice[:2] = left, alone
    assert run(made, 50) == shared


@pytest.mark.parametrize("alone", [0, 1])
def test_a_trial_takes_some_steps_in_each_way(made: Program, alone: int) -> None:
    made.choice[:2] = 2 * TRIED, alone
    assert run(made, TRIED) == (0 if alone else TRIED)
    assert run(made, TRIED) == (TRIED if alone else 0)
    assert made.choice[0] >= BETWEEN
    assert made.choice[2:].tolist() == [NEVER, NEVER]


@pytest.mark.parametrize("alone", [0, 1])
@pytest.mark.parametrize(("own", "changes"), [(10**15, True), (1, False)])
def test_the_faster_way_is_taken_and_a_slow_one_seldom_tried(
    made: Program, own: int, changes: bool, alone: int
) -> None:
    made.choice[:3] = 1, alone, own
    run(made, 1)
    assert made.choice[1] == (alone != changes)
    assert made.choice[0] <= (MOST + 1) * BETWEEN + 2 * TRIED
    if changes:
        assert made.choice[0] == (MOST + 1) * BETWEEN + 2 * TRIED


def test_one_thread_has_nothing_to_choose(made: Program) -> None:
    before = made.choice.copy()
    made.run([], [np.zeros(TASKS, np.int64)], steps=100, threads=1)
    np.testing.assert_array_equal(made.choice, before)


# --------------------------------------------------------------------- what is tried at all


def plan_of(*launches: Launch | Repeat | Jump) -> Plan:
    return program([], []).plan.__class__(launches, (Buffer("output", 0, 8),), 0, 0, 1)


def count(flops: int) -> Launch:
    return Launch("kedja_count", (0,), TASKS, flops=flops)


def test_long_steps_and_loops_of_unknown_length_are_not_tried() -> None:
    assert start_of(plan_of(count(1000)))[0] == FIRST + 2 * TRIED
    assert start_of(plan_of(count(LONG_FLOPS)))[0] == 0
    assert start_of(plan_of(count(1000), Jump(0, 0)))[0] == 0


def test_what_is_repeated_counts_as_often_as_it_runs() -> None:
    share = LONG_FLOPS // 100
    assert start_of(plan_of(count(share), Repeat(0, 10)))[0] > 0
    assert start_of(plan_of(count(share), Repeat(0, 10), Repeat(0, 10)))[0] == 0
    assert start_of(plan_of(count(share), count(0), Repeat(1, 1000)))[0] > 0


# ------------------------------------------------------------------------------------ bits


WAYS = {"shared": (NEVER, 0), "alone": (NEVER, 1), "trial": (2 * TRIED + 3, 0)}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(
        runtime_choice,
        "start_of",
        lambda plan: np.array([*WAYS[request.param], NEVER, NEVER], np.int64),
    )
    yield request.param


def trained(threads: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((512, 90), np.float32), rng.integers(0, 10, 512)
    model = nn.mlp([90, 130, 10], "relu", key=kj.random.key(1))
    with kj.scope(threads=threads):
        trainer = kj.Trainer(
            model, loss=nn.cross_entropy, optimizer=kj.optim.SGD(0.1), batch_size=32,
            shuffle=False, progress=False,
        )  # fmt: skip
        trainer.fit(x, y, epochs=2)
    return [np.asarray(each) for each in kj.tree.leaves(trainer.model)]


def test_each_way_gives_the_bits_of_one_thread(way: str) -> None:
    for one, several in zip(trained(1), trained(2), strict=True):
        assert one.tobytes() == several.tobytes()
