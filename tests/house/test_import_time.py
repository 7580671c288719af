"""`import kedja` stays cheap: it loads no extra, no compiler, no command line.

Seconds are not asserted, because the machine may be busy; they are measured in `benchmarks`. What
is asserted is what costs them: the modules that are loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("sklearn", "PIL", "matplotlib", "torch", "jax", "llvmlite", "safetensors", "typer", "rich")


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after some code."""
    ask = "\nimport json, sys\nprint(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    command = [sys.executable, "-c", code + ask]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_kedja_loads_nothing_heavy():
    loaded = loaded_by("import kedja")
    assert "kedja" in loaded
    assert not loaded & {*HEAVY, "hypothesis", "platformdirs"}


def test_import_kedja_does_not_even_load_numpy():
    assert "numpy" not in loaded_by("import kedja")


@pytest.mark.parametrize(
    "code",
    [
        "import kedja as kj\nkj.sum(kj.tensor([1.0]) * 2).item()",
        "import kedja as kj\nkj.grad(lambda x: x * x)(1.0).item()",
        "import kedja as kj\nkj.random.normal(kj.random.key(0), (3,)).numpy()",
    ],
)
def test_computing_at_the_prompt_loads_no_compiler(code):
    assert not loaded_by(code) & set(HEAVY)


def test_the_compiler_is_loaded_when_it_is_needed():
    code = "import kedja as kj\nkj.jit(lambda x: x + 1)(1.0).item()"
    loaded = loaded_by(code)
    assert "llvmlite" in loaded
    assert not loaded & (set(HEAVY) - {"llvmlite", "platformdirs"})


ALL = """
import importlib, pathlib, kedja
root = pathlib.Path(kedja.__file__).parent
files = sorted(path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py"))
for name in (".".join(file.parts).removesuffix(".__init__") for file in files):
    if not name.endswith("__main__") and "estimators" not in name:  # which need the extra
        importlib.import_module(name)
"""


def test_every_module_can_be_imported():
    assert not loaded_by(ALL) & {"sklearn", "matplotlib", "torch", "jax", "onnx"}
