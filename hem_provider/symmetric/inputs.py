"""Checks of arguments that every mode shares, with the exceptions ``cryptography`` raises."""

from __future__ import annotations

from hem_provider.arguments import size_of

__all__ = ["MAX_ONE_SHOT", "check_aead_sizes", "check_room", "write_into"]

#: Largest data or additional data of a one-shot AEAD call, in bytes, as in ``cryptography``.
MAX_ONE_SHOT = 2**31 - 1


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
    """``ValueError`` when a caller's buffer holds fewer than ``needed`` bytes; before any request.
    ``TypeError`` for what cannot be written."""
    with memoryview(buffer) as view:  # type: ignore[arg-type]
        size, readonly = view.nbytes, view.readonly
    if readonly:
        raise TypeError("buffer: read-only; accepted: a writable bytes-like object")
    if size < needed:
        raise ValueError(f"buffer must be at least {needed} bytes for this payload; it has {size}")
