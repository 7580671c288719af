"""`kedja doctor`: what was found on this machine, and the line that installs what is missing.

It loads nothing that could fail unseen: each part is looked at by itself. Next: `guard.py`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja.cli.output import note, say, say_json
from kedja.ground.errors import KedjaError
from kedja.ground.flags import Flags, flags
from kedja.version import __version__

CORE = ("numpy", "ml_dtypes", "llvmlite", "safetensors", "typer", "rich", "platformdirs")
EXTRAS = {
    "learn": ("scikit-learn", "sklearn", "bundled digits, estimators"),
    "vision": ("pillow", "PIL", "pictures"),
    "text": ("tokenizers", "tokenizers", "parts of words, GPT-2's files"),
    "audio": ("soundfile", "soundfile", "sound"),
    "rl": ("gymnasium", "gymnasium", "agents"),
    "tune": ("optuna", "optuna", "the search for options"),
    "plots": ("matplotlib", "matplotlib", "drawings"),
    "xla": ("jax", "jax", "GPUs and TPUs through XLA"),
    "onnx": ("onnx", "onnx", "networks from other systems, and to them"),
}
NOTABLE = ("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512bf16")
NOTABLE_MORE = ("avx512fp16", "avx512vnni", "amx-tile", "amx-bf16", "neon", "sve", "bf16", "i8mm")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print versions, processor, threads, cache and extras as they were found."""
    found = diagnosis()
    if json:
        say_json(found)
    else:
        _print(found)
    missing = [name for name, version in found["packages"].items() if version is None]
    if missing:
        note(f"missing: {', '.join(missing)}; pip install {' '.join(missing)}")
        raise typer.Exit(1)


def diagnosis() -> dict[str, Any]:
    """Everything that is printed."""
    return {
        "kedja": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in CORE},
        "processor": {"name": _processor_name(), **_attempt(_target)},
        "threads": _attempt(_threads),
        "cache": _attempt(_cache),
        "flags": _changed_flags(),
        "extras": {name: _extra(name) for name in EXTRAS},
    }


def _attempt(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a look found, or why it failed."""
    try:
        return look()
    except (ImportError, OSError, KedjaError) as problem:
        return {"problem": str(problem)}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor_name() -> str:
    """The name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _target() -> dict[str, Any]:
    """What code is emitted for."""
    target = importlib.import_module("kedja.compiler.runtime_target").current_target()
    present = {each[1:] for each in target.features.split(",") if each.startswith("+")}
    return {
        "target": target.name,
        "architecture": target.architecture,
        "cpu": target.cpu,
        "vector_bits": target.vector_bits,
        "features": [name for name in NOTABLE + NOTABLE_MORE if name in present],
        "l1_bytes": target.l1,
        "l2_bytes": target.l2,
    }


def _threads() -> dict[str, Any]:
    cores = importlib.import_module("kedja.compiler.runtime_threads").usable_cores()
    return {"used": flags().threads or cores, "cores": cores, "of": os.cpu_count()}


def _cache() -> dict[str, Any]:
    folder = importlib.import_module("kedja.compiler.runtime_cache").cache_folder()
    files = [each for each in folder.rglob("*") if each.is_file()] if folder.exists() else []
    return {
        "folder": str(folder),
        "files": len(files),
        "bytes": sum(_size(each) for each in files),
        "writable": _is_writable(folder),
    }


def _size(file: Path) -> int:
    """0 for a file that another process has just deleted."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, can be written to."""
    existing = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return os.access(existing, os.W_OK | os.X_OK)


def _changed_flags() -> dict[str, Any]:
    """The flags that the environment sets to other values than their defaults."""
    try:
        now, usual = asdict(flags()), asdict(Flags())
    except KedjaError as problem:
        return {"problem": str(problem)}
    return {name: value for name, value in now.items() if value != usual[name]}


def _extra(name: str) -> dict[str, Any]:
    package, module, purpose = EXTRAS[name]
    present = importlib.util.find_spec(module) is not None
    found = {"package": package, "version": _version(package) if present else None}
    return {**found, "for": purpose, "install": None if present else f"pip install 'kedja[{name}]'"}


# -------------------------------------------------------------------------------- printing


def _print(found: dict[str, Any]) -> None:
    rows = [
        ("kedja", found["kedja"]),
        ("python", f"{found['python']} on {found['platform']}"),
        ("packages", ", ".join(f"{k} {v or 'missing'}" for k, v in found["packages"].items())),
        *_processor_rows(found["processor"]),
        ("threads", _problem_or(found["threads"], "{used} used, {cores} usable of {of} cores")),
        ("cache", _cache_text(found["cache"])),
    ]
    if found["flags"]:
        rows.append(("flags", ", ".join(f"{k}={v}" for k, v in found["flags"].items())))
    rows += [(f"[{name}]", _extra_text(each)) for name, each in found["extras"].items()]
    for label, text in rows:
        say(f"{label:<12}{text}")


def _problem_or(found: dict[str, Any], text: str) -> str:
    return found.get("problem") or text.format(**found)


def _processor_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    if "problem" in found:
        return [("processor", found["name"]), ("target", found["problem"])]
    caches = f"L1 {found['l1_bytes'] // 1024} KiB, L2 {found['l2_bytes'] // 1024} KiB"
    return [
        ("processor", f"{found['name']} ({caches} a core)"),
        ("features", " ".join(found["features"]) or "the baseline"),
        ("target", f"{found['target']}: {found['cpu']}, vectors of {found['vector_bits']} bits"),
    ]


def _cache_text(found: dict[str, Any]) -> str:
    if "problem" in found:
        return str(found["problem"])
    state = "" if found["writable"] else ", not writable"
    return f"{found['folder']}: {found['files']} files, {_readable(found['bytes'])}{state}"


def _readable(count: int) -> str:
    value, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def _extra_text(found: dict[str, Any]) -> str:
    if found["install"]:
        return f"{found['package']} is not installed ({found['for']}): {found['install']}"
    return f"{found['package']} {found['version']} ({found['for']})"
