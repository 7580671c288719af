"""The processor that code is emitted for: its triple, features, vector width and cache sizes.

Not here: how code is compiled (`runtime_object.py`), nor the number of threads
(`runtime_threads.py`). Next: `runtime_object.py`.

The CPU's name that LLVM reports can be wrong on virtual machines; its feature list, which comes
from the processor itself, is what is trusted. The name is then the plainest one that has the
features, so that only the instruction scheduling follows from it.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from kedja.ground.errors import UsageError
from kedja.ground.flags import flags

# What the plain names of the x86-64 levels promise, as far as emitted code depends on it.
V4 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
V3 = frozenset({"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe", "popcnt"})

LLVMLITE = llvmlite.__version__

L1_DEFAULT = 32 * 1024
L2_DEFAULT = 512 * 1024


@dataclass(frozen=True)
class Target:
    """A processor to emit code for; `l1` and `l2` are the bytes of one core's data caches.

    `registers` counts the vector registers of `vector_bits` each; `has_masked_ops` says whether
    masked loads and stores cost about as much as plain ones; `has_fma` whether a fused
    multiply-add is one instruction.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    registers: int
    l1: int = L1_DEFAULT
    l2: int = L2_DEFAULT
    has_masked_ops: bool = False
    has_fma: bool = True

    @property
    def architecture(self) -> str:
        """`x86_64`, `aarch64` or what else the triple begins with."""
        return _architecture(self.triple)

    @property
    def has_half(self) -> bool:
        """Whether float16 and float32 are converted by instructions."""
        return self.architecture == "aarch64" or "f16c" in _needed(self)

    @property
    def has_bfloat16_dot(self) -> bool:
        """Whether one instruction multiplies pairs of bfloat16 and adds them up in float32."""
        return self.vector_bits == 512 and "avx512bf16" in _needed(self)

    def key(self) -> str:
        """A short text that is equal for equal targets under the same LLVM: part of cache keys."""
        text = repr((astuple(self), llvm.llvm_version_info))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def runs_here(self) -> bool:
        """Whether this machine can execute code emitted for this target."""
        host = host_target()
        if self.architecture != host.architecture:
            return False
        return _needed(self) <= _present(host.features)


def _architecture(triple: str) -> str:
    first = triple.split("-")[0]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(first, first)


def _present(features: str) -> frozenset[str]:
    """The names with a plus in `+avx2,-amx-tile,...`."""
    return frozenset(f[1:] for f in features.split(",") if f.startswith("+"))


def _needed(target: Target) -> frozenset[str]:
    by_cpu = {"x86-64-v4": V4 | V3, "x86-64-v3": V3}
    return by_cpu.get(target.cpu, frozenset()) | _present(target.features)


def current_target() -> Target:
    """The target that the flag `target` names: this machine unless told otherwise."""
    return named_target(flags().target)


@lru_cache(maxsize=8)
def named_target(name: str) -> Target:
    """The target called `host`, `avx512`, `avx2` or `neon`; UsageError for any other name."""
    if name == "host":
        return host_target()
    l1, l2 = _cache_sizes()
    here = llvm.get_process_triple()
    x86 = here if _architecture(here) == "x86_64" else "x86_64-unknown-linux-gnu"
    arm = here if _architecture(here) == "aarch64" else "aarch64-unknown-linux-gnu"
    if name == "avx512":
        return Target(name, x86, "x86-64-v4", "", 512, 32, l1, l2, has_masked_ops=True)
    if name == "avx2":
        return Target(name, x86, "x86-64-v3", "", 256, 16, l1, l2)
    if name == "neon":
        return Target(name, arm, "generic", "+neon", 128, 32, l1, l2)
    raise UsageError(f"unknown target {name!r}", fix="one of host, avx512, avx2, neon")


@lru_cache(maxsize=1)
def host_target() -> Target:
    """This machine, by the features that its processor reports."""
    triple = llvm.get_process_triple()
    listed = _host_features()
    if _architecture(triple) == "x86_64":
        return _x86_target(triple, listed)
    l1, l2 = _cache_sizes()
    return Target("host", triple, "generic", listed, 128, 32, l1, l2)


def _host_features() -> str:
    """The host's features as `+a,-b,...`; empty where LLVM cannot tell (then: the baseline)."""
    try:
        return str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:
        return ""


def _x86_target(triple: str, listed: str) -> Target:
    present = _present(listed)
    l1, l2 = _cache_sizes()
    fma = "fma" in present
    if present >= V4 | V3:
        return Target("host", triple, "x86-64-v4", listed, 512, 32, l1, l2, has_masked_ops=True)
    if present >= V3:
        return Target("host", triple, "x86-64-v3", listed, 256, 16, l1, l2)
    bits = 256 if "avx" in present else 128
    return Target("host", triple, "x86-64", listed, bits, 16, l1, l2, has_fma=fma)


@lru_cache(maxsize=1)
def _cache_sizes() -> tuple[int, int]:
    """The bytes of the first core's L1 data cache and L2 cache, or defaults."""
    found = {1: L1_DEFAULT, 2: L2_DEFAULT}
    if sys.platform == "linux":
        for entry in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
            level, size = _cache_entry(entry)
            if level in found and size:
                found[level] = size
    return found[1], found[2]


def _cache_entry(entry: Path) -> tuple[int, int]:
    """The level and bytes of one data cache as Linux describes it; (0, 0) if it is none."""
    try:
        kind = (entry / "type").read_text().strip()
        level = int((entry / "level").read_text())
        size = (entry / "size").read_text().strip()
    except (OSError, ValueError):
        return 0, 0
    if kind == "Instruction" or not size.endswith("K") or not size[:-1].isdigit():
        return 0, 0
    return level, int(size[:-1]) * 1024
