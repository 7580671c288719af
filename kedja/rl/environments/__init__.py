"""Environments under Gymnasium's interface: our own by name, and any other that is installed.

| name                           | what is balanced             | what is seen                 |
|--------------------------------|------------------------------|------------------------------|
| kedja/OnePole-v0               | one pole of 1 m              | positions, angles, velocities|
| kedja/OnePoleNoVelocities-v0   | one pole of 1 m              | positions and angles alone   |
| kedja/TwoPoles-v0              | poles of 1 m and 10 cm       | positions, angles, velocities|
| kedja/TwoPolesNoVelocities-v0  | poles of 1 m and 10 cm       | positions and angles alone   |

An episode has at most 1,000 steps (20 s) unless `max_episode_steps` says otherwise. Not here: what
the cart does (`cart.py`, which needs Gymnasium). Next: `cart.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kedja.ground.errors import MissingExtra, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.rl.physics import ONE, TWO, Task

if TYPE_CHECKING:
    import gymnasium

TASKS = {
    "kedja/OnePole-v0": Task(ONE),
    "kedja/OnePoleNoVelocities-v0": Task(ONE, velocities=False),
    "kedja/TwoPoles-v0": Task(TWO),
    "kedja/TwoPolesNoVelocities-v0": Task(TWO, velocities=False),
}
STEPS = 1000
NAME = re.compile(r"([\w.:-]+/)?[\w.:-]+-v\d+")


def is_name(text: str) -> bool:
    """Whether a text has the form of an environment's name.

    >>> is_name("CartPole-v1"), is_name("kedja/TwoPoles-v0"), is_name("digits")
    (True, True, False)
    """
    return NAME.fullmatch(text) is not None


def register() -> None:
    """Make our environments known to Gymnasium; again does nothing."""
    gymnasium = library()
    for name, task in TASKS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point="kedja.rl.environments.cart:Cart",
                max_episode_steps=STEPS,
                kwargs={"task": task},
            )


def make(name: str, **options: Any) -> gymnasium.Env[Any, Any]:
    """An environment by its name; `options` are those of `gymnasium.make` and its own.

    Raises UsageError where there is none of that name, or it cannot be made with these options;
    MissingExtra without Gymnasium.

    >>> environment = make("kedja/TwoPoles-v0")
    >>> observation, info = environment.reset(seed=0)
    >>> observation.tolist()
    [0.0, 0.0, 0.07, 0.0, 0.0, 0.0]
    """
    known = library()
    register()
    try:
        made: gymnasium.Env[Any, Any] = known.make(name, **options)
        return made
    except known.error.UnregisteredEnv as error:
        fix = did_you_mean(name, list(known.registry))
        raise UsageError(f"there is no environment {name!r}", fix=fix) from error
    except (known.error.Error, TypeError) as error:
        raise UsageError(f"the environment {name} cannot be made: {error}") from error


def library() -> Any:
    """The module gymnasium; MissingExtra where it is not installed."""
    try:
        import gymnasium
    except ImportError:
        raise MissingExtra("gymnasium", "rl", "an environment") from None
    return gymnasium
