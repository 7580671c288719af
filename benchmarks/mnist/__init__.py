"""A conv net on MNIST, trained by kedja and by an equal PyTorch program.

| file            | what it is                                                       |
|-----------------|------------------------------------------------------------------|
| `recipe.py`     | the numbers of the recipe, and what both sides are handed        |
| `kedja_side.py` | `kj.train.fit_pictures`, as a user calls it                      |
| `torch_side.py` | the loop that a user of PyTorch writes, data in one tensor       |

Both begin with the same weights and see the same pictures in the same order; how each picture is
turned and what is dropped is drawn by each side's own generator. `benchmarks/systems/mnist.py`
runs both. Next: `recipe.py`.
"""
