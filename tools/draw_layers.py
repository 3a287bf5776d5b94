"""The picture of the layers in docs/development/architecture.md, drawn from their contract.

``pyproject.toml`` lists the layers that the tests prove; each room's words are the first sentence of its
own docstring. ``python tools/draw_layers.py`` writes the picture; a test says when it is stale.
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path
from textwrap import wrap

__all__ = ["PICTURE", "drawn", "layers"]

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "development" / "layers.svg"
#: Container of a contract → where its source is, and the title above it.
HOUSES = {
    "hem_pkcs11": (ROOT / "shim" / "hem_pkcs11", "hem_pkcs11: the PKCS#11 module, on the device layer"),
    "hem_provider": (ROOT / "hem_provider", "hem_provider: each layer imports only from those below it"),
}
_WIDTH, _MARGIN, _GAP, _LINE = 1080, 16, 8, 17
#: How many modules of a layer stand in one row at most.
_ABREAST = 5
_FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


def layers(container: str) -> list[list[str]]:
    """The layers of a package from the top down, each with the modules that stand side by side."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract.get("containers") == [container]:
            return [
                [name.strip().strip("()") for name in layer.replace("|", ":").split(":")]
                for layer in contract["layers"]
            ]
    raise LookupError(f"no contract of layers for {container}")


def sentence(folder: Path, name: str) -> str:
    """The first sentence of a module's docstring."""
    path = folder / name / "__init__.py"
    path = path if path.is_file() else folder / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = re.sub(r" \([^)]*\)", "", " ".join(text.split("\n\n")[0].split()))
    return first.split(". ")[0].rstrip(".").replace("``", "")


def drawn() -> str:
    """The picture, as SVG."""
    parts: list[str] = []
    top = float(_MARGIN)
    for container, (folder, title) in HOUSES.items():
        parts.append(
            f"<text x='{_MARGIN}' y='{top + 16}' {_FONT} font-size='15' font-weight='bold'>{title}</text>"
        )
        top += 28
        for layer in layers(container):
            top += _layer(parts, folder, layer, top) + _GAP
        top += _MARGIN
    size = f"width='{_WIDTH}' height='{top:.0f}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} viewBox='0 0 {_WIDTH} {top:.0f}'>"
    return "\n".join([head, f"<rect {size} fill='#ffffff'/>", *parts, "</svg>", ""])


def _layer(parts: list[str], folder: Path, layer: list[str], top: float) -> float:
    """Draw one layer, in several rows within a frame where one would be too narrow to read; its height."""
    if len(layer) <= _ABREAST:
        return _row(parts, folder, layer, top)
    rows = -(-len(layer) // _ABREAST)
    size = -(-len(layer) // rows)
    frame, bottom = len(parts), top
    for start in range(0, len(layer), size):
        bottom += _row(parts, folder, layer[start : start + size], bottom) + _GAP
    left, height = _MARGIN - _GAP / 2, bottom - top
    parts.insert(
        frame,
        f"<rect x='{left:.0f}' y='{top - _GAP / 2:.0f}' width='{_WIDTH - 2 * left:.0f}' "
        f"height='{height:.0f}' rx='7' fill='none' stroke='#5b7083' stroke-dasharray='4 3'/>",
    )
    return height - _GAP


def _row(parts: list[str], folder: Path, layer: list[str], top: float) -> float:
    """Draw modules side by side; their height."""
    width = (_WIDTH - 2 * _MARGIN - _GAP * (len(layer) - 1)) / len(layer)
    lines = [wrap(sentence(folder, name), int((width - 20) / 7)) for name in layer]
    height = 30 + _LINE * max(map(len, lines))
    for place, (name, words) in enumerate(zip(layer, lines, strict=True)):
        left = _MARGIN + place * (width + _GAP)
        parts.append(
            f"<rect x='{left:.0f}' y='{top:.0f}' width='{width:.0f}' height='{height}' rx='5' "
            "fill='#eef3f8' stroke='#5b7083'/>"
        )
        parts.append(
            f"<text x='{left + 10:.0f}' y='{top + 20:.0f}' {_FONT} font-size='14' font-weight='bold' "
            f"fill='#10324d'>{escape(name)}</text>"
        )
        parts += [
            f"<text x='{left + 10:.0f}' y='{top + 20 + _LINE * number:.0f}' {_FONT} font-size='12' "
            f"fill='#333333'>{escape(line)}</text>"
            for number, line in enumerate(words, 1)
        ]
    return height


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
