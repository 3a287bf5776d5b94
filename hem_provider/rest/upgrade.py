"""Endpoint group ``/api/system/upgrade``: firmware and dashboard (device API §16)."""

from __future__ import annotations

import enum
import io
from collections.abc import Callable

from hem_provider.errors import HemOperationFailed, MessageTooLong
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.status import Meanings, error_for
from hem_provider.rest.wire import Limit

__all__ = ["Image", "UpgradeApi", "UpgradeState"]

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


class UpgradeApi(EndpointGroup):
    """``token``: scope ``system:upgrade``; ``None`` on a factory-fresh device. USB devices only."""

    def upload(
        self,
        image: Image,
        data: bytes,
        *,
        progress: Progress | None = None,
        filename: str | None = None,
        token: str | None,
    ) -> None:
        """``POST upload_fw`` or ``upload_ui``. ``filename`` defaults to the one the device wants
        (``firmware.hex`` is taken too). ``MessageTooLong`` before sending."""
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
        self._channel.call(
            "POST",
            f"/api/system/upgrade/upload_{image.suffix}",
            upload=_Watched(data, progress),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Disposition": f'attachment; filename="{name}"',
            },
            token=token,
            timeout=_UPLOAD_TIMEOUT,
            meanings=_UPLOAD,
        )

    def check(self, image: Image, *, token: str | None) -> UpgradeState:
        """``GET check_fw`` or ``check_ui``: starts the check, then tells how it goes. Poll it."""
        path = f"/api/system/upgrade/check_{image.suffix}"
        reply = self._channel.exchange("GET", path, token=token, timeout=_CHECK_TIMEOUT)
        status = 404 if reply.status == 409 and image is Image.DASHBOARD else reply.status
        try:
            return UpgradeState(status)
        except ValueError:
            raise error_for(reply.status, f"{self._channel.config.name}: GET {path}") from None

    def install(self, image: Image, *, token: str | None) -> None:
        """``GET install_fw`` (then the device restarts) or ``install_ui``. A connection lost instead
        of an answer may be the success of the former."""
        path = f"/api/system/upgrade/install_{image.suffix}"
        self._channel.call("GET", path, token=token, meanings=_INSTALL)

    def usb_mode(self, *, token: str | None) -> None:
        """``GET usbmode``: restart as a USB disk for an upgrade by hand."""
        self._channel.call("GET", "/api/system/upgrade/usbmode", token=token)


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
