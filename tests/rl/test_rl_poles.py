"""The cart with poles: its equations, the Gymnasium contract, and the same ride in one program.

Not here: evolution (`test_rl_evolution.py`).
"""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from kedja.ground.errors import ShapeError, UnsupportedError, UsageError  # noqa: E402
from kedja.rl import fleet, physics, rendering, spaces  # noqa: E402
from kedja.rl.environments import TASKS, make  # noqa: E402
from kedja.rl.evolution import poles  # noqa: E402
from kedja.rl.physics import ONE, TWO, Task  # noqa: E402
from kedja.rl.playing import agent_of, play  # noqa: E402
from kedja.rl.policies import Policy, PolicyConfig, filled, vector  # noqa: E402


def energy(state, chosen):
    """Kinetic and potential energy: hinged uniform rods on a cart."""
    x_speed = state[1]
    total = 0.5 * physics.CART_MASS * x_speed**2
    for pole, angle, speed in zip(chosen, state[2::2], state[3::2], strict=True):
        m, l = pole.mass, pole.half_length  # noqa: E741
        total += 0.5 * m * ((x_speed + l * speed * math.cos(angle)) ** 2)
        total += 0.5 * m * (l * speed * math.sin(angle)) ** 2
        total += 0.5 * (m * l * l / 3) * speed**2
        total += m * 9.8 * l * math.cos(angle)
    return total


@pytest.mark.parametrize("chosen", [ONE, TWO], ids=["one", "two"])
def test_energy_is_kept_without_friction_and_force(chosen, monkeypatch):
    """The equations are those of rods on a cart: nothing else keeps their energy."""
    monkeypatch.setattr(physics, "CART_FRICTION", 0.0)
    monkeypatch.setattr(physics, "POLE_FRICTION", 0.0)
    state = (0.1, 0.4, 0.2, -0.3, *(-0.1, 0.5)[: 2 * len(chosen) - 2])
    before = energy(state, chosen)
    for _ in range(20):
        state = physics.step(state, 0.0, chosen)
    assert abs(energy(state, chosen) - before) < 1e-6


@pytest.mark.parametrize("chosen", [ONE, TWO], ids=["one", "two"])
def test_the_accelerations_are_those_of_newtons_laws(chosen):
    """Rods on hinges and a cart as one linear system, solved: A (ẍ, θ̈…) = forces."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        state, force = rng.uniform(-0.6, 0.6, 2 + 2 * len(chosen)), rng.uniform(-10, 10)
        angles, speeds = state[2::2], state[3::2]
        m, l = np.array([(pole.mass, pole.half_length) for pole in chosen]).T  # noqa: E741
        system = np.diag([physics.CART_MASS + m.sum(), *4 / 3 * m * l**2])
        system[0, 1:] = system[1:, 0] = m * l * np.cos(angles)
        along = force - physics.CART_FRICTION * np.sign(state[1])
        along += (m * l * speeds**2 * np.sin(angles)).sum()
        around = m * 9.8 * l * np.sin(angles) - physics.POLE_FRICTION * speeds
        wanted = np.linalg.solve(system, [along, *around])
        found = physics._change(state, force, chosen, physics.Functions(np.sin, np.cos, np.sign))
        np.testing.assert_allclose(found[1::2], wanted, rtol=1e-9)
        np.testing.assert_array_equal(found[::2], state[1::2])


def test_friction_takes_energy():
    state = (0.0, 1.0, 0.0, 0.0)
    for _ in range(20):
        state = physics.step(state, 0.0, ONE)
    assert energy(state, ONE) < energy((0.0, 1.0, 0.0, 0.0), ONE) - 1e-5


def test_the_mirror_image_moves_as_the_mirror_image():
    state = (0.2, -0.1, 0.05, 0.3, -0.02, 0.4)
    there = physics.step(state, 4.0, TWO)
    mirrored = physics.step([-part for part in state], -4.0, TWO)
    assert mirrored == tuple(-part for part in there)


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_gymnasiums_checker_accepts_the_environment(name, discrete):
    env = make(name, discrete=discrete, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("name", ["kedja/TwoPoles-v0", "kedja/OnePoleNoVelocities-v0"])
def test_a_fleet_rides_as_gymnasiums_environment_step_by_step(name, recurrent):
    env = make(name)
    policy = Policy(spaces.config_for(env, (3,), recurrent=recurrent))
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(12, policy.num_parameters))
    task = env.unwrapped.task
    states = fleet.starts(task, 12) + rng.uniform(-0.05, 0.05, (12, 2 + 2 * len(task.poles)))
    ride = fleet.ride(task, filled(policy, vectors), states, limit=150)
    assert 5 <= ride.steps.min() < ride.steps.max()
    for place in range(4):
        agent = agent_of(filled(policy, vectors[place]), env)
        observation, _ = env.reset(options={"state": states[place]})
        unrest, terminated = [], False
        while not terminated and len(unrest) < 150:
            action = agent(observation, not unrest)
            observation, _, terminated, _, info = env.step(action)
            unrest.append(info["unrest"])
        assert len(unrest) == ride.steps[place]
        assert terminated != ride.up[place]
        np.testing.assert_allclose(env.unwrapped.state, ride.states[place], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(sum(unrest[-100:]), ride.unrest[place], rtol=1e-9)


def test_discrete_pushes_are_the_same_in_both():
    env = make("kedja/OnePole-v0", discrete=True)
    policy = Policy(spaces.config_for(env))
    vectors = np.random.default_rng(1).normal(size=(6, policy.num_parameters))
    task = env.unwrapped.task
    ride = fleet.ride(task, filled(policy, vectors), fleet.starts(task, 6), limit=200)
    for place in range(6):
        [episode] = play(env, agent_of(filled(policy, vectors[place]), env))
        assert min(episode.steps, 200) == ride.steps[place]


def test_a_limit_ends_a_ride_whatever_the_stretch():
    task = Task(ONE)
    policy = Policy(PolicyConfig(4, 1, bias=False))
    up = fleet.starts(task, 1) * 0.0
    ride = fleet.ride(task, filled(policy, np.zeros((1, 4))), up, limit=250)
    assert ride.steps.tolist() == [250]
    assert ride.up.tolist() == [True]


def test_gruaus_fitness():
    ride = fleet.Ride(*map(np.array, ([50, 1000], [False, True], [9.0, 1.5], [0, 0])))
    np.testing.assert_allclose(fleet.gruau(ride), [0.005, 0.1 + 0.9 * 0.5])


def test_the_625_other_starts_are_those_of_the_literature():
    states = poles.other_starts(Task(TWO))
    assert len(np.unique(states, axis=0)) == 625
    np.testing.assert_allclose(states[0, :4], [-1.944, -1.215, -0.0565487, -0.1350884], rtol=1e-5)
    assert not states[:, 4:].any()
    assert not np.asarray(physics.failed(states.T)).any()


def test_the_same_seed_starts_the_same_way():
    env = make("kedja/TwoPoles-v0", spread=0.05)
    first, again, other = (env.reset(seed=seed)[0] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_pictures_show_where_the_cart_is_and_become_an_animation():
    image = pytest.importorskip("PIL.Image")
    left, right = (rendering.picture((x, 0, 0, 0, 0, 0), TWO, 5.0) for x in (-2.0, 2.0))
    assert left.shape == (300, 600, 3)
    body = (left == rendering.BODY).all(axis=2).nonzero()[1].mean()
    assert body == pytest.approx(300 - 220, abs=5)
    file = io.BytesIO()
    rendering.write_gif(file, [left, right])
    with image.open(file) as gif:
        assert gif.n_frames == 2
    assert rendering.strip([left] * 5).shape == (600, 2400, 3)


def test_vectors_and_policies_are_the_same_thing():
    policy = Policy(PolicyConfig(3, 2, hidden=(4,), recurrent=True))
    numbers = np.arange(float(policy.num_parameters))
    np.testing.assert_array_equal(vector(filled(policy, numbers)), numbers)
    with pytest.raises(ShapeError, match="5 numbers for 42 weights"):
        filled(policy, numbers[:5])


def test_bad_input_has_one_clear_message():
    with pytest.raises(UsageError, match="kedja/TwoPoles-v0"):
        make("kedja/TwoPole-v0")
    with pytest.raises(UsageError, match="cannot be made"):
        make("kedja/TwoPoles-v0", color="red")
    with pytest.raises(UsageError, match="render_mode"):
        make("kedja/TwoPoles-v0").unwrapped.__class__(Task(TWO), render_mode="human")
    with pytest.raises(UsageError, match="6 numbers"):
        make("kedja/TwoPoles-v0").reset(options={"state": [0.0]})
    with pytest.raises(UsageError, match="without pictures"):
        rendering.write_gif("none.gif", [])
    odd = gymnasium.spaces.Text(3)
    with pytest.raises(UnsupportedError, match="kind Text"):
        spaces.encoder(odd)
