"""How much better than expected actions turned out: generalised advantage estimation.

Not here: what is done with it (`losses.py`). Next: `losses.py`.
Dimensions: T steps, N copies of the environment.
"""

from __future__ import annotations

from kedja.front import functions as kj
from kedja.front.control import scan
from kedja.front.tensor import Tensor


def advantages(
    rewards: Tensor,
    values: Tensor,
    after: Tensor,
    terminated: Tensor,
    over: Tensor,
    *,
    gamma: float,
    lam: float,
) -> Tensor:
    """Â_t = Σ_l (γλ)ˡ δ_{t+l} with δ_t = r_t + γ V(s'_t) − V(s_t), within each episode.

    All are (T, N): `values` V(s_t), `after` V(s'_t) of what the step led to, which counts 0 where
    the episode `terminated`; the sum stops where it is `over`, by itself or by a time limit. λ = 0
    trusts V (one step of it), λ = 1 trusts what happened: Â_t = Σ_l γˡ r_{t+l} − V(s_t).

    Source: J. Schulman et al.: High-dimensional continuous control using generalized advantage
    estimation (2016), equation 16.

    >>> import kedja as kj
    >>> r, zeros = kj.tensor([[1.0], [1.0], [1.0]]), kj.zeros((3, 1))
    >>> end = kj.tensor([[False], [False], [True]])
    >>> advantages(r, zeros, zeros, end, end, gamma=0.5, lam=1.0).tolist()
    [[1.75], [1.5], [1.0]]
    """
    delta = rewards + gamma * kj.where(terminated, 0.0, after) - values  # (T, N)

    def backwards(later: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        delta, over = now
        advantage = delta + gamma * lam * kj.where(over, 0.0, later)
        return advantage, advantage

    _, found = scan(backwards, kj.zeros_like(delta[0]), (delta, over), reverse=True)
    result: Tensor = found
    return result
