"""What is read for a signature: a file or standard input, and its digest, in constant memory."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hem_provider.adapters.cms import BEGINNING
from hem_provider.cli.progress import progress
from hem_provider.errors import HemConfigError
from hem_provider.files import named_path, read_file
from hem_provider.files.input import BLOCK, Input, refuse_fifo
from hem_provider.records import frozen

__all__ = ["STANDARD_INPUT", "Taken", "open_input", "read_bounded", "read_certificates", "take", "take_whole"]

STANDARD_INPUT = "-"


@frozen
class Taken:
    """``digest``: by the digest that was asked for. ``content``: of what was taken whole. ``beginning``: the
    first ``cms.BEGINNING`` bytes."""

    size: int
    digest: bytes = b""
    content: bytes = b""
    beginning: bytes = b""


def open_input(name: str) -> Input:
    """The file called ``name``, or standard input for ``-``. ``HemConfigError`` for a FIFO; ``OSError``."""
    if name == STANDARD_INPUT:
        return Input(None, sys.stdin.buffer)
    path = named_path(name)
    refuse_fifo(path)
    return Input(path)


def take(source: Input, digest_name: str) -> Taken:
    """Read all of it for its digest, and show how far it is. Raises ``OSError``."""
    digest = hashlib.new(digest_name)
    size, beginning = 0, b""
    for block in _shown(source):
        digest.update(block)
        beginning += bytes(block[: BEGINNING - len(beginning)])
        size += len(block)
    return Taken(size, digest.digest(), beginning=beginning)


def take_whole(source: Input, most: int, digest_name: str | None = None) -> Taken:
    """All of it, if it has ``most`` bytes at most: else more than these. Raises ``OSError``."""
    content = source.content(most)
    digest = hashlib.new(digest_name, content).digest() if digest_name is not None else b""
    return Taken(max(len(content), source.size or 0), digest, content, content[:BEGINNING])


def read_bounded(path: Path, what: str, most: int = 1 << 20) -> bytes:
    """A small file: a signature, keys, certificates. ``HemConfigError`` for one of more than ``most`` bytes;
    raises ``OSError``."""
    data = read_file(path, what, limit=most, trusted=False)
    if len(data) > most:
        raise HemConfigError(f"{path}: {what}: more than {most} bytes")
    return data


def read_certificates(path: Path) -> tuple[Any, ...]:
    """All in a file, in PEM or DER. ``HemConfigError`` where there is none; raises ``OSError``."""
    from hem_provider.adapters.cms.certificates import load_certificates

    try:
        return load_certificates(read_bounded(path, "certificate"))
    except ValueError:
        raise HemConfigError(f"{path}: no certificate in PEM or DER") from None


def _shown(source: Input) -> Iterator[memoryview]:
    if source.size is None:
        return source.blocks()
    return progress(source.blocks(), -(-source.size // BLOCK), f"reading {source.name}, MiB", first=1.0)
