"""Who proposes weights: CMA-ES and a genetic algorithm, both asked for candidates and told results.

A search is a function of its seed and of what it was told: told the same again, it proposes the
same bits, which is how runs are resumed. Not here: what candidates are worth (`episodes.py`).
Next: `episodes.py`.
Dimensions: N candidates of a generation, P weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from kedja.ground.errors import MissingExtra, UsageError

Array = np.ndarray[Any, np.dtype[Any]]


class Search(Protocol):
    """What proposes weights."""

    def ask(self) -> Array:
        """Candidates (N, P) of the next generation."""

    def tell(self, fitness: Array) -> None:
        """How good each of them (N,) was; more is better."""


class CmaEs:
    """CMA-ES: candidates of a normal distribution that learns where the good ones lie.

    Mean, covariance and step size follow the ranks of the candidates; the start is N(0, sigma²).
    Where the search has converged or degenerated, it starts again with a population of twice the
    size; where it has found nothing better for PATIENCE generations, with one of the same size. The
    step size never falls below `least` times sigma, while the covariance goes on to learn: where
    the fitness is not all that is wanted, a search that has closed in on what is refused finds
    nothing more. The work is done by the library `cmaes`.

    Sources: N. Hansen, A. Ostermeier: Completely derandomized self-adaptation in evolution
    strategies (2001); A. Auger, N. Hansen: A restart CMA evolution strategy with increasing
    population size (2005); C. Igel: Neuroevolution for reinforcement learning using evolution
    strategies (CEC 2003), the bound of the step size, with `least` 1/2.

    >>> search = CmaEs(2, seed=1)
    >>> for _ in range(80):
    ...     x = search.ask()
    ...     search.tell(-np.sum((x - 3) ** 2, axis=1))
    >>> bool(np.abs(search.ask() - 3).max() < 1e-3)
    True
    """

    PATIENCE = 100

    def __init__(
        self,
        weights: int,
        *,
        population: int | None = None,
        sigma: float = 1.0,
        least: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._weights, self._sigma, self._seed = weights, sigma, seed
        self._least = least * sigma
        self._population = population or 4 + int(3 * np.log(weights))
        self._restarts = 0
        self._start()

    def _start(self) -> None:
        seeds = np.random.SeedSequence([self._seed, self._restarts]).generate_state(1)
        self._cma = _library().CMA(
            mean=np.zeros(self._weights),
            sigma=self._sigma,
            population_size=self._population,
            seed=int(seeds[0]),
        )
        self._best, self._since = -np.inf, 0

    def ask(self) -> Array:
        """Candidates (N, P) of the next generation."""
        converged = self._cma.should_stop()
        if converged or self._since >= self.PATIENCE:
            self._population *= 2 if converged else 1
            self._restarts += 1
            self._start()
        self._asked = np.stack([self._cma.ask() for _ in range(self._cma.population_size)])
        return self._asked

    def tell(self, fitness: Array) -> None:
        """How good each of them was."""
        best = float(np.max(fitness))
        self._since = 0 if best > self._best else self._since + 1
        self._best = max(best, self._best)
        pairs = zip(self._asked, fitness, strict=True)
        self._cma.tell([(x, -float(value)) for x, value in pairs])
        self._cma._sigma = max(self._cma._sigma, self._least)  # the library has no such bound


class Genetic:
    """A simple genetic algorithm: the best fifth are parents, children mix two and are mutated.

    Each weight of a child is that of one of its parents, by the toss of a coin; then one in five
    gets normal noise of `sigma` times a factor which halves every 25 generations, down to `least`.
    The best candidate lives on unchanged. The first generation is N(0, sigma²).

    Source of the operators: D. Montana, L. Davis: Training feedforward neural networks using
    genetic algorithms (IJCAI 1989).
    """

    PARENTS = 0.2
    MUTATED = 0.2
    HALVED = 25  # generations

    def __init__(
        self,
        weights: int,
        *,
        population: int | None = None,
        sigma: float = 1.0,
        least: float = 0.1,
        seed: int = 0,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._sigma, self._least = sigma, least
        self._asked = self._rng.normal(0.0, sigma, (population or 100, weights))
        self._generation = 0

    def ask(self) -> Array:
        """Candidates (N, P) of the next generation."""
        return self._asked

    def tell(self, fitness: Array) -> None:
        """How good each of them was: the next generation is bred."""
        order = np.argsort(-fitness, kind="stable")
        parents = self._asked[order[: max(2, round(self.PARENTS * len(order)))]]
        self._generation += 1
        self._asked = np.concatenate([parents[:1], self._children(parents, len(order) - 1)])

    def _children(self, parents: Array, count: int) -> Array:
        pairs = self._rng.integers(0, len(parents), (2, count))
        shape = (count, parents.shape[1])
        mixed = np.where(self._rng.random(shape) < 0.5, *parents[pairs])
        size = self._sigma * max(self._least, 0.5 ** (self._generation / self.HALVED))
        noise = self._rng.normal(0.0, size, shape)
        return np.where(self._rng.random(shape) < self.MUTATED, mixed + noise, mixed)


SEARCHES: Mapping[str, Callable[..., Search]] = {"cma-es": CmaEs, "genetic": Genetic}


MOST = 5000  # weights of CMA-ES: a matrix of 200 MB, some 20 s for each generation


def require_search(name: str, weights: int) -> None:
    """Raise UsageError where there is no search of that name, or it cannot do with so many weights.

    CMA-ES learns the covariance of every pair, and takes time with the cube of their number.
    """
    if name not in SEARCHES:
        raise UsageError(f"there is no search {name!r}", fix=" or ".join(SEARCHES))
    if name == "cma-es" and weights > MOST:
        raise UsageError(
            f"cma-es is for at most {MOST:,} weights, and the policy has {weights:,}",
            fix="fewer hidden units, the genetic algorithm, or a method that learns by gradients",
        )


def _library() -> Any:
    try:
        import cmaes
    except ImportError:
        raise MissingExtra("cmaes", "rl", "CMA-ES") from None
    return cmaes
