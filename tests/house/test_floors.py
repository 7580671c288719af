"""The house has floors: a file imports only from those below, as the table of the design says.

The table stands here as data. Each rule is a function of a file's text, so that planted violations
show that it can fail.
"""

from __future__ import annotations

import sys

import pytest

from tests.house.sources import Import, Source, imports, sources

FLOOR = {
    **dict.fromkeys(("ground", "version"), 0),
    "ir": 1,
    "ops": 2,
    **dict.fromkeys(("autodiff", "interpret"), 3),
    **dict.fromkeys(("compiler", "xla"), 4),
    "front": 5,
    **dict.fromkeys(("nn", "optim", "data", "io"), 6),
    **dict.fromkeys(("models", "train", "rl", "estimators"), 7),
    **dict.fromkeys(("views", "inspection", "tuning"), 7),
    **dict.fromkeys(("cli", "studio", "__main__"), 8),
}
MAY_IMPORT = {  # floor: the floors that it may import, beside itself
    0: (),
    1: (0,),
    2: (0, 1),
    3: (0, 1, 2),
    4: (0, 1, 2, 3),
    5: (0, 1, 2, 3, 4),
    6: (0, 1, 2, 3, 5),
    7: (0, 5, 6),
    8: (0, 1, 2, 3, 4, 5, 6, 7),
}
STRANGERS = {("compiler", "xla"), ("autodiff", "interpret")}  # on one floor, but not acquainted
ACQUAINTED = {("kedja/autodiff/check.py", "interpret")}  # the check calls the interpreter

EVERYWHERE = {"numpy"}
OUTSIDE = {  # package: the files that may import it, by the beginnings of their paths
    "llvmlite": ("kedja/compiler/runtime",),
    "jax": ("kedja/xla/",),
    "ml_dtypes": ("kedja/ground/",),
    "safetensors": ("kedja/io/",),
    "platformdirs": ("kedja/compiler/runtime_cache", "kedja/data/"),
    "rich": ("kedja/front/tables", "kedja/train/", "kedja/cli/"),
    "typer": ("kedja/cli/",),
    "sklearn": ("kedja/estimators/",),
    "gymnasium": ("kedja/rl/environments/cart",),
}
OPTIONAL = {
    "sklearn",
    "PIL",
    "matplotlib",
    "jax",
    "onnx",
    "tokenizers",
    "soundfile",
    "gymnasium",
    "cmaes",
    "optuna",
    "google",  # the protocol buffers of onnx
}  # extras: only inside the function that needs them
WHOLLY_OPTIONAL = {  # what is loaded with the extra only
    "sklearn": "kedja/estimators/",
    "gymnasium": "kedja/rl/environments/cart",
}
STANDARD = set(sys.stdlib_module_names)


def package_of(path: str) -> str:
    """`front` of kedja/front/jit.py; `__main__` of kedja/__main__.py."""
    return path.removeprefix("kedja/").split("/")[0].removesuffix(".py")


def violations(source: Source) -> list[str]:
    """What is wrong with a file's imports, one line each."""
    checks = (wrong_floor, wrong_package, wrong_place)
    found = ((each, check(source.path, each)) for each in imports(source) for check in checks)
    return [f"{source.path}:{each.line}: {text}" for each, text in found if text]


def wrong_floor(path: str, what: Import) -> str | None:
    """A floor that this one may not import."""
    parts = what.module.split(".")
    mine = package_of(path)
    if parts[0] != "kedja" or len(parts) == 1 or mine == "__init__":
        return None
    theirs = parts[1]
    if theirs not in FLOOR:
        return f"imports kedja.{theirs}, which stands on no floor"
    if (path, theirs) in ACQUAINTED or mine == theirs:
        return None
    strangers = (mine, theirs) in STRANGERS or (theirs, mine) in STRANGERS
    below = FLOOR[theirs] == FLOOR[mine] or FLOOR[theirs] in MAY_IMPORT[FLOOR[mine]]
    if below and not strangers:
        return None
    return f"floor {FLOOR[mine]} ({mine}) imports {what.module} of floor {FLOOR[theirs]}"


def wrong_package(path: str, what: Import) -> str | None:
    """A package from outside that this file may not import."""
    top = what.module.split(".")[0]
    if top in STANDARD or top == "kedja" or top in EVERYWHERE:
        return None
    if top in OPTIONAL and not path.startswith(WHOLLY_OPTIONAL.get(top, "/")):
        return None if what.local or what.types_only else f"imports the extra {top} at its top"
    allowed = OUTSIDE.get(top)
    if allowed is None:
        return f"imports {top}, which is no dependency"
    return None if path.startswith(allowed) else f"imports {top}; only {', '.join(allowed)} may"


def wrong_place(path: str, what: Import) -> str | None:
    """An import inside a function, unless it is an extra."""
    if not what.local or what.module.split(".")[0] in OPTIONAL:
        return None
    return f"imports {what.module} inside a function"


def test_every_import_obeys_the_floors():
    found = [text for source in sources("kedja") for text in violations(source)]
    assert not found, "\n".join(found)


def test_every_package_stands_on_a_floor():
    packages = {package_of(source.path) for source in sources("kedja")} - {"__init__"}
    assert packages <= set(FLOOR)


def test_the_map_of_the_house_is_read():
    """The walk sees imports at all: hundreds of them, of every kind."""
    found = [each for source in sources("kedja") for each in imports(source)]
    assert sum(each.module.startswith("kedja.") for each in found) > 300
    assert any(each.local for each in found)
    assert any(each.types_only for each in found)


PLANTED = [
    ("kedja/ground/dtypes.py", "from kedja.ir.graph import Node", "floor 0"),
    ("kedja/ir/graph.py", "import kedja.ops.types", "floor 1"),
    ("kedja/ir/graph.py", "from kedja.front import tree", "floor 1"),
    ("kedja/ops/reduce.py", "from kedja.autodiff.reverse import vjp", "floor 2"),
    ("kedja/ops/reduce.py", "import jax", "extra jax"),
    ("kedja/autodiff/forward.py", "from kedja.interpret import reference", "floor 3"),
    ("kedja/interpret/reference.py", "from kedja.autodiff import reverse", "floor 3"),
    ("kedja/interpret/reference.py", "import llvmlite.binding as llvm", "llvmlite"),
    ("kedja/compiler/llvm_math.py", "from llvmlite import ir", "llvmlite"),
    ("kedja/compiler/fuse.py", "from kedja.xla import lower", "floor 4"),
    ("kedja/compiler/fuse.py", "if True:\n    from kedja.front import tensor", "floor 4"),
    ("kedja/front/jit.py", "from kedja.nn import module", "floor 5"),
    ("kedja/nn/linear.py", "from kedja.compiler import pipeline", "floor 6"),
    ("kedja/nn/linear.py", "from kedja.train import run", "floor 6"),
    ("kedja/train/run.py", "from kedja.interpret.reference import run", "floor 7"),
    ("kedja/train/run.py", "from kedja.compiler import pipeline", "floor 7"),
    (
        "kedja/train/run.py",
        "try:\n    import pandas\nexcept ImportError:\n    pass",
        "no dependency",
    ),
    ("kedja/data/digits.py", "import sklearn.datasets", "extra sklearn"),
    ("kedja/data/digits.py", "def f():\n    import json", "inside a function"),
    (
        "kedja/data/digits.py",
        "class A:\n    def f(self):\n        from kedja.io import atomic",
        "inside",
    ),
    ("kedja/data/digits.py", "import torch", "no dependency"),
    ("kedja/data/digits.py", "from kedja.cellar import wine", "no floor"),
    ("kedja/data/digits.py", "from ..cli import main", "floor 6"),
    ("kedja/cli/train.py", "def f():\n    import PIL.Image\nimport PIL.Image", "extra PIL"),
]


@pytest.mark.parametrize(("path", "text", "message"), PLANTED)
def test_a_planted_import_is_found(path, text, message):
    found = violations(Source(path, text))
    assert len(found) == 1
    assert message in found[0]


ALLOWED = [
    ("kedja/autodiff/check.py", "from kedja.interpret.reference import run"),
    ("kedja/compiler/runtime_object.py", "import llvmlite.binding"),
    ("kedja/data/digits.py", "def f():\n    from sklearn.datasets import load_digits"),
    ("kedja/data/digits.py", "if TYPE_CHECKING:\n    from PIL.Image import Image"),
    (
        "kedja/front/evaluate.py",
        "import importlib\nimportlib.import_module('kedja.compiler.pipeline')",
    ),
    ("kedja/nn/linear.py", "from kedja.io import weights"),
    ("kedja/nn/linear.py", "from . import module"),
    ("kedja/cli/op.py", "from kedja.compiler import pipeline\nimport typer, numpy, json"),
]


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_what_is_allowed_is_not_found(path, text):
    assert violations(Source(path, text)) == []
