"""The figures as pictures, PNG and SVG. Needs the extra ``bench`` (matplotlib)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hem_provider.measuring.figures import Figure
from hem_provider.measuring.measure import FLOOR

__all__ = ["COLOURS", "PICTURES", "draw", "grid", "plotting"]

_INK, _MUTED, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_FLOOR_COLOUR = "#9aa5b1"
#: Readable on white and apart for the colour-blind (after Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6bb1", "#4d4d4d")


def plotting() -> Any:
    """``matplotlib.pyplot`` in the manner of all our pictures, without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 10,
            "axes.edgecolor": _MUTED,
            "axes.labelcolor": _INK,
            "text.color": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "hem-provider",  # the same figures give the same file
        }
    )
    return plt


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Every picture for which there are figures; the files that were written."""
    plt = plotting()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture in PICTURES.items():
        drawing, axes = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
        if picture(axes, figures):
            for kind in ("png", "svg"):
                path = folder / f"{name}.{kind}"
                drawing.savefig(path, dpi=150, metadata={"Date": None} if kind == "svg" else None)
                written.append(path)
        plt.close(drawing)
    return written


def _layers(axes: Any, figures: Sequence[Figure]) -> bool:
    """Latency of one signature by layer: median, and p95 as a whisker."""
    rows = [each for each in figures if (each.group, each.operation) == ("operations", "sign SECP256R1")]
    if not rows:
        return False
    rows = rows[::-1]
    medians = [each.median * 1000 for each in rows]
    beyond = [(each.p95 - each.median) * 1000 for each in rows]
    colours = [_FLOOR_COLOUR if each.layer == FLOOR else COLOURS[0] for each in rows]
    axes.barh([each.layer for each in rows], medians, color=colours, height=0.62)
    axes.errorbar(
        medians, range(len(rows)), xerr=[[0] * len(rows), beyond], fmt="none", ecolor=_MUTED, capsize=3
    )
    for place, each in enumerate(rows):
        ratio = "" if each.ratio is None else f"   × {each.ratio:.2f}"
        axes.annotate(
            f"{each.median * 1000:.2f} ms{ratio}", (1.02, place), xycoords=("axes fraction", "data"),
            va="center", fontsize=9,
        )  # fmt: skip
    axes.set_xlabel("milliseconds; bar: median, whisker: 95th percentile")
    axes.set_title("One P-256 signature, by layer", loc="left", fontweight="bold")
    grid(axes, "x")
    return True


def _distribution(axes: Any, figures: Sequence[Figure]) -> bool:
    """Share of signatures that took at most so long."""
    rows = [
        each
        for each in figures
        if (each.group, each.operation) == ("operations", "sign SECP256R1")
        and each.layer in (FLOOR, "REST", "cryptography", "C_Sign", "C_Sign, connection kept")
        and each.samples
    ]
    for each, colour in zip(rows, (_FLOOR_COLOUR, *COLOURS), strict=False):
        ordered = sorted(each.samples)
        share = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
        axes.step(
            [value * 1000 for value in ordered], share, where="post", color=colour, lw=2, label=each.layer
        )
    if not rows:
        return False
    longest = max(sorted(each.samples)[int(0.98 * (len(each.samples) - 1))] for each in rows)
    axes.set_xlim(0, longest * 1100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% of signatures done within")
    axes.set_title("How one P-256 signature's time is spread", loc="left", fontweight="bold")
    axes.legend(frameon=False, loc="lower right")
    grid(axes, "both")
    return True


def _calls(axes: Any, figures: Sequence[Figure]) -> bool:
    """Device calls of each command, logins among them shaded; with an agent too."""
    rows = [each for each in figures if each.group == "commands"]
    rows += [each for each in figures if each.group == "agent" and each.layer == "through the agent"]
    rows = [each for each in rows if not each.operation.startswith("sign ")]
    if not rows:
        return False
    rows = rows[::-1]
    names = [f"{each.operation}, {each.layer}" for each in rows]
    others = [each.calls - 2 * each.logins for each in rows]
    axes.barh(names, others, color=COLOURS[0], height=0.62, label="other calls")
    axes.barh(
        names, [2 * each.logins for each in rows], left=others, color=COLOURS[1], height=0.62,
        label="logins, two calls each",
    )  # fmt: skip
    for place, each in enumerate(rows):
        axes.annotate(
            str(each.calls), (each.calls, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_xlabel("calls to the device")
    axes.set_title("What a command asks of the device", loc="left", fontweight="bold")
    axes.legend(frameon=False, loc="upper right")
    grid(axes, "x")
    return True


def _growth(axes: Any, figures: Sequence[Figure]) -> bool:
    """Time against the number of keys, both logarithmic."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for each in figures:
        number = re.search(r", (\d+) keys$", each.operation)
        if each.group == "scale" and number:
            name = f"{each.operation[: number.start()]}: {each.layer}"
            lines.setdefault(name, []).append((int(number[1]), each.median))
    for colour, (name, points) in zip(COLOURS, sorted(lines.items()), strict=False):
        points.sort()
        axes.plot(
            [count for count, _ in points], [seconds * 1000 for _, seconds in points],
            "o-", color=colour, lw=2, ms=5, label=name,
        )  # fmt: skip
    if not lines:
        return False
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("keys on the device")
    axes.set_ylabel("milliseconds")
    axes.set_title("Growth with the number of keys", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    grid(axes, "both")
    return True


def grid(axes: Any, axis: str) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis=axis, color=_GRID)
    axes.tick_params(length=0)


#: File name → the function that draws it, which says whether there was anything to draw.
PICTURES: dict[str, Callable[[Any, Sequence[Figure]], bool]] = {
    "latency-by-layer": _layers,
    "distribution": _distribution,
    "calls-by-command": _calls,
    "growth-with-keys": _growth,
}
