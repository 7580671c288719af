"""Environments under Gymnasium's interface: ours and installed ones by name, a user's by its class.

| name                           | what is balanced             | what is seen                 |
|--------------------------------|------------------------------|------------------------------|
| kedja/OnePole-v0               | one pole of 1 m              | positions, angles, velocities|
| kedja/OnePoleNoVelocities-v0   | one pole of 1 m              | positions and angles alone   |
| kedja/TwoPoles-v0              | poles of 1 m and 10 cm       | positions, angles, velocities|
| kedja/TwoPolesNoVelocities-v0  | poles of 1 m and 10 cm       | positions and angles alone   |

An episode has at most 1,000 steps (20 s) unless `max_episode_steps` says otherwise. A class that is
registered nowhere is named by its module, which may lie in the present folder: `my_robots:Walker`.
Not here: what the cart does (`cart.py`, which needs Gymnasium). Next: `cart.py`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from kedja.ground.errors import DataError, MissingExtra, UsageError
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
LONGEST = 10_000  # steps of an episode in an environment that has no limit
NAME = re.compile(r"([\w.:-]+/)?[\w.:-]+-v\d+")
CLASS = re.compile(r"[A-Za-z_][\w.]+:[A-Za-z_]\w*")


def is_name(text: str) -> bool:
    """Whether a text has the form of an environment's name.

    >>> is_name("CartPole-v1"), is_name("kedja/TwoPoles-v0"), is_name("my_robots:Walker")
    (True, True, True)
    >>> is_name("digits"), is_name("C:table")
    (False, False)
    """
    return any(form.fullmatch(text) for form in (NAME, CLASS))


def versions(base: str) -> list[str]:
    """The environments that are called so but for a version; none where Gymnasium is missing.

    >>> versions("cartpole")
    ['CartPole-v0', 'CartPole-v1']
    """
    try:
        known = library().registry
    except MissingExtra:
        return []
    form = re.compile(f"{re.escape(base)}-v[0-9]+", re.IGNORECASE)
    return sorted(filter(form.fullmatch, known))


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

    In "my_robots:Walker" and "my_robots:Walker-v0" the module is imported first, also from the
    present folder; the one is a class in it, the other what it registers. Episodes end, as
    `limited` says. Raises UsageError where
    there is none of that name, or it cannot be made with these options; MissingExtra without
    Gymnasium.

    >>> environment = make("kedja/TwoPoles-v0")
    >>> observation, info = environment.reset(seed=0)
    >>> observation.tolist()
    [0.0, 0.0, 0.07, 0.0, 0.0, 0.0]
    """
    known = library()
    register()
    try:
        made: gymnasium.Env[Any, Any] = limited(known.make(_spec(name), **options))
        return made
    except known.error.UnregisteredEnv as error:
        fix = did_you_mean(name, list(known.registry))
        raise UsageError(f"there is no environment {name!r}", fix=fix) from error
    except (known.error.Error, TypeError) as error:
        raise UsageError(f"the environment {name} cannot be made: {error}") from error


def limited(environment: gymnasium.Env[Any, Any], limit: int | None = None) -> Any:
    """The environment with episodes of at most `limit` steps.

    Unless given, that is its own limit, or 10,000 where it has none: an agent that walks against a
    wall for ever would never be tried out.
    """
    if limit is None and environment.has_wrapper_attr("_max_episode_steps"):
        return environment
    return library().wrappers.TimeLimit(environment, limit or LONGEST)


def require_interface(environment: gymnasium.Env[Any, Any]) -> None:
    """Raise DataError where an environment that failed does not keep to Gymnasium's interface."""
    own = environment.unwrapped
    taken = inspect.signature(own.reset).parameters.values()
    if not any(each.name == "seed" or each.kind is each.VAR_KEYWORD for each in taken):
        what = "reset of the environment takes no seed"
        raise DataError(what, fix="def reset(self, *, seed=None, options=None)")
    shown: Any = own.reset(seed=0)
    if not (isinstance(shown, tuple) and len(shown) == 2):
        what = f"reset of the environment gives {type(shown).__name__}, not two values"
        raise DataError(what, fix="return observation, info")
    stepped: Any = own.step(own.action_space.sample())
    if not (isinstance(stepped, tuple) and len(stepped) == 5):
        count = len(stepped) if isinstance(stepped, tuple) else type(stepped).__name__
        what = f"step of the environment gives {count}, not five values"
        fix = "return observation, reward, terminated, truncated, info"
        raise DataError(what, fix=fix)


def _spec(name: str) -> Any:
    """What `gymnasium.make` takes for a name: the name, or for a class a specification of it."""
    module, colon, own = name.rpartition(":")
    if not colon:
        return name
    found = _imported(module)
    if not CLASS.fullmatch(name):
        return name
    if not callable(getattr(found, own, None)):
        classes = {name: each for name, each in vars(found).items() if isinstance(each, type)}
        known = [name for name, each in classes.items() if issubclass(each, library().Env)]
        fix = did_you_mean(own, known) if known else "write a class of gymnasium.Env there"
        raise UsageError(f"{module} has no environment {own!r}", fix=fix)
    return library().envs.registration.EnvSpec(name, entry_point=getattr(found, own))


def _imported(module: str) -> Any:
    """A module by its name, also from the present folder; UsageError where there is none."""
    here = os.getcwd()
    sys.path.append(here)  # last, so that no file there hides what is installed
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] and error.name != module:
            raise  # the module is there, but lacks one itself
        what = f"there is no module {module!r}, neither installed nor in {here}"
        raise UsageError(what, fix="run this in its folder, or install it") from error
    finally:
        sys.path.remove(here)


def library() -> Any:
    """The module gymnasium; MissingExtra where it is not installed."""
    try:
        import gymnasium
    except ImportError:
        raise MissingExtra("gymnasium", "rl", "an environment") from None
    return gymnasium
