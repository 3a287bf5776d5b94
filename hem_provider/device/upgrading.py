"""Bringing another firmware or dashboard onto a device, in two halves: uploaded and verified, then installed
(device API §16). What a file says of itself is read here, too."""

from __future__ import annotations

import hashlib
import re
from typing import Literal, Protocol, TypeVar

from hem_provider.device.login import LoginSession
from hem_provider.device.watching import Looked, Watch
from hem_provider.errors import HemDeviceFault, HemTimeout
from hem_provider.records import frozen
from hem_provider.rest import upgrade
from hem_provider.rest.call import Call
from hem_provider.rest.settle import NOT_MADE, Change, NotMade
from hem_provider.rest.system import Status
from hem_provider.rest.upgrade import Image, Progress, UpgradeState
from hem_provider.waiting import Clock

__all__ = ["Image", "ImageFacts", "Upgrading", "facts_of", "version_in"]

T = TypeVar("T")

#: How a version stands in a firmware, and in the emulator's stand-in for one.
_VERSION = re.compile(
    rb"Encedo nGINE FW v([0-9][0-9A-Za-z.-]{0,30})|\Ahem-provider emulator image ([0-9.]{1,16})\r?\n"
)

#: Seconds between two looks at a check: at first, and at the most, which is what the vendor's manager takes.
_SOON, _LATER = 0.5, 4.0


class _Runs(Protocol):
    def __call__(self, call: Call[T], change: Change[T] | None = None) -> T: ...


@frozen
class ImageFacts:
    """What is known of an image before a device has seen it. ``version`` is what stands in the file, which
    nobody vouches for yet; ``None`` where it says none, or several. ``sha256`` in lower-case hex."""

    size: int
    sha256: str
    version: str | None


def facts_of(data: bytes) -> ImageFacts:
    """Of an image as it is in its file."""
    found = {(one or other).decode("ascii") for one, other in _VERSION.findall(data)}
    version = found.pop() if len(found) == 1 else None
    return ImageFacts(len(data), hashlib.sha256(data).hexdigest(), version)


def version_in(firmware: str) -> str:
    """The number in what a device calls its firmware, or all of that.

    >>> version_in("Encedo nGINE FW v1.2.2")
    '1.2.2'
    """
    found = re.search(r"\bv([0-9][0-9A-Za-z.-]*)$", firmware)
    return found[1] if found else firmware


class Upgrading:
    """Both halves. ``run`` makes a call with a login, or without one on a factory-fresh device."""

    def __init__(self, session: LoginSession, clock: Clock, run: _Runs) -> None:
        self._session = session
        self._clock = clock
        self._run = run

    def stage(
        self, image: Image, data: bytes, *, progress: Progress | None, timeout: float, looked: Looked | None
    ) -> None:
        """Upload an image and have it verified."""
        arrived: Change[None] = Change(
            made="the image arrived whole",
            undone="the image did not arrive",
            see="nothing is installed; upload it again",
            look=None,
            repeat=True,
        )
        self._run(upgrade.upload(image, data, progress=progress), arrived)
        asked_again: Change[UpgradeState] = Change(
            made="the check goes on",
            undone="the check does not go on",
            see="nothing is installed; upload it again",
            look=lambda: UpgradeState.RUNNING,
        )
        began = self._clock.now()
        for _ in self._clock.looks(timeout, _SOON, _LATER):
            if looked is not None:
                looked(self._clock.now() - began)
            state = self._run(upgrade.check(image), asked_again)
            if state is UpgradeState.VERIFIED:
                return
            if state in (UpgradeState.BAD, UpgradeState.NOTHING):
                raise HemDeviceFault(f"{self._name}: the device does not accept the image ({state.name})")
        raise HemTimeout(f"{self._name}: the image was not verified within {timeout:g} s")

    def install(self, image: Image, *, wait: float, looked: Looked | None) -> Status | None:
        """Install what was verified; its status after the restart, where that is waited for."""
        firmware = image is Image.FIRMWARE
        watch = Watch(self._session, self._clock, looked)
        installed: Change[bool | None] = Change(
            made="the image was installed",
            undone="the image was not installed",
            see="compare the version it tells with the former one",
            look=watch.upgraded if firmware else self._dashboard_installed,
            repeat=not firmware,
        )
        self._run(upgrade.install(image), installed)
        return watch.back(wait) if firmware and wait else None

    def _dashboard_installed(self) -> Literal[True, NotMade.NOT_MADE]:
        """A verified image waits until it is installed, and is gone then."""
        state = self._run(upgrade.check(Image.DASHBOARD))
        if state is UpgradeState.NOTHING:
            return True
        if state is UpgradeState.VERIFIED:
            return NOT_MADE
        raise HemDeviceFault(f"{self._name}: the state of the image is {state.name}")

    @property
    def _name(self) -> str:
        return self._session.rest.channel.config.name
