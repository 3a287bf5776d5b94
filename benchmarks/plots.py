"""The figures as pictures, PNG and SVG. Needs the extra ``bench`` (matplotlib).

An SVG keeps its letters as text and is read on a dark page as well: it brings darker colours for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.commands import COLD, THROUGH, WARM
from benchmarks.crowd import CROWD
from benchmarks.floor import FULL_FLOOR, KEPT, KEPT_FLOOR
from benchmarks.laboratory import HARDWARE, on_hardware
from benchmarks.operations import OPERATIONS
from benchmarks.report import Run, unfit
from benchmarks.scale import FINDING, SCALE
from benchmarks.waits import WAITS
from hem_provider.measuring.figures import Figure, milliseconds
from hem_provider.measuring.measure import FLOOR

__all__ = ["COLOURS", "DARK", "PICTURES", "draw", "grid", "plotting"]

_INK, _MUTED, _GRID, _PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
_FLOOR_COLOUR = "#9aa5b1"
#: Readable on white and apart for the colour-blind (after Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6bb1", "#4d4d4d")
#: A colour on white → the same on a dark page.
DARK: Mapping[str, str] = {
    _INK: "#e6edf3",
    _MUTED: "#9fb0c0",
    _GRID: "#2f3742",
    _PAPER: "#0d1117",
    COLOURS[0]: "#4aa8e0",
    COLOURS[6]: "#b39ddb",
    COLOURS[7]: "#b8b8b8",
}
_AT_ONCE = "emulated device that answers at once"
_AS_HARDWARE = (
    f"emulated device with the delays of hardware: {HARDWARE['call']:g} s a call, "
    f"{HARDWARE['call'] + HARDWARE['login']:g} s a login"
)


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
            "svg.fonttype": "none",
            "svg.hashsalt": "hem-provider",  # the same figures give the same file
        }
    )
    return plt


def draw(run: Run, folder: Path) -> list[Path]:
    """Every picture for which there are figures; the files that were written."""
    plt = plotting()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture in PICTURES.items():
        drawing = picture(plt, run)
        if drawing is None:
            continue
        for kind in ("png", "svg"):
            path = folder / f"{name}.{kind}"
            drawing.savefig(path, dpi=130, metadata={"Date": None} if kind == "svg" else None)
            written.append(path)
        _darken(folder / f"{name}.svg")
        plt.close(drawing)
    return written


def _darken(path: Path) -> None:
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>\n</svg>"
    text = path.read_text("utf-8")
    path.write_text(style.join(text.rsplit("</svg>", 1)), encoding="utf-8")


def _titled(axes: Any, title: str, *lines: str) -> None:
    """A title, and in smaller letters what was measured on what."""
    axes.set_title(title, loc="left", fontweight="bold", pad=12 + 12 * len(lines))
    said = axes.annotate(
        "\n".join(lines), (0, 1), xytext=(0, 6), xycoords="axes fraction", textcoords="offset points",
        va="bottom", fontsize=8.5, color=_MUTED,
    )  # fmt: skip
    said.set_in_layout(False)  # it may reach over what stands beside


def _taken(run: Run) -> str:
    provisional = ", provisional" if unfit(run.load[0], run.rounds) else ""
    return f"{run.rounds} rounds, {run.when}{provisional}"


def _waits(plt: Any, run: Run) -> Any:
    """What a person waits for: a row for each job, a dot for each way."""
    ways = {COLD: (COLOURS[4], "o"), WARM: (COLOURS[1], "o"), THROUGH: (COLOURS[0], "o")}
    rows = [each for each in run.figures if each.group == WAITS and each.layer != FLOOR]
    jobs = list(dict.fromkeys(each.operation for each in rows))[::-1]
    if not jobs:
        return None
    drawing, axes = plt.subplots(figsize=(8.6, 1.7 + 0.36 * len(jobs)), layout="constrained")
    named = set()
    for each in rows:
        kind = each.layer if each.layer in ways else "without a HEM: key in a file, SoftHSM2, age, gpg"
        if each.layer.startswith(("plain requests", "client ")):
            kind = "another client, token at hand"
        colour, mark = ways.get(kind, (COLOURS[7], "D" if kind.startswith("without") else "s"))
        place = jobs.index(each.operation)
        axes.plot([each.median, each.p95], [place] * 2, color=colour, alpha=0.3, lw=7, solid_capstyle="butt")
        axes.plot(
            each.median, place, mark, color=colour, ms=6 if mark == "o" else 5,
            label=None if kind in named else kind,
        )  # fmt: skip
        named.add(kind)
    axes.set_yticks(range(len(jobs)), jobs)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    axes.set_xlabel("seconds, logarithmic; dot: median, light band: up to the 95th percentile")
    _titled(axes, "What a person waits for", _AS_HARDWARE, _taken(run))
    drawing.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=3)
    grid(axes, "both")
    return drawing


#: Kind of connection → its floor and what it is called.
_KINDS = {
    FULL_FLOOR: "full handshake for each",
    FLOOR: "connection for each, session resumed",
    KEPT_FLOOR: "connection kept",
}
_NAMES = dict.fromkeys(_KINDS, "floor, in C")


def _layers(plt: Any, run: Run) -> Any:
    """One signature, by layer, each kind of connection with its own floor."""
    found = [
        each
        for each in run.figures
        if (each.group, each.operation) == (OPERATIONS, "sign SECP256R1") and each.ratio is not None
    ]
    if not found:
        return None
    rows: list[Figure | str] = []
    for floor, kind in _KINDS.items():
        of_kind = [each for each in found if each.floor == floor or each.layer == floor]
        of_kind.sort(key=lambda each: each.layer != each.floor)  # the floor first
        rows += [kind, *of_kind] if of_kind else []
    rows.reverse()
    drawing, axes = plt.subplots(figsize=(8.6, 1.4 + 0.29 * len(rows)), layout="constrained")
    medians = {each.layer: each.median * 1000 for each in found}
    for place, each in enumerate(rows):
        if isinstance(each, str):
            axes.annotate(
                each, (0, place), xytext=(3, -1), textcoords="offset points", va="center",
                fontweight="bold", fontsize=9,
            )  # fmt: skip
            continue
        is_floor = each.layer in _KINDS
        colour = _FLOOR_COLOUR if is_floor else COLOURS[0]
        axes.barh(place, each.p95 * 1000, color=colour, alpha=0.25, height=0.62)
        axes.barh(place, each.median * 1000, color=colour, height=0.62)
        if each.floor in medians and not is_floor:
            axes.plot([medians[each.floor]] * 2, [place - 0.42, place + 0.42], color=_INK, lw=1.4)
        times = "floor" if is_floor or each.ratio is None else f"× {each.ratio:.2f}"
        axes.annotate(
            f"{milliseconds(each.median)} ms  {times}", (1.02, place), xycoords=("axes fraction", "data"),
            va="center", fontsize=9,
        )  # fmt: skip
    axes.set_yticks(
        range(len(rows)),
        ["" if isinstance(each, str) else _NAMES.get(each.layer, each.layer.removesuffix(KEPT))
         for each in rows],
    )  # fmt: skip
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("milliseconds; bar: median, light band: up to the 95th percentile, line: the floor")
    _titled(axes, "One P-256 signature, each layer above the floor of its kind", f"{_AT_ONCE}, {_taken(run)}")
    grid(axes, "x")
    return drawing


def _growth(plt: Any, run: Run) -> Any:
    """Calls, and seconds on hardware, against the number of keys."""
    lines: dict[str, list[tuple[int, Figure]]] = {}
    for each in run.figures:
        number = re.search(r", (\d+) keys$", each.operation)
        if (
            each.group == SCALE
            and number
            and not each.operation.startswith((f"{FINDING} id", f"{FINDING} URI"))
        ):
            name = f"{each.operation[: number.start()]}: {each.layer}"
            lines.setdefault(name, []).append((int(number[1]), each))
    if not lines:
        return None
    drawing, (left, right) = plt.subplots(1, 2, figsize=(8.6, 4.8), layout="constrained")
    for place, (name, points) in enumerate(lines.items()):
        points.sort(key=lambda point: point[0])
        sizes = [size for size, _ in points]
        again, place_of = divmod(place, len(COLOURS))  # more lines than colours: the others are broken
        look = {"color": COLOURS[place_of], "lw": 1.8, "ms": 4.5, "marker": "osD^vP*X"[place_of]}
        look |= {"ls": ":", "marker": "h<>"[place_of % 3]} if again else {}
        left.plot(sizes, [each.calls for _, each in points], **look)
        right.plot(sizes, [on_hardware(each) for _, each in points], label=name, **look)
    left.set_yscale("symlog", linthresh=1)
    right.set_yscale("symlog", linthresh=0.01)
    left.set_ylim(bottom=-0.3)
    right.set_ylim(bottom=-0.003)
    for axes, what in ((left, "calls to the device"), (right, "seconds on hardware")):
        axes.set_xscale("log")
        axes.set_xlabel("keys on the device")
        _plain_numbers(axes.xaxis)
        _plain_numbers(axes.yaxis)
        axes.set_ylabel(what)
        grid(axes, "both")
    _titled(
        left, "Growth with the number of keys",
        "emulated device; seconds: ours as measured, and what hardware adds:",
        f"{HARDWARE['call']:g} s a call, {HARDWARE['call'] + HARDWARE['login']:g} s a login; {_taken(run)}",
    )  # fmt: skip
    drawing.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=2)
    return drawing


def _queueing(plt: Any, run: Run) -> Any:
    """What one of many callers waits for: median and 99th percentile by their number."""
    lines: dict[str, list[tuple[int, Figure]]] = {}
    for each in run.figures:
        number = re.match(r"(\d+) (thread|process)", each.layer)
        if number and (each.group == CROWD or each.operation.endswith(" by many")):
            kind = "threads" if number[2] == "thread" else "processes"
            name = kind if each.group == CROWD else f"{kind}, through the agent"
            lines.setdefault(name, []).append((int(number[1]), each))
    if not lines:
        return None
    from matplotlib import ticker

    drawing, axes = plt.subplots(figsize=(8.6, 4.6), layout="constrained")
    for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
        points.sort(key=lambda point: point[0])
        callers = [number for number, _ in points]
        medians = [each.median * 1000 for _, each in points]
        beyond = [each.p99 * 1000 for _, each in points]
        axes.fill_between(callers, medians, beyond, color=colour, alpha=0.15, lw=0)
        axes.plot(callers, medians, "o-", color=colour, lw=2, ms=5, label=f"{name}: median")
        axes.plot(callers, beyond, "v--", color=colour, lw=1.2, ms=5, label=f"{name}: 99th percentile")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({number for points in lines.values() for number, _ in points})
    axes.set_xticks(ticks, map(str, ticks))
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    _plain_numbers(axes.yaxis)
    axes.set_xlabel("callers at once")
    axes.set_ylabel("milliseconds for one signature")
    _titled(axes, "What each of many callers waits for", f"{_AT_ONCE}, one request at a time; {_taken(run)}")
    drawing.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=3)
    grid(axes, "both")
    return drawing


def _plain_numbers(axis: Any) -> None:
    """Of a logarithmic axis: no powers of ten, and nothing between them."""
    from matplotlib import ticker

    axis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    axis.set_minor_formatter(ticker.NullFormatter())


def grid(axes: Any, axis: str) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis=axis, color=_GRID)
    axes.tick_params(length=0, which="both")


#: File name → what draws it; ``None`` where there was nothing to draw.
PICTURES: dict[str, Callable[[Any, Run], Any]] = {
    "waits": _waits,
    "layers": _layers,
    "growth": _growth,
    "queueing": _queueing,
}
