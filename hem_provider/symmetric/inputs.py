"""Checks of arguments that every mode shares, with the exceptions ``cryptography`` raises."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["MAX_ONE_SHOT", "Buffer", "as_bytes", "check_aead_sizes", "check_room", "size_of", "write_into"]

#: What ``cryptography`` takes where it says bytes-like.
Buffer: TypeAlias = bytes | bytearray | memoryview

#: Largest data or additional data of a one-shot AEAD call, in bytes, as in ``cryptography``.
MAX_ONE_SHOT = 2**31 - 1


def _view(name: str, value: object) -> memoryview:
    try:
        view = memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: {type(value).__name__}; accepted: bytes-like") from None
    return view


def as_bytes(name: str, value: object) -> bytes:
    """A copy that no caller can change while device calls run. ``TypeError`` unless bytes-like."""
    return value if type(value) is bytes else _view(name, value).tobytes()


def size_of(name: str, value: object) -> int:
    """Bytes of a bytes-like object, without copying it. ``TypeError`` for anything else."""
    return _view(name, value).nbytes


def check_aead_sizes(**buffers: object) -> None:
    """``TypeError`` unless bytes-like, ``OverflowError`` over 2³¹ - 1 bytes; nothing is copied."""
    for name, value in buffers.items():
        size = size_of(name, value)
        if size > MAX_ONE_SHOT:
            raise OverflowError(f"{name}: {size} bytes; accepted: at most {MAX_ONE_SHOT}")


def write_into(buffer: object, data: bytes) -> int:
    """Write ``data`` at the start of a writable buffer known to be large enough; its size."""
    with memoryview(buffer).cast("B") as view:  # type: ignore[arg-type]
        view[: len(data)] = data
    return len(data)


def check_room(buffer: object, needed: int) -> None:
    """``ValueError`` when a caller's buffer holds fewer than ``needed`` bytes; before any request."""
    with memoryview(buffer) as view:  # type: ignore[arg-type]
        size, readonly = view.nbytes, view.readonly
    if readonly:
        raise TypeError("buffer: read-only; accepted: a writable bytes-like object")
    if size < needed:
        raise ValueError(f"buffer must be at least {needed} bytes for this payload; it has {size}")
