"""The table of cases. Not here: what they consist of. Next: `benchmarks/side.py`."""

from __future__ import annotations

from typing import Any

from benchmarks.cases.arrays import PASSES, descent, one_pass, product
from benchmarks.cases.case import Case
from benchmarks.cases.generating import generating
from benchmarks.cases.training import forward, training


def mlp(*sizes: int, activation: str = "relu") -> dict[str, Any]:
    """A multilayer perceptron's options."""
    return {"family": "mlp", "sizes": list(sizes), "activation": activation}


def residual(depth: int, width: int) -> dict[str, Any]:
    """A deep residual network's options."""
    return {"family": "residual", "depth": depth, "width": width, "classes": 10}


def gpt(layers: int, heads: int, width: int, context: int, vocabulary: int = 65) -> dict[str, Any]:
    """A GPT-2's options, for the 65 characters of tiny Shakespeare unless told otherwise."""
    sizes = {"layers": layers, "heads": heads, "width": width, "context": context}
    return {"family": "gpt", "vocabulary": vocabulary, **sizes}


CNN = {"family": "cnn", "channels": [1, 16, 32], "side": 28, "classes": 10}
RESNET = {"family": "resnet", "widths": [16, 32, 64], "blocks": 2, "side": 32, "classes": 10}
LSTM = {"family": "lstm", "vocabulary": 65, "width": 128, "context": 64}
GPT_CHAR = gpt(4, 4, 128, 64)
GPT_10M = gpt(6, 6, 384, 256)
GPT_124M = gpt(12, 12, 768, 1024, 50257)  # GPT-2 small

# How far losses may lie apart after 20 steps, as a share of the largest. Smooth networks differ by
# rounding alone. Where relu or a pool has a kink, rounding can choose the other side of it (in
# deep_30, PyTorch's float32 is 4·10⁻⁵ away from its float64, kedja's 5·10⁻⁸); batch norm in small
# batches and bfloat16 products make more of it.
SMOOTH, KINKS = 1e-4, 1e-3
ROUNDED = 2e-2
ADAMW: dict[str, Any] = {"optimizer": "adamw", "rate": 1e-3}

TRAINING = (
    training(
        "tiny81", mlp(4, 5, 5, 3, 2, activation="sigmoid"), batch=1, batches=16384, loss="mse",
        tolerance=SMOOTH, goal=1000, step_goal=20,
    ),
    training("mnist_mlp", mlp(784, 128, 10), batch=64, tolerance=KINKS, goal=4),
    training(
        "mnist_deep5", mlp(784, *[256] * 5, 10, activation="sigmoid"), batch=64,
        tolerance=SMOOTH, goal=2.5,
    ),
    training("adam_mlp", mlp(784, 256, 128, 10), batch=64, **ADAMW, tolerance=KINKS),
    training("mnist_cnn", CNN, batch=64, **ADAMW, tolerance=KINKS, goal=5),
    training(
        "resnet_small", RESNET, batch=32, batches=8, rate=0.01, options={"momentum": 0.9},
        tolerance=KINKS, goal=2,
    ),
    training("lstm_char", LSTM, batch=32, batches=8, **ADAMW, tolerance=SMOOTH, goal=3),
    training("gpt_char", GPT_CHAR, batch=12, batches=8, **ADAMW, tolerance=SMOOTH, goal=2),
    training("gpt_10m", GPT_10M, batch=8, batches=2, **ADAMW, tolerance=SMOOTH, goal=1.4),
    training(
        "gpt_10m_bf16", GPT_10M, batch=8, batches=2, **ADAMW, precision="bfloat16",
        tolerance=ROUNDED, goal=1.7,
    ),
    training("deep_30", residual(30, 300), batch=64, batches=16, rate=0.03, tolerance=KINKS),
    training(
        "deep_300", residual(300, 300), batch=64, batches=8, rate=0.01, tolerance=KINKS, goal=2
    ),
)  # fmt: skip

FORWARD = (
    forward("mnist_mlp_forward", mlp(784, 128, 10), goal=5, step_goal=5),
    forward("mnist_cnn_forward", CNN, goal=5, step_goal=5),
    forward("gpt_char_forward", GPT_CHAR, goal=5, step_goal=5),
)

GENERATING = (
    generating("gpt_char_generate", GPT_CHAR, 64, tolerance=SMOOTH, goal=5),
    generating("gpt_124m_generate", GPT_124M, 64, tolerance=SMOOTH, bandwidth_goal=0.8),
    generating(
        "gpt_124m_generate_bf16", GPT_124M, 64, "bfloat16", tolerance=ROUNDED, bandwidth_goal=0.8
    ),
)

SQUARE = tuple(product(f"matmul_{n}", n, n, n) for n in (64, 128, 256, 512, 1024, 2048, 4096))
# A layer's product going forward is A Bᵀ; towards its input A B; towards its weight Aᵀ B.
OTHER_PRODUCTS = (
    *(product(f"matmul_{n}_{form}", n, n, n, form) for n in (256, 1024) for form in ("AtB", "ABt")),
    product("matmul_64x784x128", 64, 784, 128),
    product("matmul_64x784x128_ABt", 64, 784, 128, "ABt"),
    product("matmul_128x64x784_AtB", 128, 64, 784, "AtB"),
    product("matmul_768x128x512", 768, 128, 512),
    product("matmul_768x128x512_ABt", 768, 128, 512, "ABt"),
    product("matmul_512x768x128_AtB", 512, 768, 128, "AtB"),
    product("matmul_2048x384x1536", 2048, 384, 1536),
    product("matmul_2048x384x1536_ABt", 2048, 384, 1536, "ABt"),
    product("matmul_1536x2048x384_AtB", 1536, 2048, 384, "AtB"),
    product("matmul_1x1024x1024", 1, 1024, 1024),
    product("matmul_8x4096x4096", 8, 4096, 4096),
    product("matmul_4096x64x64", 4096, 64, 64),
    product("matmul_45x300x47", 45, 300, 47),
)
BFLOAT16_PRODUCTS = (
    product("matmul_256_bf16", 256, 256, 256, dtype="bfloat16"),
    product("matmul_1024_bf16", 1024, 1024, 1024, dtype="bfloat16"),
    product("matmul_64x784x128_bf16", 64, 784, 128, dtype="bfloat16"),
    product("matmul_2048x384x1536_bf16", 2048, 384, 1536, dtype="bfloat16"),
)
IN_CACHE, BEYOND_CACHE = (4, 5, 6), 7  # powers of ten; 10⁷ numbers are in no core's cache
ALL_PASSES = tuple(
    each
    for operation in PASSES
    for each in (
        *(one_pass(f"{operation}_1e{p}", operation, 10**p, goal=1.5) for p in IN_CACHE),
        one_pass(f"{operation}_1e{BEYOND_CACHE}", operation, 10**BEYOND_CACHE, bandwidth_goal=0.9),
    )
)

PEAK = Case("peak", "peak", "multiply-adds in vector registers, nothing else", {}, dict)
STREAM = Case("stream", "stream", "the fastest of a triad and a copy beyond cache", {}, dict)
MM_PEAK = "matmul_1024"  # the product whose best rate by PyTorch is the second measure of the peak

CASES = (
    *TRAINING,
    *FORWARD,
    *GENERATING,
    descent("descent", goal=200),
    *SQUARE,
    *OTHER_PRODUCTS,
    *BFLOAT16_PRODUCTS,
    *ALL_PASSES,
)


def named(name: str) -> list[Case]:
    """The case of that name, or those whose names begin with it."""
    same = [case for case in CASES if case.name == name]
    return same or [case for case in CASES if case.name.startswith(name)]
