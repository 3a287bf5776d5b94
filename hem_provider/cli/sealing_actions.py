"""What ``hem seal`` and ``hem open`` do."""

from __future__ import annotations

import base64
import binascii
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag

from hem_provider import symmetric
from hem_provider.cli.choosing import named_key
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import write
from hem_provider.cli.piping import STANDARD, check_output, input_from
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import load_config
from hem_provider.config.login_source import ask_hidden, can_ask
from hem_provider.device.hem import Key
from hem_provider.errors import HemOperationFailed, MessageTooLong

__all__ = ["seal", "unseal"]

#: Bytes of context from which the device takes 16 fewer of the secret.
_LONG_CONTEXT, _ROOM = 16, 16
#: Most bytes that are read of what is sealed: some blanks in 2 KB of base64 are no fault.
_MOST_SEALED = 16 * 1024
_SEALED_MODE, _CLEAR_MODE = 0o644, 0o600


def seal(options: Given) -> int:
    """``hem seal``: its exit status."""
    what = "what is sealed with --binary"
    check_output(options.output, force=options.force, what=what, binary=options.binary)
    check_not_itself(options.output, options.file, "sealed")
    context = _context(options)
    limit = load_config().device(options.device).firmware_limits.message
    if len(context or b"") >= _LONG_CONTEXT:
        limit -= _ROOM
    clear, name = _secret(options.file, limit)
    if not clear:
        raise HemOperationFailed(f"{name}: it is empty; there is nothing to seal")
    if len(clear) > limit:
        raise MessageTooLong(
            f"{name}: more than the {limit} bytes that the device seals at once; 'hem encrypt' takes any",
            size=len(clear),
            limit=limit,
        )
    sealed = _with_key(options, lambda key: symmetric.seal(key, clear, context))
    _put(sealed if options.binary else base64.b64encode(sealed) + b"\n", options, _SEALED_MODE)
    return 0


def unseal(options: Given) -> int:
    """``hem open``: its exit status."""
    check_output(options.output, force=options.force, what="the secret", binary=False)
    check_not_itself(options.output, options.file, "opened")
    context = _context(options)
    sealed, name = _sealed(options)
    try:
        clear = _with_key(options, lambda key: symmetric.open(key, sealed, context))
    except InvalidTag:
        told = "this --context" if options.context is not None else "no --context"
        raise HemOperationFailed(
            f"{name}: key {options.key!r} with {told} did not seal this, or it was changed since"
        ) from None
    if options.output is None and sys.stdout.isatty() and not _is_text(clear):
        raise UsageFault("the secret is not text: give --output FILE, or send it elsewhere")
    _put(clear, options, _CLEAR_MODE)
    return 0


def _context(options: Given) -> bytes | None:
    if options.context is None:
        return None
    try:
        return str(options.context).encode("utf-8")
    except ValueError:
        raise UsageFault("--context: it is not text in this terminal's encoding") from None


def _secret(file: str | None, limit: int) -> tuple[bytes, str]:
    """At most one byte more than ``limit``, and the name of where they come from."""
    if file is None and can_ask():
        return ask_hidden("The secret to seal (it is not shown): ").encode("utf-8"), "what was typed"
    with input_from(file) as source:
        return source.stream.read(limit + 1), source.name


def _sealed(options: Given) -> tuple[bytes, str]:
    with input_from(options.file) as source:
        data = source.stream.read(_MOST_SEALED + 1)
    wrong = "this is nothing that hem sealed" + ("" if options.binary else " as text; try --binary")
    if len(data) > _MOST_SEALED:
        raise HemOperationFailed(f"{source.name}: {wrong}: it has more than {_MOST_SEALED} bytes")
    if options.binary:
        return data, source.name
    try:
        return binascii.a2b_base64(b"".join(data.split()), strict_mode=True), source.name
    except ValueError:
        raise HemOperationFailed(f"{source.name}: {wrong}") from None


def _with_key(options: Given, use: Callable[[Key], bytes]) -> bytes:
    with logged_in(options.device, mobile=options.mobile) as hem, _warnings_told():
        return use(named_key(hem, options.key))


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Warnings as lines of the command, without a place in the source."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", symmetric.UnmarkedKeyWarning)
        yield
    for each in caught:
        print(f"hem: {each.message}", file=sys.stderr)


def _is_text(data: bytes) -> bool:
    try:
        return all(each.isprintable() or each in "\n\t" for each in data.decode("utf-8"))
    except ValueError:
        return False


def _put(data: bytes, options: Given, mode: int) -> None:
    output = options.output
    write(data, None if output in (None, STANDARD) else Path(output), force=options.force, mode=mode)
