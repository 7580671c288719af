"""The pictures of the lecture pages, drawn from what the pages themselves compute.

`python docs/lectures/figures.py` runs the examples of each page and draws its pictures from the
page's own variables into `docs/lectures/figures/`; a page whose examples fail is an error. The
same numbers give the same bytes. Not here: any computation of the lectures. Needs the extras
`plots` and `learn`. Next: `README.md`.
"""

from __future__ import annotations

import argparse
import doctest
import importlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
Variables = Mapping[str, Any]
Range = tuple[float, float]

# The palette of Okabe and Ito (2008), which colour-blind people can tell apart.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
LIGHT_BLUE, INK, GREY, PALE = "#7FB8DA", "#222222", "#767676", "#D9D9D9"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titlepad": 10,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "lines.linewidth": 2,
    "path.simplify": False,
    "svg.fonttype": "path",  # the same picture without the font
    "svg.hashsalt": "kedja",  # the same names inside the file each time
}


COORDINATES = re.compile(r' (?:d|x|y|points)="[^"]*"')


class PageError(Exception):
    """The examples of a page do not give what the page says."""


@cache
def run_page(name: str) -> Variables:
    """Run the examples of a page and return its variables. Raises PageError where one fails."""
    path = HERE / f"{name}.md"
    text = path.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)
    report = io.StringIO()
    found = doctest.DocTestRunner(verbose=False).run(test, out=report.write, clear_globs=False)
    if found.failed:
        raise PageError(report.getvalue())
    return test.globs


# ------------------------------------------------------------------------------------ panels


def panels(width: float, height: float, count: int = 1, **options: Any) -> tuple[Any, list[Any]]:
    """A figure of its own, of a size in inches, with some axes side by side."""
    figure = importlib.import_module("matplotlib.figure").Figure((width, height))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    axes = figure.subplots(1, count, squeeze=False, **options)
    return figure, list(axes[0])


def say(axes: Any, x: float, y: float, text: str, colour: str = INK, **options: Any) -> None:
    """Text beside what it is about, in its colour; an arrow where `to=(x, y)` is given."""
    given: dict[str, Any] = {"color": colour, "va": "center", **options}
    to = given.pop("to", None)
    if to is None:
        axes.text(x, y, text, **given)
        return
    arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 3}
    axes.annotate(text, to, (x, y), arrowprops=arrow, **given)


def dots(axes: Any, x: Any, y: Any, colour: str) -> None:
    """Many dots as one short path: lines without length whose ends are round."""
    gap = np.full(len(x), np.nan)
    lines = [np.column_stack([each, each, gap]).ravel() for each in (x, y)]
    axes.plot(*lines, color=colour, linewidth=2.8, solid_capstyle="round", zorder=1.5)


def bare(axes: Any) -> None:
    """No axes, for diagrams."""
    axes.set_axis_off()
    axes.set_aspect("equal")


# ---------------------------------------------------------------------------------- pictures


def linear_maps(page: Variables) -> Any:
    """Two trained networks on the same curve."""
    figure, (axes,) = panels(6.4, 3.6)
    x = page["x"][:, 0]
    axes.plot(x, page["y"][:, 0], color=PALE, linewidth=7, solid_capstyle="round")
    axes.plot(x, page["linear"](page["x"]).numpy()[:, 0], color=ORANGE)
    axes.plot(x, page["bent"](page["x"]).numpy()[:, 0], color=BLUE)
    say(axes, -0.42, -1.14, "y = sin(π x)", GREY, ha="right", to=(-0.6, -0.95))
    say(axes, 0.3, 0.12, "three linear layers:\na line", ORANGE, ha="left", va="top")
    say(axes, 0.16, 0.98, "with ReLU\nbetween them", BLUE, ha="right", to=(0.33, 0.86))
    axes.set(xlabel="x", xticks=[-1, 0, 1], yticks=[-1, 0, 1], ylim=(-1.25, 1.25))
    axes.set_title("Without a nonlinearity, three layers learn no more than one")
    return figure


def perceptron(page: Variables) -> Any:
    """AND and XOR in the plane of the inputs, and XOR in the plane of OR and AND."""
    figure, axes = panels(8.4, 3.2, 3, sharex=True, sharey=True)
    _classes(axes[0], page["x"], page["is_and"], page["unit"])
    _classes(axes[1], page["x"], page["is_xor"], None)
    _classes(axes[2], page["hidden"], page["is_xor"], page["top"])
    titles = ("AND: one line will do", "XOR: no line will do", "XOR after OR and AND: one will")
    names = (("x₁", "x₂"), ("x₁", "x₂"), ("OR", "AND"))
    for each, title, (across, up) in zip(axes, titles, names, strict=True):
        each.set(xlabel=across, ylabel=up, xticks=[0, 1], yticks=[0, 1])
        each.set_title(title)
    say(axes[0], 1, 1.2, "answer 1", BLUE, ha="center", fontsize=8.5)
    say(axes[0], 0, 1.2, "answer 0", BLUE, ha="center", fontsize=8.5)
    say(axes[2], 1, -0.2, "two examples", BLUE, ha="center", fontsize=8.5)
    return figure


def _classes(axes: Any, x: Any, answers: Sequence[int], unit: Any) -> None:
    """Filled dots where the answer is 1, rings where it is 0, and the side that says yes."""
    axes.set(xlim=(-0.35, 1.35), ylim=(-0.35, 1.35), aspect="equal")
    if unit is not None:
        across = np.linspace(-0.35, 1.35, 2)
        (w1, w2), b = unit.weight.numpy(), unit.bias.item()
        line = -(b + w1 * across) / w2
        axes.plot(across, line, color=GREEN)
        axes.fill_between(across, line, 9 * np.sign(w2), color=GREEN, alpha=0.13, linewidth=0)
    colours = [BLUE if answer else "white" for answer in answers]
    axes.scatter(*np.asarray(x).T, s=120, c=colours, edgecolors=BLUE, linewidths=2, zorder=3)


def chain_rule(page: Variables) -> str:
    """The graph as kedja itself draws it."""
    return str(page["back"].svg())


def network(page: Variables) -> Any:
    """The 4-5-5-3-2 network with its values, its weights as lines, and its parameters."""
    figure, (axes,) = panels(8.2, 4.0)
    bare(axes)
    columns = [np.asarray(page["x"])]
    columns += [value.numpy() for value in (*page["values"][1:-1:2], page["values"][-1])]
    places = [_column(2.6 * i, len(column)) for i, column in enumerate(columns)]
    linear = [layer for layer in page["net"] if hasattr(layer, "weight")]
    for i, layer in enumerate(linear):
        _edges(axes, places[i], places[i + 1], layer.weight.numpy())
        text = f"{layer.num_parameters}\nparameters"
        say(axes, 2.6 * i + 1.3, -2.75, text, GREY, ha="center", linespacing=1.3)
    for i, (column, place) in enumerate(zip(columns, places, strict=True)):
        _units(axes, place, [f"{value:.2f}" if i else f"{value:g}" for value in column])
    x, y = places[1][0]
    axes.scatter(x, y, s=620, facecolors="none", edgecolors=GREEN, linewidths=2.5, zorder=4)
    say(axes, x, y + 0.62, "a₁ = σ(0.95), by hand", GREEN, ha="center")
    say(axes, 9.1, 1.9, "positive weight", BLUE, ha="left")
    say(axes, 9.1, 1.45, "negative weight", ORANGE, ha="left")
    axes.set(xlim=(-0.5, 10.9), ylim=(-3.1, 2.9))
    axes.set_title("25 + 30 + 18 + 8 = 81 parameters")
    return figure


def _column(x: float, count: int) -> list[tuple[float, float]]:
    return [(x, (count - 1) / 2 - i) for i in range(count)]


def _edges(axes: Any, left: Any, right: Any, weight: Any) -> None:
    for h, end in enumerate(right):
        for c, start in enumerate(left):
            w = weight[h, c]
            colour = BLUE if w > 0 else ORANGE
            width = 0.25 + 1.6 * min(abs(w) / 3, 1)
            axes.plot(*zip(start, end, strict=True), color=colour, linewidth=width, alpha=0.6)


def _units(axes: Any, places: Any, texts: Sequence[str]) -> None:
    axes.scatter(*np.array(places).T, s=520, c="white", edgecolors=INK, linewidths=1, zorder=3)
    for (x, y), text in zip(places, texts, strict=True):
        say(axes, x, y, text.replace("-", "−"), ha="center", fontsize=8, zorder=5)


def loss(page: Variables) -> Any:
    """What each of the ten outputs adds to the squared error, for two labels."""
    figure, axes = panels(8.4, 3.2, 2, sharey=True)
    for each, (label, parts) in zip(axes, page["parts"].items(), strict=True):
        colours = [ORANGE if i == label else BLUE for i in range(10)]
        each.bar(range(10), parts, color=colours, width=0.72)
        share = f"(1 − {page['outputs'][label]:.2f})² = {parts[label]:.4f}"
        say(each, label, parts[label] + 0.06, share, ORANGE, ha="center", rotation=90, va="bottom")
        ticks = [f"{i}\n{output:.2f}" for i, output in enumerate(page["outputs"])]
        each.set_xticks(range(10), ticks, fontsize=8)
        each.set(xlabel="output, and its value")
        each.set_title(f"label {label}: squared error {parts.sum():.4f}")
    axes[0].set(ylabel="(o − y)²")
    say(axes[0], 5.5, 0.62, "outputs that should be 0\nmake up nearly all of it", BLUE, ha="center")
    return figure


def descent(page: Variables) -> Any:
    """The path on the contours of f."""
    figure, (axes,) = panels(6.4, 4.6)
    (left, below), (right, above) = page["low"], page["high"]
    x1, x2 = np.meshgrid(np.linspace(left, right, 60), np.linspace(below, above, 60))
    heights = page["f"](x1, x2).numpy()
    levels = np.linspace(-1.2, 1.2, 13)
    filled = axes.contourf(x1, x2, heights, levels=levels, cmap="RdBu_r", alpha=0.8)
    figure.colorbar(filled, ax=axes, label="f", ticks=levels[::3])
    path = np.array(page["path"])
    axes.plot(*path.T, color=INK, clip_on=False, zorder=3)
    axes.plot(*path[::10].T, ".", color=INK, markersize=6, clip_on=False, zorder=3)
    axes.plot(*path[0], "o", color="white", markeredgecolor=INK, ms=9, clip_on=False, zorder=4)
    axes.plot(*path[-1], "*", color="white", markeredgecolor=INK, ms=17, clip_on=False, zorder=4)
    say(axes, 1.55, 1.72, "start (2, 2)", ha="right", to=path[0])
    end, value = path[-1], page["f"](*path[-1]).item()
    text = f"({end[0]:.5f}, −2)\nf = {value:.5f}".replace("-", "−")
    say(axes, 1.3, -1.6, text, ha="right", to=end)
    say(axes, 1.52, 0.15, "a dot every\n10 steps", ha="left")
    axes.set(xlabel="x₁", ylabel="x₂", xticks=range(-2, 4), yticks=range(-2, 3))
    axes.set_title("Descent leaves the hill and ends on the edge of the box")
    return figure


def softmax(page: Variables) -> Any:
    """Three probabilities, stacked."""
    figure, (axes,) = panels(6.4, 3.4)
    axes.stackplot(page["first"], page["shares"].T, colors=[BLUE, "#56B4E9", PALE], linewidth=0)
    say(axes, 3.1, 0.45, "y₁, of output z₁", "white", ha="center", weight="bold")
    say(axes, -3.0, 0.36, "y₂, of output 1", INK, ha="center", weight="bold")
    say(axes, -3.0, 0.86, "y₃, of output 0", INK, ha="center", weight="bold")
    axes.set(xlim=(-5, 5), ylim=(0, 1), xlabel="z₁", yticks=[0, 0.5, 1])
    axes.set_title("Whatever the outputs are, the probabilities add up to 1")
    return figure


def likelihood(page: Variables) -> Any:
    """Numbers spread around a prediction; and how often it is yes, beside the prediction."""
    figure, (left, right) = panels(8.8, 3.6, 2)
    predicted, s = page["line"](page["x"]).numpy()[:, 0], page["mean_square"] ** 0.5
    ends = np.array([predicted.min(), predicted.max()])
    dots(left, predicted, page["progress"], LIGHT_BLUE)
    left.plot(ends, ends, color=INK)
    left.fill_between(ends, ends - s, ends + s, color=ORANGE, alpha=0.22, linewidth=0)
    say(left, 212, 45, "±s, the root of the\nmean squared error", ORANGE, ha="left", fontsize=8.5)
    left.set(xlabel="w·x + b", ylabel="progress of the disease")
    left.set_title("Linear: normal around the prediction")
    _logistic(right, page)
    return figure


def _logistic(axes: Any, page: Variables) -> None:
    z = page["curve"](page["x2"]).numpy()[:, 0]
    yes = page["malignant"]
    shift = 0.045 * np.sin(7.0 * np.arange(len(z)))  # so that dots do not hide each other
    dots(axes, z, yes + shift, LIGHT_BLUE)
    grid = np.linspace(-8, 8, 161)
    axes.plot(grid, page["kj"].sigmoid(grid).numpy(), color=INK)
    for group in np.array_split(np.argsort(z), 12):
        axes.plot(z[group].mean(), yes[group].mean(), "o", color=ORANGE, markersize=6.5, zorder=3)
    say(axes, -1.1, 0.66, "σ(w·x + b)", ha="right", to=(0.35, 0.59))
    say(
        axes, 1.9, 0.42, "share of malignant ones\nin each twelfth", ORANGE, ha="left", fontsize=8.5
    )
    axes.set(xlim=(-8, 8), xlabel="w·x + b", ylabel="malignant", yticks=[0, 0.5, 1])
    axes.set_title("Logistic: yes as often as predicted")


def zig_zag(page: Variables) -> Any:
    """The same task behind a sigmoid and behind tanh, in the plane of the two weights."""
    figure, axes = panels(8.0, 4.0, 2, sharex=True, sharey=True)
    kj, goal = page["kj"], page["goal"]
    for each, name, colour in zip(axes, ("sigmoid", "tanh"), (ORANGE, BLUE), strict=True):
        h, path = getattr(kj, name)(page["inputs"]).numpy(), page["paths"][name]
        _valley(each, h.T @ h / len(h), goal, (-0.3, 1.55), (-1.35, 0.5))
        each.plot(*path.T, color=colour, linewidth=1.3, marker=".", markersize=4)
        each.plot(*goal, "*", color="white", markeredgecolor=INK, markersize=15, zorder=4)
        each.plot(0, 0, "o", color="white", markeredgecolor=INK, zorder=4)
        count = page["examples_until_near"](path)
        each.set(xlabel="w₁", aspect="equal", xticks=[0, 1], yticks=[0, -1])
        each.set_title(f"Behind a {name}: {count} examples", color=colour)
    axes[0].set(ylabel="w₂")
    say(axes[0], -0.02, 0.13, "start", ha="right")
    say(axes[0], 1.08, -1.12, "goal", ha="left", va="top")
    say(axes[0], 0.72, 0.2, "both weights go up,\nor both go down", ORANGE, ha="left")
    return figure


def _valley(axes: Any, second: Any, best: Any, across: Range, up: Range) -> None:
    """Contours of (w − best)ᵀ · second · (w − best), thin and grey."""
    w1, w2 = np.meshgrid(np.linspace(*across, num=61), np.linspace(*up, num=61))
    w = np.stack([w1 - best[0], w2 - best[1]], axis=-1)
    error = np.einsum("...i,ij,...j", w, second, w)
    levels = error.max() * np.linspace(0.04, 1, 9) ** 2
    axes.contour(w1, w2, error, levels=levels, colors=PALE, linewidths=0.9)


def stochastic_paths(page: Variables) -> Any:
    """Full and single steps towards the best weights."""
    figure, (axes,) = panels(6.4, 4.2)
    x, best = page["x"], page["best"]
    _valley(axes, x.T @ x / len(x), best, (-0.2, 2.0), (-1.4, 0.25))
    axes.plot(*page["single"].T, color=BLUE, linewidth=1)
    axes.plot(*page["full"].T, color=ORANGE, marker="o", markersize=5)
    axes.plot(0, 0, "o", color="white", markeredgecolor=INK, markersize=8, zorder=4)
    axes.plot(*best, "*", color="white", markeredgecolor=INK, markersize=16, zorder=4)
    say(axes, 0.62, 0.12, "3 steps along the full gradient", ORANGE, ha="left")
    say(axes, 0.72, -1.05, "300 steps along the\ngradient of one example", BLUE, ha="right")
    say(axes, best[0] + 0.08, best[1] - 0.1, "best weights", ha="left", va="top")
    axes.set(xlabel="w₁", ylabel="w₂", aspect="equal", xticks=[0, 1, 2], yticks=[-1, 0])
    axes.set_title("Three passes over 100 examples")
    return figure


def stochastic(page: Variables) -> Any:
    """The loss on all examples after each epoch, for three sizes of the batch."""
    figure, (axes,) = panels(6.4, 3.6)
    names = {1438: "full gradient,\n10 steps", 128: "batches of 128,\n120 steps"}
    names[16] = "batches of 16,\n900 steps"
    up = {1438: 0, 128: 0.12, 16: 0}  # so that names do not touch
    for (batch, curve), colour in zip(page["curves"].items(), (ORANGE, GREEN, BLUE), strict=True):
        seen = 1438 * np.arange(1, len(curve) + 1)
        axes.plot(seen, curve, color=colour, marker="o", markersize=4)
        say(axes, 14900, curve[-1] + up[batch], names[batch], colour, ha="left")
    axes.set(xlim=(0, 20500), ylim=(0, 2.4), xlabel="examples seen", ylabel="loss on all digits")
    axes.set_xticks([0, 5000, 10000, 14380], ["0", "5,000", "10,000", "14,380"])
    axes.spines.bottom.set_bounds(0, 14380)
    axes.set_title("For the same number of examples, small steps go much further")
    return figure


def saturation(page: Variables) -> Any:
    """The sigmoid and its slope."""
    figure, (axes,) = panels(6.4, 3.2)
    z = page["z"]
    for side in (-1, 1):
        axes.axvspan(side * 5, side * 10, color=ORANGE, alpha=0.12, linewidth=0)
        say(
            axes,
            side * 7.5,
            0.5,
            "saturated:\nslope below 0.007",
            ORANGE,
            ha="center",
            fontsize=8.5,
        )
    axes.plot(z, page["height"], color=BLUE)
    axes.plot(z, page["slope"], color=INK)
    say(axes, 1.9, 0.78, "σ(z)", BLUE, ha="left")
    say(axes, 1.5, 0.24, "its slope,\nat most 1/4", INK, ha="left")
    axes.set(xlim=(-10, 10), ylim=(0, 1.02), xlabel="z", yticks=[0, 0.25, 0.5, 1])
    axes.set_xticks([-10, -5, 0, 5, 10])
    axes.set_title("Far from 0 a sigmoid is flat, and no gradient passes")
    return figure


def saturated_unit(page: Variables) -> Any:
    """The output of one unit that starts as wrong as can be."""
    figure, (axes,) = panels(6.4, 3.4)
    axes.plot(page["squared"], color=ORANGE)
    axes.plot(page["entropy"], color=BLUE)
    say(
        axes, 100, 0.87, "squared error:\nthe slope σ′ holds it back", ORANGE, ha="center", va="top"
    )
    say(axes, 42, 0.23, "cross-entropy: the more wrong, the faster", BLUE, ha="left")
    axes.set(xlim=(0, 300), ylim=(0, 1.02), xlabel="steps", ylabel="output (should be 0)")
    axes.set_title("A saturated unit learns slowly from the squared error")
    return figure


def vanishing(page: Variables) -> Any:
    """The gradient that arrives at each of seven weight matrices."""
    figure, (axes,) = panels(6.4, 3.6)
    texts = {"sigmoid": "sigmoid", "tanh": "tanh"}
    texts["sigmoid, chosen weights"] = "sigmoid with\nchosen weights"
    for (name, sizes), colour in zip(page["sizes"].items(), (ORANGE, PURPLE, BLUE), strict=True):
        axes.semilogy(range(1, 8), sizes, color=colour, marker="o")
        say(axes, 0.8, sizes[0], texts[name], colour, ha="right")
    axes.set(xlim=(-0.75, 7.1), xticks=range(1, 8), xlabel="weight matrix, first to last")
    axes.set(ylabel="gradient, root mean square")
    axes.spines.bottom.set_bounds(1, 7)
    axes.set_title("In a deep sigmoid network almost nothing arrives at the front")
    return figure


def dying_relu(page: Variables) -> Any:
    """How many hidden units are dead after one epoch, by learning rate."""
    figure, (axes,) = panels(6.4, 3.4)
    rates, dead = page["rates"], page["dead"]
    axes.plot(rates, dead["relu"], color=ORANGE, marker="o", clip_on=False)
    axes.plot(rates, dead["leaky_relu"], color=BLUE, marker="o", clip_on=False)
    say(axes, 2.15, dead["relu"][-3] - 3.5, "ReLU", ORANGE, ha="left", va="top")
    say(axes, 2.15, 1.6, "leaky ReLU: none", BLUE, ha="left")
    axes.set(xlim=(0, 4), ylim=(0, 32), yticks=[0, 8, 16, 24, 32], xlabel="learning rate")
    axes.set(ylabel="dead units of 32")
    axes.set_title("Steps that are too long kill ReLUs for good")
    return figure


# ------------------------------------------------------------------------------------ files


class Picture(NamedTuple):
    """The page whose variables a picture shows, and what draws it."""

    page: str
    draw: Callable[[Variables], Any]


PICTURES = {
    "linear-maps": Picture("01-linear-maps", linear_maps),
    "perceptron": Picture("02-perceptron", perceptron),
    "chain-rule": Picture("03-chain-rule", chain_rule),
    "network": Picture("04-network", network),
    "loss": Picture("05-loss", loss),
    "descent": Picture("06-descent", descent),
    "softmax": Picture("07-softmax-and-sigmoid", softmax),
    "likelihood": Picture("08-likelihood", likelihood),
    "zig-zag": Picture("09-zig-zag", zig_zag),
    "stochastic-paths": Picture("10-stochastic", stochastic_paths),
    "stochastic": Picture("10-stochastic", stochastic),
    "saturation": Picture("11-saturation", saturation),
    "saturated-unit": Picture("11-saturation", saturated_unit),
    "vanishing": Picture("11-saturation", vanishing),
    "dying-relu": Picture("11-saturation", dying_relu),
}


def svg(name: str) -> str:
    """A picture as text, from its page's variables."""
    page, draw = PICTURES[name]
    variables = run_page(page)
    with importlib.import_module("matplotlib").rc_context(STYLE):
        drawn = draw(variables)
        return drawn if isinstance(drawn, str) else _saved(drawn)


def _saved(figure: Any) -> str:
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator"))
    figure.savefig(file, format="svg", metadata=nothing)
    lines = (line.rstrip() for line in COORDINATES.sub(_shortened, file.getvalue()).splitlines())
    return "\n".join(lines) + "\n"


def _shortened(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point, which nobody can see."""
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}", attribute[0])


def main() -> None:
    """Draw all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the lecture pages.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all unless given")
    parser.add_argument("--out", type=Path, default=HERE / "figures", metavar="FOLDER")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or PICTURES:
        (given.out / f"{name}.svg").write_text(svg(name), encoding="utf-8")


if __name__ == "__main__":
    main()
