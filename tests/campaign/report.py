"""``docs/reliability.md`` and its pictures, from the outcomes of the parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from campaign.outcome import Figure, Outcome, Series, Table, read_outcome
from campaign.parts import PARTS

__all__ = ["FOLDER", "PAGE", "draw", "outcomes", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
#: Outcomes as JSON, and the pictures.
FOLDER = PAGE.with_suffix("")

_BEGINNING = """\
# What the promises are worth

Nothing is lost, nothing is leaked, nobody is let in, no answer is wrong, nothing hangs: each promise is tried
as hard as its part of the campaign can, and what came is counted here. `make campaign` does all of it again
(`PARTS='faults kills'`: these alone; `SHARE=0.1`: a tenth of the effort) and rewrites this page; short forms
of all parts are in `make test`. Each defect that a part found is mended and has a test of its own, named in
[the field's list](development/field.md). What is protected against whom stands in [Security](security.md).
"""


def outcomes(folder: Path = FOLDER) -> list[Outcome]:
    """Those that are there, in the order of the parts."""
    return [read_outcome(path) for path in (folder / f"{name}.json" for name in PARTS) if path.exists()]


def page(found: Sequence[Outcome]) -> str:
    """The whole page."""
    return "\n".join([_BEGINNING, _overview(found) + _absent(found), *(_section(each) for each in found)])


def _absent(found: Sequence[Outcome]) -> str:
    names = [name for name in PARTS if name not in {each.part for each in found}]
    return f"\nNo figures yet of: {', '.join(names)}.\n" if names else ""


def _overview(found: Sequence[Outcome]) -> str:
    rows = [
        (f"[{each.title}](#{_anchor(each.title)})", str(sum(one.kept is True for one in each.figures)),
         "none" if not each.problems() else f"**{len(each.problems())}**", _duration(each.seconds),
         each.when, each.surroundings.get("hem-provider", ""))
        for each in found
    ]  # fmt: skip
    return _markdown(Table("", ("part", "promises kept", "problems", "took", "when", "version"), rows))


def _section(outcome: Outcome) -> str:
    effort = "" if outcome.share == 1 else f" Tried with {outcome.share:g} of the whole effort."
    parts = [f"## {outcome.title}\n\n{outcome.what}{effort}\n"]
    if outcome.figures:
        parts.append(
            _markdown(Table("", ("figure", "value", "promise", ""), [_row(each) for each in outcome.figures]))
        )
    for each in outcome.series:
        parts.append(f"![{each.title}](reliability/{each.name}.svg)\n")
    parts += [f"### {each.title}\n\n{_markdown(each)}" for each in outcome.tables]
    if outcome.failures:
        parts.append("What went wrong:\n\n" + "".join(f"- {each}\n" for each in outcome.failures))
    return "\n".join(parts)


def _row(figure: Figure) -> tuple[str, str, str, str]:
    mark = {True: "✓", False: "**✗**", None: ""}[figure.kept]
    return figure.name, f"{_number(figure.value)} {figure.unit}".strip(), figure.promise, mark


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:.3g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


def _anchor(title: str) -> str:
    return "".join(each for each in title.lower().replace(" ", "-") if each.isalnum() or each == "-")


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def draw(found: Sequence[Outcome], folder: Path = FOLDER) -> list[Path]:
    """Every series as an SVG of less than 60 KiB; the files that were written."""
    from benchmarks.plots import plotting

    folder.mkdir(parents=True, exist_ok=True)
    return [_picture(plotting(), each, folder / f"{each.name}.svg") for one in found for each in one.series]


def _picture(plt: object, series: Series, path: Path) -> Path:
    from benchmarks.plots import COLOURS, grid

    drawing, axes = plt.subplots(figsize=(8.4, 4.2), layout="constrained")  # type: ignore[attr-defined]
    looks = ((colour, style) for style in ("-", "--", ":", "-.") for colour in COLOURS)
    for (name, points), (colour, style) in zip(series.lines.items(), looks, strict=False):
        axes.plot([x for x, _ in points], [y for _, y in points], style, color=colour, lw=2, label=name)
    if series.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(series.x)
    axes.set_ylabel(series.y)
    axes.set_title(series.title, loc="left", fontweight="bold")
    if len(series.lines) > 1:
        drawing.legend(loc="outside right upper", frameon=False)
    grid(axes, "both")
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)  # type: ignore[attr-defined]
    return path
