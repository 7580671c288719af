"""nanoGPT's recipe for a CPU, by kedja and by an equal PyTorch program. Start at `__main__.py`.

| file            | what it is                                                          |
|-----------------|---------------------------------------------------------------------|
| `__main__.py`   | the command: text, first weights and windows for both, the table    |
| `recipe.py`     | the numbers of the recipe, and what both sides are handed           |
| `kedja_side.py` | `kj.train.fit_language`, as a user calls it                         |
| `torch_side.py` | the loop that nanoGPT's `train.py` has, without what a CPU ignores  |

Both begin with the same weights and see the same windows in the same order, so that their losses
differ by rounding alone, and by what rounding becomes in some thousand steps.
"""
