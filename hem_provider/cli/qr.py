"""A QR code for a phone's camera: on the terminal if it fits there, or as an image in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hem_provider.cli.output import write
from hem_provider.cli.terminal import coloured, columns

if TYPE_CHECKING:
    from segno import QRCode

__all__ = ["made", "save", "shown"]

#: Light modules around the code; the standard wants 4, which phones do not need, and terminals are narrow.
_BORDER = 2
#: Half a block for two modules on top of each other, by whether they are dark.
_HALVES = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
#: White on black, whatever the terminal's own colours are.
_COLOURS, _END = "\x1b[97;40m", "\x1b[0m"
_LIGHT, _DARK = "\x1b[107m  \x1b[0m", "\x1b[40m  \x1b[0m"
#: Pixels of a module, and whom the file is for: who has the code first, pairs.
_SCALE, _MODE = 8, 0o600


def made(text: str) -> QRCode:
    """The code of a text."""
    import segno  # some 30 ms

    return segno.make(text, error="l", micro=False)


def save(code: QRCode, path: Path, *, force: bool) -> None:
    """Write it as an image of the kind that the name says, PNG or SVG, for the owner alone; ``force``
    replaces a file."""
    image = io.BytesIO()
    code.save(image, kind="svg" if path.suffix.lower() == ".svg" else "png", scale=_SCALE)
    write(image.getvalue(), path, force=force, mode=_MODE)


def shown(code: QRCode, stream: TextIO) -> list[str] | None:
    """Its lines for ``stream``; ``None`` where they are wider than the terminal, or cannot be seen there.

    With half blocks it takes one column a module; without them, two and colours.
    """
    modules = [[bool(each) for each in row] for row in code.matrix_iter(border=_BORDER)]
    wide = columns(stream) if stream.isatty() else 10 * len(modules)
    paint = coloured(stream)
    if _has_blocks(stream) and len(modules) <= wide:
        rows = [*modules, [False] * len(modules)][: len(modules) + len(modules) % 2]
        pairs = zip(rows[::2], rows[1::2], strict=True)
        lines = ["".join(_HALVES[pair] for pair in zip(*both, strict=True)) for both in pairs]
        return [f"{_COLOURS}{line}{_END}" for line in lines] if paint else lines
    if paint and 2 * len(modules) <= wide:
        return ["".join(_DARK if each else _LIGHT for each in row) for row in modules]
    return None


def _has_blocks(stream: TextIO) -> bool:
    try:
        "█▀▄".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
