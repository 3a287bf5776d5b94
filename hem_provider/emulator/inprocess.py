"""The emulated device as a caller in the same process sees it: two WSGI applications over one state file."""

from __future__ import annotations

import functools
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hem_provider.emulator.device import Device
from hem_provider.emulator.dispatch import Dispatcher
from hem_provider.emulator.knobs import set_firmware
from hem_provider.emulator.lifecycle import create, power_cycle
from hem_provider.emulator.nonces import Nonces
from hem_provider.emulator.state import Knobs, Tls
from hem_provider.emulator.store import Store
from hem_provider.emulator.wsgi import Application

if TYPE_CHECKING:
    from hem_provider.emulator.cloud.service import Cloud
    from hem_provider.emulator.firmware import Firmware

__all__ = ["EmulatedDevice", "PrivilegedProcess", "open_device"]

_AT_SECURE = 23
#: What some requests need and an installation may lack.
_PACKAGES = ("Crypto", "kyber_py")


class PrivilegedProcess(PermissionError):
    """The emulator was asked for in a process with raised privileges, where it could stand in for a real
    device."""


def _privileges_raised() -> bool:
    """``True`` in a set-user-id or otherwise privileged process (AT_SECURE, see getauxval(3))."""
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return True
    try:
        vector = Path("/proc/self/auxv").read_bytes()
    except FileNotFoundError:
        return False
    except OSError:  # the kernel hides the vector of a process that is not dumpable; the C library knows it
        import ctypes

        return bool(ctypes.CDLL(None).getauxval(_AT_SECURE))
    return any(key == _AT_SECURE and value for key, value in struct.iter_unpack("@LL", vector))


def _check_packages() -> None:
    """Raise ``ModuleNotFoundError`` now, not in the middle of a request."""
    from importlib.util import find_spec

    for name in _PACKAGES:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _described(path: str | os.PathLike[str] | None) -> Firmware | None:
    if path is None:
        return None
    from hem_provider.emulator.firmwarefile import load_firmware

    return load_firmware(path)


class EmulatedDevice:
    """One device, open in this process. ``device`` and ``cloud`` are thread-safe WSGI applications.

    A request on ``device`` counts as HTTPS when ``environ["wsgi.url_scheme"]`` is ``https``. A device that is
    off, restarts or drops the connection raises a ``ConnectionError`` instead of answering.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        model: str = "ppa",
        firmware: str | os.PathLike[str] | None = None,
        authority: Tls | None = None,
        clock: Callable[[], float] = time.time,
        nonces: Callable[[Store], Nonces] = Nonces,
    ) -> None:
        """Open the state file at ``path``; one that does not exist becomes a factory-fresh ``model`` (``ppa``
        or ``epa``).

        ``firmware`` is a TOML file that describes another firmware than 1.2.2, or than the one the state file
        has; it is kept there. ``ValueError`` says what is wrong with it,
        ``ModuleNotFoundError`` which package of the extra ``emulator`` is not installed.

        ``authority`` issues the certificate of a state file that does not exist yet; without it that device
        has one of its own.

        ``clock`` (host time in Unix seconds) and ``nonces`` exist for tests that replay published vectors.
        """
        _check_packages()
        if _privileges_raised():
            raise PrivilegedProcess("the emulator protects nothing and does not run in a privileged process")
        described = _described(firmware)
        self.store = Store(path)
        self.model = Device(self.store, clock=clock, nonces=nonces(self.store))
        try:
            with self.model.transaction():
                if not self.model.exists:
                    create(self.model, model, knobs=Knobs(ca=authority), firmware=described)
                elif described is not None:
                    set_firmware(self.model, described)
        except BaseException:
            self.store.close()
            raise
        self.device = Application(Dispatcher(self.model), self.model, latency=True)

    @functools.cached_property
    def published(self) -> Application:
        """The device as a WSGI application that has its OpenAPI document too, at ``openapi.PUBLISHED``."""
        from hem_provider.emulator.openapi import Published

        return Application(Published(Dispatcher(self.model), self.model), self.model, latency=True)

    @functools.cached_property
    def cloud_service(self) -> Cloud:
        """The cloud; loaded when first used, which most processes never do."""
        from hem_provider.emulator.cloud.service import Cloud

        return Cloud(self.model)

    @functools.cached_property
    def cloud(self) -> Application:
        """The cloud as a WSGI application."""
        return Application(self.cloud_service, self.model)

    def power_on(self) -> None:
        """Plug a device in that was shut down or stopped; one that runs is left alone."""
        with self.model.transaction():
            if not self.model.state.powered or self.model.state.bricked:
                power_cycle(self.model)

    def close(self) -> None:
        """Close the state file."""
        self.store.close()

    def __enter__(self) -> EmulatedDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_device(path: str, *, firmware: str | os.PathLike[str] | None = None) -> EmulatedDevice:
    """Open the emulated device whose state is in ``path``, as the device URL ``emulator:PATH`` asks.

    ``firmware`` as of ``EmulatedDevice``. Raises ``StateFileError`` when the file cannot be used,
    ``ValueError`` for a faulty firmware file, ``PrivilegedProcess`` in a process with raised privileges.
    """
    return EmulatedDevice(path, firmware=firmware)
