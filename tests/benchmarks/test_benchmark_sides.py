"""Every side computes the same thing: tiny networks and arrays, kedja against each peer.

In this process, and in kedja's interpreter tier: that compiled code gives the same is tested
elsewhere. Not here: time. Next: `test_benchmark_report.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kedja as kj
from benchmarks.cases import Case
from benchmarks.cases.arrays import PASSES, descent, one_pass, product
from benchmarks.cases.generating import generating, weights
from benchmarks.cases.table import GPT_124M, gpt, mlp, residual
from benchmarks.cases.training import forward, training
from benchmarks.side import Runner, Spec
from benchmarks.sweep.points import Point, sweep_case

STEPS = 6
CNN = {"family": "cnn", "channels": [1, 2, 3], "side": 8, "classes": 4}
RESNET = {"family": "resnet", "widths": [2, 3, 4], "blocks": 1, "side": 8, "classes": 4}
LSTM = {"family": "lstm", "vocabulary": 7, "width": 6, "context": 5}
GPT = {**gpt(1, 2, 8, 6), "vocabulary": 7}
PERCEPTRON = mlp(5, 4, 3)

TRAINING = (
    training("mlp", PERCEPTRON, batch=4, batches=3),
    training("mse", mlp(4, 3, 2, activation="sigmoid"), batch=1, batches=8, loss="mse"),
    training("adamw", PERCEPTRON, batch=4, batches=3, optimizer="adamw", rate=1e-2),
    training("cnn", CNN, batch=4, batches=3, optimizer="adamw", rate=1e-3),
    training("resnet", RESNET, batch=4, batches=3, options={"momentum": 0.9}),
    training("lstm", LSTM, batch=4, batches=3, optimizer="adamw", rate=1e-2),
    training("gpt", GPT, batch=4, batches=3, optimizer="adamw", rate=1e-2),
    training("residual", residual(3, 8), batch=4, batches=3),
)
HALF = training("half", GPT, batch=4, batches=3, precision="bfloat16", tolerance=2e-2)
FORWARD = tuple(forward(f"{n['family']} forward", n) for n in (PERCEPTRON, CNN, RESNET, GPT))
SMALL = (
    descent("descent"),
    *(product(layout, 3, 4, 5, layout) for layout in ("AB", "AtB", "ABt")),
    product("half product", 3, 4, 5, dtype="bfloat16"),
    *(one_pass(operation, operation, 2000) for operation in PASSES),
)
GENERATING = (
    generating("generate", GPT, 6),
    generating("half generate", GPT, 6, "bfloat16", tolerance=2e-2),
)
ALL = (*TRAINING, HALF, *FORWARD, *SMALL)


def made(side: str, case: Case, variant: str = "") -> Runner:
    """A side's runner for a case, in this process."""
    module = importlib.import_module(f"benchmarks.{side}_side")
    spec = Spec(case.kind, case.options, case.arrays(), 1, variant)
    runner: Runner = module.runner(spec)
    return runner


@pytest.fixture(autouse=True)
def interpreter() -> Iterator[None]:
    with kj.scope(tier="interpret"):
        yield


@pytest.fixture
def torch() -> Iterator[Any]:
    library = pytest.importorskip("torch", reason="PyTorch is the peer")
    threads = library.get_num_threads()
    yield library
    library.set_num_threads(threads)


def require_equal(case: Case, mine: Runner, its: Runner) -> None:
    """The losses of all ways of running of both sides."""
    wanted = np.array(mine.losses(mine.modes[0], STEPS))
    assert np.isfinite(wanted).all()
    for runner in (mine, its):
        for mode in runner.modes:
            losses = np.array(runner.losses(mode, STEPS))
            atol = case.tolerance * np.abs(wanted).max()
            np.testing.assert_allclose(losses, wanted, rtol=0, atol=atol, err_msg=mode)


def test_the_weights_of_gpt2_small_are_counted() -> None:
    assert weights(GPT_124M) == 124_439_808
    arrays = generating("generate", GPT, 6).arrays()
    assert weights(GPT) == sum(each.size for each in arrays.values())


@pytest.mark.parametrize("case", [*ALL, *GENERATING], ids=lambda case: case.name)
def test_kedja_and_pytorch_agree(case: Case, torch: Any) -> None:
    require_equal(case, made("kedja", case), made("torch", case))


@pytest.mark.parametrize("case", [c for c in ALL if c is not HALF], ids=lambda case: case.name)
def test_kedja_and_jax_agree(case: Case) -> None:
    pytest.importorskip("jax", reason="JAX is the peer")
    require_equal(case, made("kedja", case), made("jax", case))


@pytest.mark.parametrize("case", TRAINING[2:3], ids=lambda case: case.name)
def test_the_fused_optimiser_agrees(case: Case, torch: Any) -> None:
    require_equal(case, made("kedja", case), made("torch", case, "fused"))


def test_kedja_and_scikit_learn_agree() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is the peer")
    case = TRAINING[0]
    require_equal(case, made("kedja", case), made("sklearn", case))


@pytest.mark.parametrize("case", TRAINING, ids=lambda case: case.name)
def test_a_training_case_learns(case: Case) -> None:
    losses = made("kedja", case).losses("step", 4 * STEPS)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


@pytest.mark.parametrize("mode", ["step", "loop"])
@pytest.mark.parametrize("case", [TRAINING[0], FORWARD[0], *SMALL[:2]], ids=lambda c: c.name)
def test_as_many_steps_are_run_as_asked_for_or_a_few_more(case: Case, mode: str) -> None:
    runner = made("kedja", case)
    runner.first(mode)
    seconds, steps = runner.run(mode, 5)
    assert seconds > 0 and 5 <= steps < 10


def test_a_sweep_holds_all_its_points(torch: Any) -> None:
    points = [Point(3, 2), Point(4, 1)]
    sides = [made(side, sweep_case(points)) for side in ("kedja", "torch")]
    for side in sides:
        assert side.modes == ("3x2", "4x1")
        assert side.run("4x1", 3).steps >= 3
    mine, its = (side.losses("3x2", STEPS) for side in sides)
    np.testing.assert_allclose(mine, its, rtol=1e-5)
