"""The cart with one pole or two: the equations of motion, written once for floats and for arrays.

The same lines are the physics of the Gymnasium environment (Python's floats) and of thousands of
carts in one compiled program (tensors, one element a cart): `Functions` says which sine is meant.
Not here: episodes (`environments/cart.py`, `fleet.py`). Next: `fleet.py`.

A cart of mass M runs on a track; pole i of mass mᵢ and half-length lᵢ stands on it by a hinge. With
g = -9.8 m/s², the angle θᵢ from the vertical, the force F and the frictions μc, μp:

    ẍ  = (F - μc·sgn(ẋ) + Σ F̃ᵢ) / (M + Σ m̃ᵢ)
    θ̈ᵢ = -3/(4 lᵢ) · (ẍ cos θᵢ + g sin θᵢ + μp θ̇ᵢ/(mᵢ lᵢ))
    F̃ᵢ = mᵢ lᵢ θ̇ᵢ² sin θᵢ + 3/4 mᵢ cos θᵢ (μp θ̇ᵢ/(mᵢ lᵢ) + g sin θᵢ)
    m̃ᵢ = mᵢ (1 - 3/4 cos² θᵢ)

A step of 0.02 s is two steps of the classical Runge–Kutta method (RK4) of 0.01 s under one force.

Sources: A. Wieland: Evolving neural network controllers for unstable systems (IJCNN 1991), the
equations; F. Gruau, D. Whitley, L. Pyeatt: A comparison between cellular encoding and direct
encoding for genetic neural networks (1996), the task without velocities and its fitness;
K. Stanley, R. Miikkulainen: Evolving neural networks through augmenting topologies (2002), whose
public code has these constants, start and bounds, but no μc; F. Gomez, J. Schmidhuber,
R. Miikkulainen: Accelerated neural evolution through cooperatively coevolved synapses (JMLR 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kedja.front import elementwise

GRAVITY = -9.8  # m/s²
CART_MASS = 1.0  # kg
CART_FRICTION = 0.0005
POLE_FRICTION = 0.000002
FORCE = 10.0  # N, the largest
TICK = 0.01  # s, a step of RK4
TICKS = 2  # for each action
TRACK = 2.4  # m to either side
ANGLE = math.radians(36.0)  # beyond it a pole has fallen
LEAN = 0.07  # rad, of the long pole at the start

# x, ẋ, then θ, θ̇ of each pole: m, m/s, rad, rad/s. A part is a float, or an array of carts.
State = Sequence[Any]


class Functions(NamedTuple):
    """What the equations need beside arithmetic, for one kind of numbers."""

    sin: Callable[[Any], Any]
    cos: Callable[[Any], Any]
    sign: Callable[[Any], Any]


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


FLOATS = Functions(math.sin, math.cos, _sign)
TENSORS = Functions(elementwise.sin, elementwise.cos, elementwise.sign)


@dataclass(frozen=True)
class Pole:
    """A pole: its mass in kg, and half its length in m."""

    mass: float
    half_length: float


LONG = Pole(0.1, 0.5)
SHORT = Pole(0.01, 0.05)
ONE = (LONG,)
TWO = (LONG, SHORT)


def start(poles: Sequence[Pole]) -> tuple[float, ...]:
    """The state from which episodes start: everything upright and still but the long pole.

    >>> start(TWO)
    (0.0, 0.0, 0.07, 0.0, 0.0, 0.0)
    """
    return (0.0, 0.0, LEAN, 0.0, *(0.0,) * (2 * len(poles) - 2))


def step(state: State, force: Any, poles: Sequence[Pole], f: Functions = FLOATS) -> tuple[Any, ...]:
    """The state 0.02 s later, under a constant force in N.

    >>> [round(part, 4) for part in step(start(ONE), 10.0, ONE)]
    [0.0019, 0.1941, 0.0673, -0.2701]
    """
    for _ in range(TICKS):
        state = _runge_kutta(state, force, poles, f)
    return tuple(state)


def _runge_kutta(state: State, force: Any, poles: Sequence[Pole], f: Functions) -> list[Any]:
    """One step of RK4."""
    k1 = _change(state, force, poles, f)
    k2 = _change(_moved(state, k1, TICK / 2), force, poles, f)
    k3 = _change(_moved(state, k2, TICK / 2), force, poles, f)
    k4 = _change(_moved(state, k3, TICK), force, poles, f)
    changes = zip(state, k1, k2, k3, k4, strict=True)
    return [s + TICK / 6 * (a + 2 * (b + c) + d) for s, a, b, c, d in changes]


def _moved(state: State, change: State, seconds: float) -> list[Any]:
    return [part + seconds * rate for part, rate in zip(state, change, strict=True)]


def _change(state: State, force: Any, poles: Sequence[Pole], f: Functions) -> list[Any]:
    """The derivative of the state by time."""
    push = force - CART_FRICTION * f.sign(state[1])
    mass: Any = CART_MASS
    pulls = []
    for pole, angle, speed in zip(poles, state[2::2], state[3::2], strict=True):
        sine, cosine = f.sin(angle), f.cos(angle)
        torque = POLE_FRICTION / (pole.mass * pole.half_length) * speed + GRAVITY * sine
        push = push + pole.mass * pole.half_length * (speed * speed) * sine
        push = push + 0.75 * pole.mass * cosine * torque
        mass = mass + pole.mass * (1 - 0.75 * (cosine * cosine))
        pulls.append((pole, cosine, torque, speed))
    acceleration = push / mass
    rates = [state[1], acceleration]
    for pole, cosine, torque, speed in pulls:
        rates += [speed, -0.75 / pole.half_length * (acceleration * cosine + torque)]
    return rates


def failed(state: State) -> Any:
    """Whether the cart has left the track or a pole has fallen.

    >>> failed(start(TWO)), failed((2.5, 0, 0, 0))
    (False, True)
    """
    out = (state[0] < -TRACK) | (state[0] > TRACK)
    for angle in state[2::2]:
        out = out | (angle < -ANGLE) | (angle > ANGLE)
    return out


def unrest(state: State) -> Any:
    """|x| + |ẋ| + |θ| + |θ̇| of cart and long pole: what Gruau's fitness wants small."""
    return abs(state[0]) + abs(state[1]) + abs(state[2]) + abs(state[3])


@dataclass(frozen=True)
class Task:
    """What is to be balanced, what is seen of it, and how it may be pushed.

    Without `velocities` positions and angles alone are seen, so that one observation does not
    tell what comes next. `discrete` is a push of ±10 N, else any force between. At the start each
    part of the state is moved by up to `spread`, uniformly.
    """

    poles: tuple[Pole, ...]
    velocities: bool = True
    discrete: bool = False
    spread: float = 0.0

    def seen(self, state: State) -> list[Any]:
        """The parts of a state that are observed."""
        return list(state) if self.velocities else list(state[::2])

    @property
    def scale(self) -> tuple[float, ...]:
        """What divides each observed number before a network sees it: Stanley's usual ones."""
        return tuple(self.seen((4.8, 2.0, *(0.52, 2.0) * len(self.poles))))

    def force(self, action: Any) -> Any:
        """The force in N of an action in [-1, 1], or of the actions 0 (left) and 1 (right)."""
        return FORCE * (2.0 * action - 1.0) if self.discrete else FORCE * action
