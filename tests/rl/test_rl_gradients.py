"""What REINFORCE, A2C and PPO compute: advantages, losses and their gradients, acting, networks.

Not here: whether they learn (`test_rl_learning.py`).
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import kedja as kj
from kedja.ground.errors import NonFiniteError, UsageError
from kedja.models import load, registry, save
from kedja.rl import agent_of
from kedja.rl.copies import Copies
from kedja.rl.gradients import A2C, PPO, ActorCritic, ActorCriticConfig, Reinforce, acting, losses
from kedja.rl.gradients.actions import Categorical, Choices, Gaussian
from kedja.rl.gradients.advantages import advantages
from kedja.rl.gradients.learner import _drawn
from kedja.rl.gradients.running import RewardScale, nothing_seen
from kedja.rl.policies import apart
from tests.rl.environments_for_tests import Arms, Corridor, Reach

RNG = np.random.default_rng(0)
CONTINUOUS = ActorCriticConfig(observations=3, actions=2, low=(-2.0, 0.0), high=(2.0, 3.0))
DISCRETE = ActorCriticConfig(observations=3, actions=4, discrete=True)


# ------------------------------------------------------------------------------- advantages


@pytest.mark.parametrize("lam", [0.0, 0.9, 1.0])
def test_advantages_are_those_of_a_plain_loop(lam):
    steps, copies, gamma = 17, 5, 0.97
    r, v, after = RNG.normal(size=(3, steps, copies))
    terminated = RNG.random((steps, copies)) < 0.1
    over = terminated | (RNG.random((steps, copies)) < 0.1)
    expected = np.zeros((steps, copies))
    for n in range(copies):
        later = 0.0
        for t in reversed(range(steps)):
            rest = 0.0 if terminated[t, n] else after[t, n]
            delta = r[t, n] + gamma * rest - v[t, n]
            later = delta + (0.0 if over[t, n] else gamma * lam * later)
            expected[t, n] = later
    given = map(kj.tensor, (r, v, after, terminated, over))
    found = advantages(*given, gamma=gamma, lam=lam)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_with_lambda_1_they_are_what_followed_less_what_was_expected():
    r, v = RNG.normal(size=(2, 6, 1))
    end, after = np.arange(6).reshape(6, 1) == 5, np.roll(v, -1)
    found = advantages(*map(kj.tensor, (r, v, after, end, end)), gamma=0.5, lam=1.0).numpy()
    followed = [sum(0.5**i * r[t + i, 0] for i in range(6 - t)) for t in range(6)]
    np.testing.assert_allclose(found[:, 0], np.array(followed) - v[:, 0], rtol=1e-12)


# ------------------------------------------------------------------------ losses, beside PyTorch


def test_the_gradients_of_all_losses_are_pytorchs():
    torch = pytest.importorskip("torch")
    distributions = torch.distributions
    logits, mean = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    log_std, v = RNG.normal(size=2) * 0.3, RNG.normal(size=8)
    choice, numbers = RNG.integers(0, 3, 8), RNG.normal(size=(8, 2))
    old, better, target = RNG.normal(size=8) * 0.3 - 1, RNG.normal(size=8), RNG.normal(size=8)
    counts = np.array([1.0, 1, 1, 1, 1, 1, 0, 1])

    def ours(logits, mean, log_std, v):
        one, two = Categorical(logits), Gaussian(mean, log_std)
        likely = one.log_prob(kj.tensor(choice)), two.log_prob(kj.tensor(numbers))
        a, w = losses.standardised(kj.tensor(better), kj.tensor(counts)), kj.tensor(counts)
        parts = [
            losses.policy_gradient(likely[0], a, w),
            losses.value_error(v, kj.tensor(target), w),
        ]
        parts += [losses.clipped(each, kj.tensor(old), a, w, 0.2) for each in likely]
        return sum(parts) - 0.1 * (losses.mean(one.entropy(), w) + losses.mean(two.entropy(), w))

    def theirs(logits, mean, log_std, v):
        one = distributions.Categorical(logits=logits)
        two = distributions.Independent(distributions.Normal(mean, log_std.exp()), 1)
        w = torch.tensor(counts > 0)
        likely = one.log_prob(torch.tensor(choice))[w], two.log_prob(torch.tensor(numbers))[w]
        a = torch.tensor(better)[w]
        a = (a - a.mean()) / (a.std(correction=0) + 1e-8)
        total = -(likely[0] * a).mean() + 0.5 * ((v - torch.tensor(target))[w] ** 2).mean()
        for each in likely:
            ratio = (each - torch.tensor(old)[w]).exp()
            total = total - torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a).mean()
        return total - 0.1 * (one.entropy()[w].mean() + two.entropy()[w].mean())

    given = logits, mean, log_std, v
    value, grads = kj.value_and_grad(ours, argnums=(0, 1, 2, 3))(*map(kj.tensor, given))
    leaves = [torch.tensor(each, requires_grad=True) for each in given]
    expected = theirs(*leaves)
    expected.backward()
    np.testing.assert_allclose(value.item(), expected.item(), rtol=1e-10)
    for mine, leaf in zip(grads, leaves, strict=True):
        np.testing.assert_allclose(mine.numpy(), leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_several_choices_are_as_pytorchs_one_by_one():
    torch = pytest.importorskip("torch")
    outputs, sizes = RNG.normal(size=(8, 9)), (3, 2, 4)
    actions = np.stack([RNG.integers(0, size, 8) for size in sizes], -1)

    def ours(outputs):
        found = Choices(apart(outputs, sizes))
        return kj.sum(found.log_prob(kj.tensor(actions)) + 0.3 * found.entropy())

    leaf = torch.tensor(outputs, requires_grad=True)
    parts = [torch.distributions.Categorical(logits=each) for each in leaf.split(sizes, -1)]
    rows = zip(parts, actions.T, strict=True)
    expected = sum((p.log_prob(torch.tensor(a)) + 0.3 * p.entropy()).sum() for p, a in rows)
    expected.backward()
    value, gradient = kj.value_and_grad(ours)(kj.tensor(outputs))
    np.testing.assert_allclose(value.item(), expected.item(), rtol=1e-12)
    np.testing.assert_allclose(gradient.numpy(), leaf.grad.numpy(), rtol=1e-9, atol=1e-12)
    best = Choices(apart(kj.tensor(outputs), sizes)).best().numpy()
    np.testing.assert_array_equal(best, np.stack([p.logits.argmax(-1) for p in parts], -1))


def test_several_choices_are_drawn_within_their_sizes():
    logits = apart(kj.zeros((20_000, 5), dtype="float32"), (3, 2))
    drawn = Choices(logits).drawn(kj.random.key(1)).numpy()
    for column, size in zip(drawn.T, (3, 2), strict=True):
        np.testing.assert_allclose(np.bincount(column) / 20_000, [1 / size] * size, atol=0.015)


def test_actions_are_drawn_as_often_as_they_are_probable():
    logits = np.log(np.array([0.5, 0.3, 0.2]))
    drawn = Categorical(kj.tensor(np.tile(logits, (20_000, 1)))).drawn(kj.random.key(1)).numpy()
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    spread = Gaussian(kj.full((20_000, 1), 3.0), kj.tensor([np.log(0.5)])).drawn(kj.random.key(2))
    assert abs(spread.numpy().mean() - 3) < 0.02
    assert abs(spread.numpy().std() - 0.5) < 0.02


# ---------------------------------------------------------------------------------- statistics


def test_running_statistics_are_those_of_all_that_was_seen():
    x = RNG.normal(5.0, 3.0, (90, 2)).astype(np.float32)
    counts = (RNG.random(90) < 0.8).astype(np.float32)
    running = nothing_seen(2)
    for start in range(0, 90, 30):
        running = running.seen(
            kj.tensor(x[start : start + 30]), kj.tensor(counts[start : start + 30])
        )
    kept = x[counts > 0]
    np.testing.assert_allclose(running.mean.numpy(), kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(running.variance.numpy(), kept.var(0), rtol=1e-5)
    assert running.count.item() == len(kept)
    expected = (x - kept.mean(0)) / kept.std(0)
    np.testing.assert_allclose(running(kj.tensor(x)).numpy(), expected, rtol=1e-3, atol=1e-5)


def test_rewards_are_scaled_by_the_spread_of_what_they_add_up_to():
    scale, sums, running = RewardScale(3, 0.9), [], np.zeros(3)
    for _ in range(4):
        rewards, over = RNG.normal(size=(10, 3)), RNG.random((10, 3)) < 0.2
        for row, ends in zip(rewards, over, strict=True):
            running = 0.9 * running + row
            sums.append(running)
            running = np.where(ends, 0.0, running)
        found = scale.scaled(rewards, over, np.ones((10, 3)))
        np.testing.assert_allclose(found, rewards / np.std(sums), rtol=1e-6)


# -------------------------------------------------------------------------------------- acting


def nothing(copies):
    return lambda seen, t: (np.zeros(copies.count, int), np.ones(copies.count, int))


def test_a_round_of_episodes_has_one_in_each_copy():
    copies = Copies(Corridor, 6, seed=2)
    acted = acting.for_episodes(copies, nothing(copies))
    ended = copies.ended()
    assert len(ended) == 6
    assert acted.counts.shape == (128, 6)
    lengths = acted.counts.sum(axis=0)
    assert sorted(lengths) == sorted(each.length for each in ended)
    for place, length in enumerate(lengths.astype(int)):
        assert acted.over[length - 1, place]
        assert not acted.over[: length - 1, place].any()
        assert not acted.rewards[length:, place].any()
    assert copies.steps == lengths.sum()


def test_a_round_of_steps_goes_on_through_the_ends():
    copies = Copies(Arms, 2, seed=2)
    acted = acting.for_steps(copies, nothing(copies), 7)
    assert acted.counts.all()
    assert acted.terminated.all()
    np.testing.assert_array_equal(acted.after, acted.seen)


def test_steps_that_do_not_count_change_nothing():
    """An update from a round that is longer by such steps is the same, up to rounding."""
    learner = Reinforce(hidden=(8,)).learner(Copies(Corridor, 4, seed=0), 1000, 0)
    acted = learner._scaled(acting.for_episodes(learner._copies, learner._draws()))
    longer = acting._lengthened(type(acted)(*(np.concatenate([each, each[-1:]]) for each in acted)))
    results = []
    for each in (acted, longer):
        order = np.arange(each.rewards.size, dtype=np.uint32).reshape(1, -1)
        model, _, _ = learner._update(learner._model, learner._moments, each, order, np.array(0.01))
        results.append(model.state_dict())
    for name, mine in results[0].items():
        np.testing.assert_allclose(results[1][name], mine, rtol=2e-3, atol=1e-5)


def test_rewards_that_are_no_numbers_are_named():
    class Broken(Arms):
        def step(self, action):
            return self.shown, float("nan"), True, False, {}

    learner = PPO(rollout=4, batch=4, epochs=1).learner(Copies(Broken, 2), 100, 0)
    with pytest.raises(NonFiniteError, match="the loss became nan after 8 steps"):
        learner.advance()


# ------------------------------------------------------------------------------------ networks


def test_actions_stay_within_their_bounds():
    model = ActorCritic(CONTINUOUS, key=kj.random.key(0))
    far = kj.tensor(np.array([[9.0, -9.0], [-9.0, 9.0], [0.0, 0.0], [0.5, 0.5]], np.float32))
    assert model.done(far).tolist() == [[2, 0], [-2, 3], [0, 1.5], [1, 2.25]]
    seen = kj.tensor(RNG.normal(size=(50, 3)).astype(np.float32))
    drawn, done = _drawn(model, seen, kj.random.key(1), kj.tensor(0))
    assert (np.abs(drawn.numpy()) > 1).any()
    assert (done.numpy() >= [-2, 0]).all()
    assert (done.numpy() <= [2, 3]).all()


def test_all_actions_are_nearly_alike_at_first():
    model = ActorCritic(DISCRETE, key=kj.random.key(0))
    seen = kj.tensor(RNG.normal(size=(50, 3)).astype(np.float32))
    shares = kj.nn.functional.softmax(model.actions(seen).logits, -1).numpy()
    assert np.abs(shares - 0.25).max() < 0.02
    square = model.actor[1].weight.numpy()
    np.testing.assert_allclose(square @ square.T, 2 * np.eye(64), atol=1e-5)


@pytest.mark.parametrize("config", [CONTINUOUS, DISCRETE])
def test_a_policy_is_saved_with_what_it_has_seen(config, tmp_path):
    model = ActorCritic(config, key=kj.random.key(3))
    seen = RNG.normal(3.0, 2.0, (40, 3)).astype(np.float32)
    model = model.replace(seen=model.seen.seen(kj.tensor(seen), kj.ones(40)))
    save(tmp_path, model)
    again = load(tmp_path).model
    assert again.config == config
    np.testing.assert_array_equal(model(seen, ())[0].numpy(), again(seen, ())[0].numpy())
    np.testing.assert_array_equal(again.seen.mean.numpy(), model.seen.mean.numpy())


@pytest.mark.parametrize("name", registry._ELSEWHERE)
def test_models_that_stand_elsewhere_are_found(name, monkeypatch):
    monkeypatch.delitem(registry._ENTRIES, name, raising=False)
    monkeypatch.delitem(sys.modules, registry._ELSEWHERE[name], raising=False)
    assert registry.find(name).config.model_type == name


def test_a_policy_is_an_agent():
    environment = Reach()
    learner = A2C(rollout=2).learner(Copies(Reach, 2), 100, 0)
    learner.advance()
    act = agent_of(learner.policy, environment)
    observation, _ = environment.reset(seed=0)
    action = act(observation, True)
    assert environment.action_space.contains(action)
    np.testing.assert_array_equal(action, learner.policy(observation, ())[0].numpy())


WRONG = [
    (PPO, {"gamma": 1.5}, "a number from 0 to 1"),
    (PPO, {"epsilon": 0.0}, "a number between 0 and 1"),
    (PPO, {"epochs": 0}, "a whole number from 1"),
    (A2C, {"rollout": 0}, "a whole number from 1"),
    (Reinforce, {"lr": 0.0}, "a number above 0"),
    (Reinforce, {"entropy": -1.0}, "a number from 0"),
]


@pytest.mark.parametrize(("method", "options", "fix"), WRONG)
def test_options_out_of_range_are_named(method, options, fix):
    [(name, value)] = options.items()
    with pytest.raises(UsageError) as caught:
        method(**options)
    assert f"{name} {value}\n  fix: {fix}" in str(caught.value)
