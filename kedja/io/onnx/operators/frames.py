"""Where windows stand: kernels, strides, padding of convolutions and poolings, as ONNX says them.

Next: `convolution.py`, `pooling.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kedja.io.onnx.call import Call
from kedja.ops.windows import span

AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
Pair = tuple[int, int]


class Frame(NamedTuple):
    """The windows along each spatial axis; `more` is what the last ones need beyond the padding."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[Pair, ...]
    more: tuple[int, ...]

    @property
    def widths(self) -> list[Pair]:
        """All that is added before and after an array (N, C, …)."""
        pairs = zip(self.padding, self.more, strict=True)
        return [(0, 0), (0, 0), *((low, high + extra) for (low, high), extra in pairs)]

    @property
    def attrs(self) -> dict[str, tuple[int, ...]]:
        """The attributes of our ops on windows."""
        return {"kernel": self.kernel, "strides": self.strides, "dilation": self.dilation}


def frame(call: Call, extents: Sequence[int], kernel: Sequence[int]) -> Frame:
    """The frame of a node over spatial axes of these extents."""
    count = len(extents)
    if len(kernel) != count:
        call.wrong(f"a kernel of {len(kernel)} axes over {count} spatial axes")
    strides = tuple(call.get("strides") or (1,) * count)
    dilation = tuple(call.get("dilations") or (1,) * count)
    spans = [span(k, gap) for k, gap in zip(kernel, dilation, strict=True)]
    padding = _padding(call, extents, spans, strides)
    wide = [n + low + high for n, (low, high) in zip(extents, padding, strict=True)]
    more = (0,) * count
    if call.get("ceil_mode", 0):
        facts = zip(extents, padding, wide, spans, strides, strict=True)
        more = tuple(_beyond(*each) for each in facts)
    return Frame(tuple(kernel), strides, dilation, tuple(padding), more)


def _padding(
    call: Call, extents: Sequence[int], spans: Sequence[int], strides: Sequence[int]
) -> list[Pair]:
    auto = call.choice("auto_pad", "NOTSET", AUTO)
    count = len(extents)
    if auto == "NOTSET":
        pads = call.get("pads") or (0,) * 2 * count
        return list(zip(pads[:count], pads[count:], strict=True))
    if auto == "VALID":
        return [(0, 0)] * count
    facts = zip(extents, spans, strides, strict=True)
    return [halves(max(0, (-(-n // step) - 1) * step + k - n), auto) for n, k, step in facts]


def halves(total: int, auto: str) -> Pair:
    """A padding in two parts, the larger one behind, or in front for SAME_LOWER."""
    small, large = total // 2, total - total // 2
    return (large, small) if auto == "SAME_LOWER" else (small, large)


def _beyond(extent: int, pads: Pair, wide: int, reach: int, stride: int) -> int:
    """What the last window needs beyond the padding where the number of windows is rounded up.

    The last window starts inside the array or in the padding before it.
    """
    count = -(-(wide - reach) // stride) + 1
    if (count - 1) * stride >= extent + pads[0]:
        count -= 1
    return max(0, (count - 1) * stride + reach - wide)
