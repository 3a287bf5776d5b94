"""Endpoint group ``/api/logger``: the signed audit log (device API §14). Files are kept by USB devices
only."""

from __future__ import annotations

from hem_provider.arguments import as_text
from hem_provider.errors import HemAnswerFault, HemOperationFailed, HemRequestRefused
from hem_provider.records import frozen
from hem_provider.rest.agreements import log_files
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call
from hem_provider.rest.fields import Asked, Field, Shape, data, integer, list_of, text
from hem_provider.rest.sharedfields import MOST_RECORDS
from hem_provider.rest.status import Meanings

__all__ = ["LogKey", "key", "list_files", "read"]

_SCOPES = ("logger:get",)
#: Of a log file, which is never empty: the device begins each with a line about its firmware (§14.1, §14.2).
_MEDIA_TYPE = "text/plain"

_LIST: Meanings = {404: (HemRequestRefused, "this device keeps no log files, or cannot list them")}
_FILE: Meanings = {
    404: (HemRequestRefused, "there is no such log file"),
    406: (HemOperationFailed, "the file is being written; a restart of the device closes it"),
}

_KEY = Shape((Field("key", data(32)), Field("nonce", data(32)), Field("nonce_signed", data(64))))
_FILES = Shape(
    (
        Field("total", integer(0, MOST_RECORDS)),
        Field("id", list_of(text(8, 8, pattern="[0-9a-fA-F]{8}", accepted="8 hex digits"), 128)),
    ),
    log_files,
)


@frozen
class LogKey:
    """The Ed25519 key (32 bytes) that vouches for log files, and a nonce (32) it signed (64)."""

    key: bytes
    nonce: bytes
    signature: bytes


def _log_key(answer: Answer) -> LogKey:
    return LogKey(answer.data("key"), answer.data("nonce"), answer.data("nonce_signed"))


def _files(answer: Answer) -> tuple[tuple[str, ...], int]:
    return answer.texts("id"), answer.integer("total")


def _content(answer: Answer) -> bytes:
    if answer.media_type != _MEDIA_TYPE or not answer.body:
        raise HemAnswerFault(
            f"{answer.where}: {len(answer.body)} bytes of {answer.media_type or 'no type'}; "
            f"accepted: a log file, {_MEDIA_TYPE}, of at least one line"
        )
    return answer.body


def key() -> Call[LogKey]:
    """``GET key``. Verify the signature before trusting the key."""
    return Call("GET", "/api/logger/key", _log_key, answer=_KEY, scopes=_SCOPES, repeatable=True)


def list_files(offset: int = 0) -> Call[tuple[tuple[str, ...], int]]:
    """``GET list/{offset}``: up to 128 file ids (8 hex digits, oldest first), and how many
    there are in all."""
    return Call(
        "GET",
        f"/api/logger/list/{offset}",
        _files,
        answer=_FILES,
        form="/api/logger/list/{}",
        scopes=_SCOPES,
        asked=Asked(offset=offset),
        repeatable=True,
        meanings=_LIST,
    )


def read(file_id: str) -> Call[bytes]:
    """``GET {id}``: one finished file as it is. ``ValueError`` unless 8 hex digits, ``TypeError`` unless
    text."""
    as_text("log file id", file_id)
    if len(file_id) != 8 or not all(digit in "0123456789abcdef" for digit in file_id.lower()):
        raise ValueError(f"log file id: {file_id!r}; accepted: 8 hex digits")
    return Call(
        "GET",
        f"/api/logger/{file_id.lower()}",
        _content,
        scopes=_SCOPES,
        repeatable=True,
        meanings=_FILE,
        is_json=False,
    )
