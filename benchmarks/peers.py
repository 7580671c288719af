"""Who takes part: kedja and its peers, each with an interpreter of its own.

Not here: what a side computes (`torch_side` …). Next: `cases`.

`python -m benchmarks setup` makes one virtual environment per peer under `benchmarks/.venv`.
A peer runs in the interpreter named by `--python`, else in that environment, else in this
interpreter if the library is installed here. A peer that is nowhere is left out, and said so.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.cases import Case
from kedja.ground.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "benchmarks" / ".venv"

# What each environment holds. The versions are those that the published figures were taken with.
REQUIREMENTS = {
    "torch": ("torch==2.13.0", "numpy>=2.1,<3"),
    "jax": ("jax==0.10.2", "numpy>=2.1,<3"),
    "sklearn": ("scikit-learn==1.9.1", "numpy>=2.1,<3"),
}


@dataclass(frozen=True)
class Side:
    """One side of the comparison.

    `environment` is the import name of the library, and the name of its environment; `variant`
    is handed to the side's module; `has_cache` says that a second start may be faster.
    """

    name: str
    module: str
    environment: str
    variant: str = ""
    has_cache: bool = False

    def takes(self, case: Case) -> bool:
        """Whether this side can do a case, with the same mathematics."""
        if case.kind in LIMITS:
            return self.name == "kedja"
        return TAKES.get(self.name, _anything)(case)


def _anything(case: Case) -> bool:
    return True


def _training(case: Case) -> bool:
    """The fused optimisers have nothing to do elsewhere."""
    return case.kind == "train"


def _compiled(case: Case) -> bool:
    """`torch.compile` would call the same product, and is of no use on a few scalars.

    It takes half a minute to compile a pass: a small and a large one of each kind are enough.
    """
    return case.kind in ("train", "forward") or case.name.endswith(("_1e5", "_1e7"))


def _in_jax(case: Case) -> bool:
    """Mixed precision is the user's own affair in JAX, and so is a loop that generates."""
    return case.options.get("precision") is None and case.kind != "generate"


def _perceptron(case: Case) -> bool:
    """What MLPClassifier trains."""
    family = case.options.get("network", {}).get("family")
    told = (case.kind, family, case.options.get("loss"), case.options.get("optimizer"))
    return told == ("train", "mlp", "cross_entropy", "sgd")


LIMITS = ("peak", "stream")
TAKES: Mapping[str, Callable[[Case], bool]] = {
    "torch-fused": _training,
    "torch-compile": _compiled,
    "jax": _in_jax,
    "sklearn": _perceptron,
}
KEDJA = Side("kedja", "benchmarks.kedja_side", "kedja", has_cache=True)
PEERS = (
    Side("torch", "benchmarks.torch_side", "torch"),
    Side("torch-fused", "benchmarks.torch_side", "torch", "fused"),
    Side("torch-compile", "benchmarks.torch_side", "torch", "compile"),
    Side("jax", "benchmarks.jax_side", "jax"),
    Side("sklearn", "benchmarks.sklearn_side", "sklearn"),
)


def chosen(names: str) -> list[Side]:
    """The sides of a comma-separated list, kedja always among them; "all" of them."""
    if names == "all":
        return [KEDJA, *PEERS]
    found = {side.name: side for side in (KEDJA, *PEERS)}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in found:
            raise UsageError(f"unknown side {name!r}", fix=f"all, or of {', '.join(found)}")
    return [KEDJA, *(peer for peer in PEERS if peer.name in wanted)]


def interpreters(given: Sequence[str]) -> dict[str, Path]:
    """The interpreters named on the command line, as in `torch=/some/bin/python`."""
    found = {}
    for text in given:
        name, _, path = text.partition("=")
        if name not in REQUIREMENTS or not Path(path).is_file():
            raise UsageError(
                f"--python {text}", fix=f"NAME=PATH, where NAME is of {', '.join(REQUIREMENTS)}"
            )
        found[name] = Path(path).absolute()
    return found


def interpreter(side: Side, given: Mapping[str, Path]) -> Path | None:
    """The Python that a side runs in; None where its library is not installed anywhere."""
    if side is KEDJA:
        return Path(sys.executable)
    own = _python_of(ENVIRONMENTS / side.environment)
    for path in (given.get(side.environment), own if own.exists() else None):
        if path is not None:
            return path if _has(path, side.environment) else None
    return Path(sys.executable) if find_spec(side.environment) else None


def _has(python: Path, library: str) -> bool:
    """Whether an interpreter finds a library; it is not imported."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({library!r}) is None)"
    return subprocess.run([str(python), "-c", code], check=False).returncode == 0


def _python_of(environment: Path) -> Path:
    windows = sys.platform == "win32"
    return environment / ("Scripts/python.exe" if windows else "bin/python")


def setup(options: Sequence[str]) -> None:
    """Make all environments; `options` go to `pip install`. Raises CalledProcessError."""
    for name, requirements in REQUIREMENTS.items():
        folder = ENVIRONMENTS / name
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(_python_of(folder)), "-m", "pip", "install", *options, *requirements]
        subprocess.run(install, check=True)
