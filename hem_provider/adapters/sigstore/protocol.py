"""Requests as they come: one argument, in the JSON of Go's structures; what is wrong in one is refused by its
name."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from hem_provider.errors import HemRequestRefused
from hem_provider.records import frozen

__all__ = ["METHODS", "VERSION", "Asked", "Options", "encoded", "member", "octets", "read"]

#: The version of the protocol, which is the first argument.
VERSION = "v1"
METHODS = (
    "defaultAlgorithm", "supportedAlgorithms", "createKey", "publicKey", "signMessage", "verifySignature",
)  # fmt: skip
#: Characters of a request; one argument of a program has at most 128 KiB (execve(2), ``MAX_ARG_STRLEN``).
_MOST = 128 * 1024
#: Most characters of a refused text that are shown.
_SHOWN = 40
_JSON: Mapping[type, str] = {dict: "an object", str: "a string", int: "a number"}

T = TypeVar("T")


@frozen
class Asked:
    """A request. ``key``: what ``hem://`` names. ``method`` and its ``arguments`` as they came.
    ``hash_function``: of Go's ``crypto.Hash``, by which is hashed where nothing else is said."""

    key: str
    hash_function: int
    method: str
    arguments: Mapping[str, Any]


@frozen
class Options:
    """Of signing and verifying. ``digest``: of the message. ``hash_function``: of Go's ``crypto.Hash``; both
    are ``None`` where they are not said. ``remote``: whether the device is to verify."""

    digest: bytes | None
    hash_function: int | None
    remote: bool

    @classmethod
    def read(cls, arguments: Mapping[str, Any], name: str) -> Options:
        """Those of a method, which has them under ``name``. ``HemRequestRefused``."""
        options = member(arguments, name, dict)
        remote = _remote(options.get("rpcOptions"), f"{name}.rpcOptions")
        about = member(options, "messageOptions", dict)
        digest, number = about.get("digest"), about.get("hashFunc")
        return cls(
            digest=None if digest is None else octets(digest, f"{name}.messageOptions.digest") or None,
            hash_function=None if number is None else member(about, "hashFunc", int),
            remote=remote,
        )


def read(version: str, text: str) -> Asked:
    """The request of both arguments. ``HemRequestRefused`` names what is wrong."""
    if version != VERSION:
        raise HemRequestRefused(f"protocol version {version[:_SHOWN]!r}; accepted: {VERSION!r}")
    if len(text) > _MOST:
        raise HemRequestRefused(f"request: {len(text)} characters; accepted: {_MOST}")
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise HemRequestRefused(f"request: {len(text)} characters that are no JSON") from None
    options = member(request, "initOptions", dict)
    told = member(options, "protocolVersion", str)
    if told != VERSION:
        raise HemRequestRefused(f"protocolVersion: {told[:_SHOWN]!r}; accepted: {VERSION!r}")
    _remote(options.get("rpcOptions"), "initOptions.rpcOptions")
    method = member(request, "methodName", str)
    if method not in METHODS:
        raise HemRequestRefused(f"methodName: {method[:_SHOWN]!r}; accepted: {', '.join(METHODS)}")
    arguments = member(request, method, dict)
    if method == "publicKey":
        _remote(member(arguments, "publicKeyOptions", dict).get("rpcOptions"), "publicKeyOptions.rpcOptions")
    return Asked(member(options, "keyResourceID", str), member(options, "hashFunc", int), method, arguments)


def member(value: Any, name: str, kind: type[T]) -> T:
    """The member of an object, which must be of this type. ``HemRequestRefused``."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        has = "nothing" if found is None else type(found).__name__
        raise HemRequestRefused(f"{name}: {has}; accepted: {_JSON[kind]}")
    return found


def octets(value: Any, place: str) -> bytes:
    """Bytes as Go has them in JSON. ``HemRequestRefused``."""
    if not isinstance(value, str):
        raise HemRequestRefused(f"{place}: {type(value).__name__}; accepted: base64 in a string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise HemRequestRefused(f"{place}: {len(value)} characters that are no base64") from None


def encoded(data: bytes) -> str:
    """Bytes as Go has them in JSON."""
    return base64.b64encode(data).decode()


def _remote(options: Any, place: str) -> bool:
    """Whether the device is to verify. ``HemRequestRefused`` for another version of a key than there is."""
    if not isinstance(options, dict):
        return False
    version = options.get("keyVersion")
    if version not in (None, ""):
        raise HemRequestRefused(
            f"{place}.keyVersion: {str(version)[:_SHOWN]!r}; keys of a HEM have no versions"
        )
    return options.get("remoteVerification") is True
