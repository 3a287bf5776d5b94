"""Which key a person means, and on which device: ``device.naming``, whose faults are usage errors here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.cli.statuses import UsageFault
from hem_provider.device.hem import Hem, Key
from hem_provider.device.naming import NameFault, check_label, device_meant, key_meant

__all__ = ["check_nameable", "device_of", "named_key"]


def device_of(device: str | None, *names: str | None) -> str | None:
    """The device for ``login.logged_in``: that of ``--device``; without it, the one that a PKCS#11 URI among
    ``names`` of keys tells by its token. No I/O but the configuration's.

    ``UsageFault`` for a URI that is none, and for one that names another device.
    """
    with _usage():
        return device_meant(device, *names, option="--device")


def check_nameable(label: str) -> None:
    """``UsageFault`` for a label that would never name its key: it reads as a URI, or as a KID."""
    with _usage():
        check_label(label)


def named_key(hem: Hem, name: str) -> Key:
    """The key with this KID, else with this label; or the one that a PKCS#11 URI means.

    ``HemKeyNotFound`` says which label may be meant, ``HemKeyAmbiguous`` names the KIDs. ``UsageFault`` for
    a URI that is none, or of another device's key.
    """
    with _usage():
        return key_meant(hem, name)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except NameFault as error:
        raise UsageFault(str(error)) from None
