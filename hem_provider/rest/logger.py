"""Endpoint group ``/api/logger``: the signed audit log (device API §14)."""

from __future__ import annotations

from dataclasses import dataclass

from hem_provider.arguments import as_text
from hem_provider.errors import HemOperationFailed, HemRequestRefused
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.fields import Asked
from hem_provider.rest.status import Meanings, error_for

__all__ = ["LogKey", "LoggerApi"]

_LIST: Meanings = {404: (HemRequestRefused, "this device keeps no log files, or cannot list them")}
_FILE: Meanings = {
    404: (HemRequestRefused, "there is no such log file"),
    406: (HemOperationFailed, "the file is being written; a restart of the device closes it"),
}


@dataclass(frozen=True, slots=True)
class LogKey:
    """The Ed25519 key (32 bytes) that vouches for log files, and a nonce (32) it signed (64)."""

    key: bytes
    nonce: bytes
    signature: bytes


class LoggerApi(EndpointGroup):
    """All take a token with scope ``logger:get``; files are kept by USB devices only."""

    def key(self, *, token: str) -> LogKey:
        """``GET key``. Verify the signature before trusting the key."""
        answer = self._channel.call("GET", "/api/logger/key", token=token)
        return LogKey(answer.data("key"), answer.data("nonce"), answer.data("nonce_signed"))

    def list(self, offset: int = 0, *, token: str) -> tuple[tuple[str, ...], int]:
        """``GET list/{offset}``: up to 128 file ids (8 hex digits, oldest first), and how many
        there are in all."""
        path, asked = f"/api/logger/list/{offset}", Asked(offset=offset)
        answer = self._channel.call("GET", path, token=token, meanings=_LIST, asked=asked)
        return answer.texts("id"), answer.integer("total")

    def read(self, file_id: str, *, token: str) -> bytes:
        """``GET {id}``: one finished file as it is. ``ValueError`` unless 8 hex digits, ``TypeError`` unless
        text."""
        as_text("log file id", file_id)
        if len(file_id) != 8 or not all(digit in "0123456789abcdef" for digit in file_id.lower()):
            raise ValueError(f"log file id: {file_id!r}; accepted: 8 hex digits")
        path = f"/api/logger/{file_id.lower()}"
        reply = self._channel.exchange("GET", path, token=token)
        if reply.status != 200:
            raise error_for(reply.status, f"{self._channel.config.name}: GET {path}", _FILE)
        return reply.body
