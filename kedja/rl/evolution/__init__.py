"""Evolution: weights of small networks found by trying, keeping what does well, without gradients.

`evolve.py` is the loop, `searches.py` who proposes weights (CMA-ES, a genetic algorithm),
`episodes.py` what they are worth, `poles.py` the usual tests for carts. Not here: agents that learn
by gradients. Next: `evolve.py`.
"""

from kedja.rl.evolution.evolve import Evolution, Generation, evolve
from kedja.rl.evolution.searches import SEARCHES, CmaEs, Genetic, Search

__all__ = ["SEARCHES", "CmaEs", "Evolution", "Generation", "Genetic", "Search", "evolve"]
