"""The one device of a tensor, the CPU, as the Array API standard asks for it.

Graphs run on other devices as programs, not as tensors that live there:
`kj.jit(f, backend="xla")`. Next: `creation.py`.
"""

from __future__ import annotations

from kedja.ground.errors import UsageError

CPU = "cpu"


def require_cpu(device: object) -> None:
    """Raise UsageError unless a device is None or "cpu"."""
    if device is None or device == CPU:
        return
    raise UsageError(
        f"device {device!r}: tensors live on the CPU",
        fix='leave it out; kj.jit(f, backend="xla") runs f on a device that JAX sees',
    )
