"""What is read and written piece by piece: files of any size, standard input and output.

A file is written whole or not at all, also when the command is interrupted or told to end.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from hem_provider.cli.output import check_target, is_taken
from hem_provider.cli.progress import progress
from hem_provider.errors import HemConfigError
from hem_provider.files import replacing, sweep
from hem_provider.files.input import refuse_fifo
from hem_provider.records import frozen

__all__ = ["STANDARD", "Output", "Source", "check_output", "input_from", "output_to"]

#: What means standard input or output in the place of a file.
STANDARD = "-"
_BUFFER = 1024 * 1024
#: Pieces that are written at once: 1 MiB.
_AT_ONCE = 16
#: Seconds that need no progress to be shown.
_QUICK = 1.0


@frozen
class Source:
    """``name``: for messages. ``size``: bytes, ``None`` where that is not known before the end."""

    name: str
    stream: BinaryIO
    size: int | None


@contextmanager
def input_from(path: str | None) -> Iterator[Source]:
    """The file at ``path``, or standard input for ``None`` and "-". ``OSError``."""
    if path in (None, STANDARD):
        if sys.stdin.isatty():
            print("reading what you type, up to Ctrl-D on a line of its own", file=sys.stderr, flush=True)
        yield Source("standard input", sys.stdin.buffer, _size(sys.stdin))
        return
    assert path is not None  # noqa: S101
    refuse_fifo(Path(path))
    with Path(path).open("rb", buffering=_BUFFER) as file:
        yield Source(path, file, _size(file))


def _size(file: object) -> int | None:
    """Bytes that are left of a regular file."""
    try:
        number: int = file.fileno()  # type: ignore[attr-defined]
        seen = os.fstat(number)
        return max(0, seen.st_size - os.lseek(number, 0, os.SEEK_CUR)) if stat.S_ISREG(seen.st_mode) else None
    except (OSError, ValueError):  # closed, or none of the system's
        return None


class Output:
    """Where pieces go. ``name``: the file's, ``None`` for standard output. ``written``: bytes so far."""

    def __init__(self, name: str | None, write: Callable[[list[bytes]], int]) -> None:
        """``write`` takes several at once, and tells how many bytes it wrote."""
        self.name = name
        self.written = 0
        self._write = write

    def take(self, pieces: Iterable[bytes], what: str, size: int | None) -> None:
        """Write all ``pieces``, of about 64 KiB, telling how far it is of ``size`` bytes. ``OSError``.

        What came before an exception of ``pieces`` is written.
        """
        batches = _batches(pieces)
        if size is not None:
            batches = progress(batches, max(1, -(-size // _BUFFER)), f"{what}, MiB", first=_QUICK)
        for batch in batches:
            left = batch
            while left:
                done = self._write(left)
                self.written += done
                left = _left(left, done)


def _batches(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """``pieces``, so many at once that writing them takes few calls of the system."""
    batch: list[bytes] = []
    try:
        for piece in pieces:
            if piece:
                batch.append(piece)
            if len(batch) == _AT_ONCE:
                yield batch
                batch = []
    except Exception:
        yield batch
        raise
    yield batch


def _left(batch: list[bytes], done: int) -> list[bytes]:
    """What was not written: a disk that is full tells at the next try."""
    return [] if done == sum(map(len, batch)) else [b"".join(batch)[done:]]


def check_output(output: str | None, *, force: bool, what: str, binary: bool) -> None:
    """Refuse, before anything is done, what ``output_to`` could not do: see ``check_target``."""
    path = _path(output)
    if path is not None and path.exists() and not path.is_file():
        raise HemConfigError(f"{path}: this is no file; what is no file is written by way of standard output")
    check_target(path, force=force, binary=binary and output != STANDARD, what=what)


@contextmanager
def output_to(output: str | None, *, force: bool, mode: int) -> Iterator[Output]:
    """The file ``output``, which is replaced when the block is done and stays as it was after an exception;
    or standard output for ``None`` and "-". ``HemConfigError`` for a file that has come there meanwhile,
    without ``force``; ``OSError`` names the file."""
    path = _path(output)
    if path is None:
        sys.stdout.flush()
        stream = sys.stdout.buffer
        yield Output(None, lambda pieces: sum(stream.write(each) for each in pieces))
        stream.flush()
        return
    within = False

    def write(pieces: list[bytes]) -> int:
        try:
            return os.writev(handle, pieces)
        except OSError as error:
            error.filename = str(path)
            raise

    with _ending_is_an_exception():
        sweep(path.parent, path.name)
        try:
            with replacing(path, mode=mode, replace=force) as handle:
                within = True
                yield Output(str(path), write)
                within = False
        except FileExistsError:
            raise is_taken(path) from None
        except OSError as error:
            if not within:  # it tells of the temporary file
                error.filename = str(path)
            raise


def _path(output: str | None) -> Path | None:
    return None if output in (None, STANDARD) else Path(str(output))


@contextmanager
def _ending_is_an_exception() -> Iterator[None]:
    """A signal that ends the command lets it remove what it has half written."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    former = {}
    try:
        for each in (signal.SIGTERM, signal.SIGHUP):
            former[each] = signal.signal(each, end)
    except ValueError:  # in a thread
        pass
    try:
        yield
    finally:
        for each, action in former.items():
            signal.signal(each, action)
