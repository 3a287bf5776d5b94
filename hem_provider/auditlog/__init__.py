"""A device's audit log on this machine: collected, kept as evidence, verified, followed.

It stands above ``device``, whose calls it makes, and below ``adapters``, which hand its entries on in the
forms of other programs; so neither the device layer knows of files and days, nor an adapter of calls. It
needs no keys: ``keys`` and ``symmetric`` stand beside it.

``entry``: one line of a copy, and how it is chained to the one before; ``days``: the files of a copy;
``copy``: reading and appending; ``checking``: whether a copy is as it was written; ``progress``: what has
been collected; ``source`` and ``collecting``: fetching what is new; ``following``: new events, from a copy or
a device; ``rules`` and ``hooks``: which of them a command is told of.

What ``hem_provider.device.auditlog`` has was to be had here formerly, and is for one release more.
"""

from __future__ import annotations

from typing import Any

__all__: list[str] = []

_FORMER = ("AuditLog", "Event", "LogRecord", "LogReport", "Result", "verify_log")


def __getattr__(name: str) -> Any:
    if name not in _FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings

    from hem_provider.device import auditlog

    text = f"hem_provider.auditlog.{name} is now hem_provider.device.auditlog.{name}"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return getattr(auditlog, name)
