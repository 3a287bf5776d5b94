"""What the owner of a new device chooses: by option, in a conversation, or by default."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from hem_provider.cli.confirming import ask, show
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config.login_source import can_ask
from hem_provider.config.settings import check_name
from hem_provider.device.hem import Status, Version
from hem_provider.device.ownsettings import SECTOR, value_of
from hem_provider.records import frozen

__all__ = ["STORAGE", "Answers", "answers", "question"]

T = TypeVar("T")

#: How the open disk is shown when the device starts → the device's number (device API §8.2).
STORAGE = {"ro": 0x51, "rw": 0x53, "hidden": 0x50}
_DISK_MIB, _SECTORS_A_MIB = 4096, 2**20 // SECTOR
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


@frozen
class Answers:
    """``disk_mib``: size of the open disk of a USB device, in MiB."""

    name: str
    owner: str
    email: str
    hostname: str
    storage: str
    disk_mib: int

    @property
    def disk_sectors(self) -> int:
        """The same in sectors of 512 bytes."""
        return self.disk_mib * _SECTORS_A_MIB


def question(
    text: str,
    option: str,
    given: object | None,
    check: Callable[[str], T],
    *,
    default: object | None = None,
) -> T:
    """The value of an option, else what a person answers, else the default where nobody can be asked.

    ``check`` makes the value of a text, or raises ``ValueError``, which says what is accepted: ``UsageFault``
    for an option; a person is asked again.
    """
    if given is not None or (default is not None and not can_ask()):
        try:
            return check(str(default if given is None else given))
        except ValueError as error:
            raise UsageFault(f"{option}: {error}") from None
    shown = f" [{default}]" if default not in (None, "") else ""
    while True:
        typed = ask(f"{text}{shown}: ", instead=option)
        try:
            return check(typed if typed or default is None else str(default))
        except ValueError as error:
            show(f"That cannot be: {error}.")


def answers(
    options: Given,
    former: dict[str, Any],
    status: Status,
    version: Version,
    taken: Collection[str],
    check_hostname: Callable[[str], None],
) -> Answers:
    """Ask what is not given. ``former``: answers of a conversation that was broken off; ``taken``: names of
    other devices; ``check_hostname``: raises ``ValueError`` for a name that the device cannot have."""

    def hostname(text: str) -> str:
        chosen = _hostname(text)
        check_hostname(chosen)
        return chosen

    def name(text: str) -> str:
        check_name(text)
        if text in taken:
            raise ValueError(f"a device is called {text!r} already; there are: {', '.join(sorted(taken))}")
        return text

    def size(text: str) -> int:
        most = _capacity(status)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not 1 <= number <= most:
            raise ValueError(f"{text!r}; accepted: a whole number from 1 to {most}")
        return number

    free = next(each for each in ("hem", *(f"hem{n}" for n in range(2, 999))) if each not in taken)
    defaults = {
        "name": free,
        "email": "",
        "hostname": "my.ence.do",
        "storage": "ro",
        "disk_mib": min(_DISK_MIB, _capacity(status)),
        **former,
    }
    asked: tuple[tuple[str, str, str, Callable[[str], object]], ...] = (
        ("owner", "Whose device is it (shown at logins)", "--owner", _owner),
        ("email", "E-mail address (may be empty)", "--email", _email),
        ("name", "Name of the device here", "--name", name),
        ("hostname", "Host name on the network", "--hostname", hostname),
    )
    if version.model == "PPA":
        asked += (
            ("storage", "Its open disk, when it starts: ro, rw or hidden", "--storage", _storage),
            ("disk_mib", "Size of that disk in MiB (the rest is encrypted)", "--disk-size", size),
        )
    chosen: dict[str, Any] = {"storage": "ro", "disk_mib": _DISK_MIB}
    for field, text, option, check in asked:
        given = getattr(options, option[2:].replace("-", "_"))
        chosen[field] = question(text, option, given, check, default=defaults.get(field))
    return Answers(**chosen)


def _capacity(status: Status) -> int:
    """MiB of the card, which a fresh device shows as disk 0."""
    sectors = int(status.storage[0].partition(":")[0]) if status.storage else 0
    return sectors // _SECTORS_A_MIB or 2**20 - 1


def _owner(text: str) -> str:
    return str(value_of("user", text))


def _email(text: str) -> str:
    if text and "@" not in text:
        raise ValueError(f"{len(text)} characters; accepted: an address with '@', or nothing")
    return str(value_of("email", text))


def _hostname(text: str) -> str:
    if _HOST.fullmatch(text.lower()) is None:
        raise ValueError(f"{text!r}; accepted: a whole name such as my.ence.do or NAME.ence.do")
    return text.lower()


def _storage(text: str) -> str:
    if text not in STORAGE:
        raise ValueError(f"{text!r}; accepted: {', '.join(STORAGE)}")
    return text
