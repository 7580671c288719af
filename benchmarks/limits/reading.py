"""`python -m benchmarks.limits.reading`: how fast tokens read weights, beside plain loops.

    python -m benchmarks.limits.reading                 ten rounds of 64 tokens, some three minutes
    python -m benchmarks.limits.reading --rounds 1      a look

A token of GPT-2 small (its weights are random here) reads every weight once and writes next to
nothing, so that the loop to compare it with only reads, too. What memory gives changes from moment
to moment: in each round the loops of `stream.py` run before and after the text, the faster of the
two counts, and the median over the rounds is told. Next: `stream.py`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import kedja as kj
from benchmarks.cases.generating import BYTES
from benchmarks.limits.stream import READ, Stream
from benchmarks.side import Spec
from kedja.compiler.runtime_threads import usable_cores
from kedja.models import GPT2, GPT2Config, generate

FIRST = 1  # the token with which every text begins
REPEATS = 2  # of each loop, before and after; the fastest counts
Rates = Mapping[str, float]


def rates(stream: Stream) -> dict[str, float]:
    """Bytes a second of each loop, now."""
    moved = stream.work()
    return {
        name: max(moved[name] / stream.run(name, 1).seconds for _ in range(REPEATS))
        for name in (*stream.modes, READ)
    }


def rounds(model: Any, moved: float, stream: Stream, tokens: int, count: int) -> Iterator[Rates]:
    """Bytes a second of a text's tokens as "tokens", and of the loops beside them."""
    generate(model, [FIRST], tokens=tokens, seed=count)  # compiled before the clock runs
    for seed in range(count):
        before = rates(stream)
        start = time.perf_counter()
        generate(model, [FIRST], tokens=tokens, seed=seed)
        mine = moved * tokens / (time.perf_counter() - start)
        after = rates(stream)
        yield {"tokens": mine, **{name: max(before[name], after[name]) for name in before}}


def lines(dtype: str, found: Sequence[Rates]) -> list[str]:
    """The medians: the tokens' own rate, and its share of each loop's with least and most."""
    mine = statistics.median(each["tokens"] for each in found)
    text = [f"{dtype}: weights are read at {mine * 1e-9:.1f} GB/s"]
    for name in found[0]:
        if name != "tokens":
            shares = sorted(each["tokens"] / each[name] for each in found)
            share, least, most = statistics.median(shares), shares[0], shares[-1]
            rate = statistics.median(each[name] for each in found) * 1e-9
            text.append(f"  {share:.2f} of {name} ({least:.2f} to {most:.2f}), {rate:.1f} GB/s")
    return text


def main(arguments: Sequence[str], config: GPT2Config | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits.reading")
    parser.add_argument("--rounds", type=int, default=10, help="of loops, text, loops (10)")
    parser.add_argument("--tokens", type=int, default=64, help="of a text (64)")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="all cores")
    chosen = parser.parse_args(arguments)
    stream = Stream(Spec("stream", {}, {}, chosen.threads, ""))
    kj.random.seed(0)
    model = GPT2(config or GPT2Config(dropout=0.0))
    read = model.num_parameters - model.wpe.weight.size  # of the places, a row alone
    for dtype, size in BYTES.items():
        with kj.scope(threads=chosen.threads):
            made = rounds(model.astype(dtype), read * size, stream, chosen.tokens, chosen.rounds)
            print("\n".join(lines(dtype, list(made))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
