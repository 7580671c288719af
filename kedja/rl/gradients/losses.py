"""What is minimised: the policy gradient, PPO's clipped objective, the error of the values.

Not here: advantages (`advantages.py`), rounds (`learner.py`). Next: `learner.py`.
Dimensions: B steps. A mean is over those that count 1, not 0, in `counts` (B,).

Sources: R. Williams: Simple statistical gradient-following algorithms for connectionist
reinforcement learning (1992). V. Mnih et al.: Asynchronous methods for deep reinforcement learning
(2016). J. Schulman et al.: Proximal policy optimization algorithms (2017).
"""

from __future__ import annotations

from kedja.front import functions as kj
from kedja.front.tensor import Tensor


def policy_gradient(log_prob: Tensor, advantage: Tensor, counts: Tensor) -> Tensor:
    """−mean(log π(a|s)·Â), whose gradient is −mean(Â ∇log π(a|s)). Williams (1992)."""
    return -mean(log_prob * advantage, counts)


def clipped(
    log_prob: Tensor, old: Tensor, advantage: Tensor, counts: Tensor, epsilon: float
) -> Tensor:
    """−mean(min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)) with ρ = π(a|s)/π_old(a|s). Schulman (2017), (7).

    It wants no more of a good action, and no less of a bad one, once ρ has left 1 ± ε.
    """
    ratio = kj.exp(log_prob - old)
    held = kj.clip(ratio, 1 - epsilon, 1 + epsilon)
    return -mean(kj.minimum(ratio * advantage, held * advantage), counts)


def value_error(value: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """½ mean((V(s) − R)²)."""
    return 0.5 * mean(kj.square(value - target), counts)


def standardised(advantage: Tensor, counts: Tensor) -> Tensor:
    """Advantages of mean 0 and standard deviation 1."""
    apart = advantage - mean(advantage, counts)
    return apart / (kj.sqrt(mean(kj.square(apart), counts)) + 1e-8)


def mean(x: Tensor, counts: Tensor) -> Tensor:
    """The mean over the steps that count."""
    return kj.sum(x * counts) / kj.sum(counts)
