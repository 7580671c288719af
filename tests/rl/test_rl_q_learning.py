"""DQN's parts: targets, gradient and updates against other people's words, the replay memory.

Not here: episodes and runs (`test_rl_dqn.py`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.ground.errors import CheckpointError, ShapeError, UsageError
from kedja.rl.gradients.running import Running
from kedja.rl.q_learning.memory import Memory, Steps, usual_size
from kedja.rl.q_learning.network import QNetwork, QNetworkConfig
from kedja.rl.q_learning.updates import Learning, loss_of, targets

OBSERVED, ACTIONS = 3, 4
MEAN, VARIANCE = np.float32([0.5, 0.0, -1.0]), np.float32([4.0, 1.0, 0.25])
UNIT = 3.0
SMALL = QNetworkConfig(OBSERVED, ACTIONS, hidden=(8, 5))


def network(seed=0, **changes):
    made = QNetwork(dataclasses.replace(SMALL, **changes), key=kj.random.key(seed))
    seen = Running(kj.tensor(MEAN), kj.tensor(VARIANCE), kj.tensor(9.0))
    return made.replace(seen=seen, unit=kj.tensor(UNIT))


def steps(*lead, seed=0):
    rng = np.random.default_rng(seed)
    return Steps(
        rng.normal(size=(*lead, OBSERVED)).astype(np.float32),
        rng.integers(ACTIONS, size=lead),
        rng.normal(size=lead).astype(np.float32),
        rng.normal(size=(*lead, OBSERVED)).astype(np.float32),
        rng.random(lead) < 0.4,
    )


# --------------------------------------------------------------------------------- network


def test_a_dueling_network_has_the_mean_of_its_actions_as_the_states_worth():
    net = network(dueling=True)
    x = steps(6).seen
    hidden = (x - MEAN) / np.sqrt(VARIANCE)
    for layer in net.layers:
        hidden = np.maximum(hidden @ layer.weight.numpy().T + layer.bias.numpy(), 0)
    worth = UNIT * (hidden @ net.value.weight.numpy().T + net.value.bias.numpy())
    np.testing.assert_allclose(net.values(x).numpy().mean(1), worth[:, 0], rtol=1e-5)


def test_it_acts_greedily_on_one_observation_and_on_many():
    net, x = network(), steps(7).seen
    best = net.values(x).numpy().argmax(1)
    np.testing.assert_array_equal(net(x)[0].numpy(), best)
    assert int(net(x[3], net.start())[0].item()) == best[3]


def test_it_is_saved_and_loaded(tmp_path):
    net = network(dueling=True)
    models.save(tmp_path, net)
    back = models.load(tmp_path).model
    assert back.config == net.config
    np.testing.assert_array_equal(back.values(steps(2).seen).numpy(), net.values(steps(2).seen))


# --------------------------------------------------------------------------------- learning


def by_a_loop(batch, online, target, gamma, double):
    """The targets, step by step, in words that nobody can misread."""
    found = []
    for reward, after, terminated in zip(batch.reward, batch.after, batch.terminated, strict=True):
        if terminated:
            found.append(reward)
            continue
        theirs = target.values(after).numpy()
        best = int(online.values(after).numpy().argmax()) if double else int(theirs.argmax())
        found.append(reward + gamma * theirs[best])
    return np.array(found)


@pytest.mark.parametrize("double", [False, True])
def test_targets_are_those_of_a_loop(double):
    batch, online, target = steps(50), network(1), network(2)
    assert 0 < batch.terminated.sum() < 50
    found = kj.jit(lambda b: targets(b, online, target, 0.9, double))(batch).numpy()
    np.testing.assert_allclose(found, by_a_loop(batch, online, target, 0.9, double), rtol=1e-5)


def test_double_dqn_is_another_target():
    batch, online, target = steps(50), network(1), network(2)
    one, two = (targets(batch, online, target, 0.9, double).numpy() for double in (False, True))
    assert (two <= one + 1e-6).all()
    assert (two < one - 1e-3).any()


@pytest.mark.parametrize("dueling", [False, True])
def test_the_gradient_of_the_loss_is_pytorchs(dueling):
    torch = pytest.importorskip("torch")
    net, batch = network(3, dueling=dueling), steps(20, seed=4)
    y = UNIT * np.linspace(-4, 4, 20).astype(np.float32)  # some beyond the loss's bend
    loss, gradient = kj.value_and_grad(loss_of)(net, batch, y)
    theirs = {
        name: torch.tensor(each.astype(np.float64), requires_grad=True)
        for name, each in net.state_dict().items()
        if not name.startswith(("seen.", "unit"))
    }
    x = torch.tensor((batch.seen - MEAN) / np.sqrt(VARIANCE), dtype=torch.float64)
    for place in range(2):
        x = torch.relu(x @ theirs[f"layers.{place}.weight"].T + theirs[f"layers.{place}.bias"])
    q = x @ theirs["actions.weight"].T + theirs["actions.bias"]
    if dueling:
        worth = x @ theirs["value.weight"].T + theirs["value.bias"]
        q = worth + q - q.mean(1, keepdim=True)
    chosen = q.gather(1, torch.tensor(batch.action)[:, None])[:, 0]
    expected = torch.nn.functional.huber_loss(chosen, torch.tensor(y, dtype=torch.float64) / UNIT)
    expected.backward()
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-5)
    for name in theirs:
        each = gradient.state_dict()[name]
        np.testing.assert_allclose(each, theirs[name].grad.numpy(), rtol=1e-4, atol=1e-6)


def test_many_updates_in_one_program_are_the_same_updates_one_by_one():
    learning = Learning(target_every=3)
    batches = steps(7, 16)
    whole, losses = kj.jit(learning.updated)(learning.start(network()), batches)
    state, found = learning.start(network()), []
    for place in range(7):
        one = Steps(*(each[place : place + 1] for each in batches))
        state, loss = kj.jit(learning.updated)(state, one)
        found.append(loss.numpy()[0])
    np.testing.assert_array_equal(losses.numpy(), found)
    for mine, other in zip(kj.tree.leaves(whole), kj.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_the_target_is_the_network_as_it_was_when_it_was_last_due():
    learning = Learning(target_every=3)
    state, told = learning.start(network()), []
    for place in range(7):
        state, _ = learning.updated(state, steps(1, 16, seed=place))
        told.append((state["online"].actions.bias.numpy(), state["target"].actions.bias.numpy()))
    was = [network().actions.bias.numpy()] * 2 + [told[2][0]] * 3 + [told[5][0]] * 2
    for (online, target), expected in zip(told, was, strict=True):
        np.testing.assert_array_equal(target, expected)
        assert (online != network().actions.bias.numpy()).any()


# ----------------------------------------------------------------------------------- memory


def numbered(first, count):
    """Steps whose every number says which step it is."""
    number = np.arange(first, first + count)
    wide = np.repeat(number[:, None], 2, axis=1)
    return Steps(wide, number, number, wide + 0.5, number % 2 == 1)


@pytest.mark.parametrize("counts", [[3, 3, 3, 3], [1] * 17, [25], [10], [9, 9, 2], [7, 23, 1]])
def test_the_memory_holds_the_last_steps(counts):
    memory, added = Memory(10, observations=2), 0
    for count in counts:
        memory.add(numbered(added, count))
        added += count
    assert len(memory) == min(added, 10)
    drawn = memory.draw(np.random.default_rng(0), (40, 10))
    assert set(drawn.action.ravel()) == set(range(added - len(memory), added))
    for each in (drawn.reward, drawn.seen[..., 0], drawn.seen[..., 1], drawn.after[..., 0] - 0.5):
        np.testing.assert_array_equal(each, drawn.action)
    np.testing.assert_array_equal(drawn.terminated, drawn.action % 2 == 1)


def test_drawing_is_uniform_and_the_same_for_the_same_seed():
    memory = Memory(20, observations=2)
    memory.add(numbered(0, 30))
    one, same, other = (
        memory.draw(np.random.default_rng(seed), (200, 100)).action for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    times = np.bincount(one.ravel() - 10, minlength=20)
    expected = one.size / 20
    chi_squared = np.sum((times - expected) ** 2) / expected
    assert chi_squared < 43.8  # 0.999 of 19 degrees of freedom


def test_a_memory_goes_on_where_it_was_kept():
    whole, cut = Memory(10, observations=2), Memory(10, observations=2)
    for memory in (whole, cut):
        memory.add(numbered(0, 14))
    back = Memory(10, observations=2)
    back.restore(cut.state())
    for memory in (whole, back):
        memory.add(numbered(14, 3))
    for mine, theirs in zip(
        *(each.draw(np.random.default_rng(0), (50,)) for each in (whole, back)), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_a_state_stays_whole_while_spare_steps_are_added():
    memory = Memory(10, observations=2, spare=4)
    memory.add(numbered(0, 13))
    kept = memory.state()
    before = memory.draw(np.random.default_rng(0), (200,)).action
    memory.add(numbered(13, 4))
    memory.restore({name: each.copy() for name, each in kept.items()})
    np.testing.assert_array_equal(memory.draw(np.random.default_rng(0), (200,)).action, before)
    assert set(before) == set(range(3, 13))


def test_a_memory_refuses_what_is_not_its_own():
    memory = Memory(10, observations=2)
    with pytest.raises(UsageError, match="nothing is remembered"):
        memory.draw(np.random.default_rng(0), (1,))
    with pytest.raises(ShapeError):
        memory.add(Steps(np.zeros((2, 3)), [0, 0], [0, 0], np.zeros((2, 3)), [False, False]))
    memory.add(numbered(0, 14))
    with pytest.raises(CheckpointError, match="of another memory"):
        Memory(11, observations=2).restore(memory.state())
    with pytest.raises(UsageError, match="a memory of 0 steps"):
        Memory(0, observations=2)


def test_the_usual_memory_is_bounded_in_bytes():
    for observed in (1, 500, 20_000):
        bytes_of_one = Memory(1, observed)
        size = sum(each.nbytes for each in bytes_of_one._arrays)
        assert usual_size(observed) * size <= 128 * 2**20
