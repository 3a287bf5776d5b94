"""Whether the interpreter we run in can serve us.

In a process that is Python already the host's own packages come first, and may be older than
what this module needs (Debian's ``cryptography``, say).
"""

from __future__ import annotations

import sys

__all__ = ["REQUIREMENTS", "HostError", "check_host", "hosted"]

#: Distribution → oldest version that will do; import name and distribution name are the same.
REQUIREMENTS = {"cryptography": (45, 0), "requests": (2, 32)}


class HostError(Exception):
    """The host's Python has a package that is too old; the text names it."""


def check_host() -> None:
    """Raise ``HostError`` when the packages that would be used are too old or missing.

    Only where the host brought its own interpreter: in ours the search path is our own.
    """
    if not hosted():
        return
    from importlib.metadata import PackageNotFoundError, version

    for name, oldest in REQUIREMENTS.items():
        module = sys.modules.get(name)
        try:
            found = str(getattr(module, "__version__", "") or version(name))
        except PackageNotFoundError:
            raise HostError(f"this program's Python does not find the package {name!r}") from None
        if _numbers(found) < oldest:
            needed = ".".join(map(str, oldest))
            raise HostError(
                f"this program's Python has {name} {found}, and the module needs {needed} or newer: "
                "upgrade it, or run the module in a process of its own (p11-kit server)"
            )


def hosted() -> bool:
    """Whether somebody else started this interpreter: ours is isolated and has no ``site``."""
    return not (sys.flags.isolated and sys.flags.no_site)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split(".")[:2]:
        digits = "".join(each for each in part if each.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)
