"""What may be sent to the stream that a person reads: colours, moving the cursor, any character.

Asked here by everything that prints. https://no-color.org tells of ``NO_COLOR``. Streams that are closed
from the start are dealt with here, too.
"""

from __future__ import annotations

import errno
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

__all__ = ["coloured", "columns", "let_go", "moving", "prepare"]

#: Where nobody says how wide lines may be.
_COLUMNS = 80
_OUTPUT = "standard output"


def coloured(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal that has them, unless ``NO_COLOR`` is set."""
    return moving(stream) and not os.environ.get("NO_COLOR")


def moving(stream: TextIO) -> bool:
    """Whether a line can be written again in place."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """How many characters a line may have: as ``COLUMNS`` says, else the terminal, else 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and 0 < int(told) < 10_000:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    except (OSError, ValueError, AttributeError):  # no terminal, closed, or not a file
        return _COLUMNS


class _Closed(io.RawIOBase):
    """Input or output that is closed from the start: using it is an error with its name, as with every
    program that does not lose what it was to print."""

    def __init__(self, called: str) -> None:
        self._called = called

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def _refuse(self, *_: Any) -> NoReturn:
        raise OSError(errno.EBADF, "it is closed", self._called)

    read = readall = readinto = write = _refuse


class _Named(io.FileIO):
    """Standard output, whose errors name it as a file's do."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _OUTPUT
            raise


#: Whoever puts another in the place of ``sys.stdout`` writes on to this one's buffer, which its end closes.
_named_ones: list[TextIO] = []


def _named(stream: TextIO) -> TextIO:
    """``stream`` with its errors named; as it is where it is none of the interpreter's own."""
    if type(stream) is not io.TextIOWrapper:
        return stream
    if type(getattr(stream.buffer, "raw", stream.buffer)) is not io.FileIO:
        return stream
    stream.flush()
    raw, unbuffered = _Named(stream.fileno(), "w", closefd=False), stream.write_through
    named = io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding, line_buffering=stream.line_buffering, write_through=unbuffered,
    )  # fmt: skip
    _named_ones.append(named)
    return named


def prepare() -> None:
    """Let no character that a terminal does not have end a command: it is written as its escape.

    Of streams that are closed from the start, standard error takes everything and shows nothing; using
    the others is an ``OSError`` that names them.
    """
    _hold_numbers()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(_Closed("standard input"), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(_Closed(_OUTPUT), encoding="utf-8", write_through=True)
    sys.stdout = _named(sys.stdout)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _hold_numbers() -> None:
    """Let no file or connection get the number of a stream that is closed: what a program that we run, or
    a library in C, reads or prints would come from there, or damage it."""
    for number, access in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):  # printing fails, as it should
        try:
            os.fstat(number)
        except OSError:
            # Those below are taken, so this is the lowest that is free.
            os.set_inheritable(os.open(os.devnull, access), True)


def let_go(stream: TextIO) -> None:
    """A stream takes nothing more (the reader left, the disk is full): let the interpreter's last
    flush go nowhere, or it would complain a second time."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (
        OSError,
        ValueError,
        AttributeError,
    ):
        pass  # contextlib.suppress takes longer to load than all else here
