"""What the actions of ``hem phones`` do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hem_provider.cli import qr
from hem_provider.cli.confirming import confirm, show
from hem_provider.cli.login import logged_in, prove_owner
from hem_provider.cli.output import check_target, print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.terminal import columns, moving
from hem_provider.config import load_config
from hem_provider.device.hem import Hem
from hem_provider.device.phones import Phone
from hem_provider.errors import HemKeyAmbiguous, HemKeyNotFound, HemOperationFailed
from hem_provider.printable import printable

__all__ = ["pair", "pair_now", "remove", "show_all"]

_PAIR = "auth:ext:pair"
#: How many a device knows.
_MOST = 8
#: Seconds between two lines that tell of waiting where a line cannot be written again.
_EVERY = 30.0


def pair(options: Given) -> int:
    """``hem phones pair``: its exit status."""
    image = options.png or options.svg
    if image is not None:
        check_target(image, force=options.force)
    with Hem(load_config().device(options.device)) as hem:
        prove_owner(hem, _PAIR)
        tell = show if options.json else _print
        phone = pair_now(hem, image=image, force=options.force, seconds=options.wait, tell=tell)
    if options.json:
        print_json({"device": hem.config.name, "phone": _document(phone)})
    else:
        print(f"{phone.label!r} is paired as {phone.kid}: it may approve logins to {hem.config.name}.")
    return 0


def _print(line: str) -> None:
    print(line, flush=True)  # who reads it from a file or pipe wants it while the phone is waited for


def pair_now(
    hem: Hem,
    *,
    image: Path | None = None,
    force: bool = False,
    seconds: float = 300.0,
    tell: Callable[[str], None] = show,
) -> Phone:
    """Show the code, on standard error or in an image, ``tell`` its link, and wait until a phone is paired.

    ``HemOperationFailed`` where the device has no room, or the phone refuses; ``HemApprovalTimeout``.
    """
    if len(hem.phones.list()) >= _MOST:
        raise HemOperationFailed(
            f"{hem.config.name}: {_MOST} phones are paired, more it does not know: hem phones remove PHONE"
        )
    pairing = hem.phones.begin()
    line = _Waiting()
    try:
        _display(pairing.qr_text, image, force=force)
        tell(f"Its link: {pairing.link}")
        kid = pairing.wait(seconds, waiting=line.left)
    except BaseException:
        line.end()
        show("No phone was paired.")
        raise
    line.end()
    return next(each for each in hem.phones.list() if each.kid == kid)


def _display(text: str, image: Path | None, *, force: bool) -> None:
    code = qr.made(text)
    lines = qr.shown(code, sys.stderr)
    if image is not None:
        qr.save(code, image, force=force)
        place = printable(str(image))
        show(f"Scan the code in {place} with the application on the phone, and delete the file then.")
    elif lines is not None:
        show("Scan this with the application on the phone:")
        for line in lines:
            show(line)
    else:
        raise HemOperationFailed(
            f"the code does not fit on this terminal of {columns(sys.stderr)} columns: make it wider, or "
            "give --png FILE or --svg FILE and show that"
        )


class _Waiting:
    """A line that tells how long a phone may take, while it is waited for."""

    def __init__(self) -> None:
        self._moving = moving(sys.stderr)
        self._told = -_EVERY
        self._drawn = False

    def left(self, seconds: float) -> None:
        """So many are left."""
        minutes, rest = divmod(round(seconds), 60)
        text = f"Waiting for the phone: {minutes}:{rest:02d} left; Ctrl-C ends it"
        if self._moving:
            self._drawn = True
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            show(text)

    def end(self) -> None:
        """Take the line away."""
        if self._drawn:
            with suppress(OSError):
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def show_all(options: Given) -> int:
    """``hem phones list``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        phones = sorted(hem.phones.list(), key=lambda each: (each.label.casefold(), each.kid))
    if options.json:
        print_json({"device": hem.config.name, "phones": [_document(each) for each in phones]})
    elif phones:
        from hem_provider.cli.drawing import draw

        rows = [(each.label, each.kid, each.pid) for each in phones]
        draw(("label", "KID", "pairing"), rows, spare=("pairing",))
    else:
        show(f"No phone is paired with {hem.config.name}: hem phones pair")
    return 0


def remove(options: Given) -> int:
    """``hem phones remove``: its exit status."""
    with Hem(load_config().device(options.device)) as hem:
        prove_owner(hem, _PAIR)
        phones = hem.phones.list()
        phone = _named(hem, phones, options.phone)
        last = " It is the last one." if len(phones) == 1 else ""
        confirm(f"Take {phone.label!r} ({phone.kid}) away from {hem.config.name}?{last}", yes=options.yes)
        hem.phones.remove(phone.kid, broker=not options.device_only)
    if options.json:
        print_json({"device": hem.config.name, "phone": _document(phone)})
    else:
        show(f"{phone.label!r} approves nothing any more.")
    return 0


def _named(hem: Hem, phones: Sequence[Phone], name: str) -> Phone:
    """The phone with this KID, else with this label."""
    found = [each for each in phones if each.kid == name.lower()] or [
        each for each in phones if each.label == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        kids = ", ".join(each.kid for each in found)
        raise HemKeyAmbiguous(
            f"{hem.config.name}: {len(found)} phones with label {name!r}; give the KID: {kids}"
        )
    there = ", ".join(repr(each.label) for each in phones)
    raise HemKeyNotFound(
        f"{hem.config.name}: no phone {name!r}; " + (f"there are: {there}" if phones else "none is paired")
    )


def _document(phone: Phone) -> dict[str, Any]:
    """As the schemas in ``docs/schemas`` say."""
    return {"label": phone.label, "kid": phone.kid, "pairing": phone.pid}
