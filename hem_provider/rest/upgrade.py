"""Endpoint group ``/api/system/upgrade``: firmware and dashboard (device API §16). USB devices only; a
factory-fresh one takes each call without a token."""

from __future__ import annotations

import enum
import io
from collections.abc import Callable
from functools import partial

from hem_provider.errors import HemOperationFailed, MessageTooLong
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call, done
from hem_provider.rest.status import Meanings, error_for
from hem_provider.rest.wire import Limit

__all__ = ["Image", "UpgradeState", "check", "install", "upload", "usb_mode"]

_PATH = "/api/system/upgrade/"
_SCOPES = ("system:upgrade",)
_UPLOAD: Meanings = {406: (HemOperationFailed, "the upload ended early")}
_INSTALL: Meanings = {406: (HemOperationFailed, "there is no verified image to install")}
#: An upload takes minutes over USB.
_UPLOAD_TIMEOUT = Limit(600.0, "the limit of an upload")
_CHECK_TIMEOUT = Limit(120.0, "the limit of a check")

#: Called with bytes sent and bytes in all.
Progress = Callable[[int, int], None]


class Image(enum.Enum):
    """What can be upgraded: the endpoint's suffix, the file name it takes, its limit in bytes."""

    FIRMWARE = ("fw", "firmware.bin", 3 * 1024 * 1024)
    DASHBOARD = ("ui", "webroot.tar", 16 * 1024 * 1024)

    def __init__(self, suffix: str, filename: str, limit: int) -> None:
        self.suffix = suffix
        self.filename = filename
        self.limit = limit


class UpgradeState(enum.Enum):
    """Where the check of an uploaded image is."""

    STARTED = 201
    RUNNING = 202
    VERIFIED = 200
    NOTHING = 404
    BAD = 406


#: What statuses of a check say, beside 200 to 202.
_FAILED_CHECKS = {
    Image.FIRMWARE: {404: UpgradeState.NOTHING, 406: UpgradeState.BAD},
    Image.DASHBOARD: {404: UpgradeState.NOTHING, 406: UpgradeState.BAD, 409: UpgradeState.NOTHING},
}


def _state(answer: Answer) -> UpgradeState:
    try:
        return UpgradeState(answer.status)
    except ValueError:
        raise error_for(answer.status, answer.where) from None


def upload(
    image: Image, data: bytes, *, progress: Progress | None = None, filename: str | None = None
) -> Call[None]:
    """``POST upload_fw`` or ``upload_ui``. ``filename`` defaults to the one the device wants
    (``firmware.hex`` is taken too). ``MessageTooLong`` for more than ``image.limit`` bytes. ``ValueError``
    for an empty image, and for a name that is not printable ASCII."""
    if not data:
        raise ValueError("image: 0 bytes")
    if len(data) > image.limit:
        raise MessageTooLong(
            f"image: {len(data)} bytes; the device takes at most {image.limit}",
            size=len(data),
            limit=image.limit,
        )
    name = filename or image.filename
    if not name.isascii() or not name.isprintable() or '"' in name:
        raise ValueError(f"filename: {name!r}; accepted: printable ASCII without quotes")
    return Call(
        "POST",
        f"{_PATH}upload_{image.suffix}",
        done,
        scopes=_SCOPES,
        limit=_UPLOAD_TIMEOUT,
        meanings=_UPLOAD,
        upload=partial(_Watched, data, progress),
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )


def check(image: Image) -> Call[UpgradeState]:
    """``GET check_fw`` or ``check_ui``: starts the check, then tells how it goes. Poll it."""
    return Call(
        "GET",
        f"{_PATH}check_{image.suffix}",
        _state,
        scopes=_SCOPES,
        limit=_CHECK_TIMEOUT,
        verdicts=_FAILED_CHECKS[image],
        is_json=False,
    )


def install(image: Image) -> Call[None]:
    """``GET install_fw`` (then the device restarts) or ``install_ui``. A connection lost instead
    of an answer may be the success of the former."""
    return Call("GET", f"{_PATH}install_{image.suffix}", done, scopes=_SCOPES, meanings=_INSTALL)


def usb_mode() -> Call[None]:
    """``GET usbmode``: restart as a USB disk for an upgrade by hand."""
    return Call("GET", f"{_PATH}usbmode", done, scopes=_SCOPES)


class _Watched(io.BytesIO):
    """Bytes that tell how much of them was read, with the length an upload must state."""

    def __init__(self, data: bytes, progress: Progress | None) -> None:
        super().__init__(data)
        self._size = len(data)
        self._progress = progress

    def __len__(self) -> int:
        return self._size

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        if self._progress is not None and part:
            self._progress(self.tell(), self._size)
        return part
