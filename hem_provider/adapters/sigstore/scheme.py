"""What is signed, and by which of the device's algorithms.

A message may come with its digest, or the digest may come alone. The device hashes by itself, so the message
must be there; its digest then says by which hash it is signed, and must be the message's. Of Ed25519 keys
(RFC 8032) a digest beside the message means Ed25519ph, and none the pure form; where the hash is said to be
none, what is called digest is the message, as Go's ``crypto.Signer`` has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import BinaryIO, NoReturn

from hem_provider.adapters.sigstore.protocol import Options
from hem_provider.errors import HemRequestRefused, MessageTooLong
from hem_provider.keys.signing import algorithm_of
from hem_provider.keytypes import ECDSA, Family, KeyType

__all__ = ["PREHASHED", "check_size", "digest_of", "read_message", "scheme_of"]

_PURE = "Ed25519"
#: The device's literal for what nothing here verifies.
PREHASHED = "Ed25519ph"
#: Go's ``crypto.Hash`` → the digest's name, and none.
_HASHES: Mapping[int, str | None] = {0: None, 5: "sha256", 6: "sha384", 7: "sha512"}
_SHA512 = 7
_BY_SIZE = {hashlib.new(name).digest_size: name for name in _HASHES.values() if name}
_CHUNK = 64 * 1024


def scheme_of(kind: KeyType, options: Options, default: int, message: bytes) -> tuple[str, bytes]:
    """The device's literal for a signature of such a request, and the message. ``default``: the hash function
    where none is said. ``HemRequestRefused`` where there is none."""
    if kind.family is Family.EC:
        name = _hash_name(kind, options, default)
        _check_digest(options.digest, name, message)
        return algorithm_of(kind, name), message
    hashing, digest = options.hash_function, options.digest
    if hashing == 0 and digest is not None and not message:
        return _PURE, digest
    if hashing in (None, 0) and digest is None:
        return _PURE, message
    if hashing not in (None, _SHA512) or len(digest or bytes(64)) != hashlib.sha512().digest_size:
        raise HemRequestRefused(
            f"hashFunc {hashing} and a digest of {len(digest or b'')} bytes, with an Ed25519 key; accepted: "
            f"neither, for Ed25519, or SHA-512 ({_SHA512}, 64 bytes), for Ed25519ph"
        )
    _check_digest(digest, "sha512", message)
    return PREHASHED, message


def digest_of(kind: KeyType, options: Options, default: int, message: BinaryIO) -> tuple[str, bytes]:
    """For verifying ECDSA here: the digest's name and value, of a message of any size, or as it came without
    one. ``HemRequestRefused``."""
    name = _hash_name(kind, options, default)
    hashing, size = hashlib.new(name), 0
    while part := message.read(_CHUNK):
        hashing.update(part)
        size += len(part)
    told, found = options.digest, hashing.digest()
    if told in (None, found):
        return name, found
    if size or len(told or b"") != len(found):
        _refuse_digest(told, name, size)
    return name, told or b""


def read_message(message: BinaryIO, limit: int) -> bytes:
    """All of a message that the device takes. ``MessageTooLong``."""
    body = message.read(limit + 1)
    size = len(body)
    while size > limit and (part := message.read(_CHUNK)):
        size += len(part)
    check_size(size, limit)
    return body


def check_size(size: int, limit: int) -> None:
    """``MessageTooLong``."""
    if size > limit:
        raise MessageTooLong(
            f"message: {size} bytes; the device takes at most {limit} in one operation, and no digest "
            "instead. Sign a file of digests (sha256sum), or a statement that has fewer of them",
            size=size,
            limit=limit,
        )


def _hash_name(kind: KeyType, options: Options, default: int) -> str:
    """What the caller hashes by: as the request says, else as the digest's size tells, else as it was set up,
    else what is natural for the curve."""
    number = default if options.hash_function is None else options.hash_function
    if number not in _HASHES:
        accepted = ", ".join(f"{each} ({name})" for each, name in _HASHES.items() if name)
        raise HemRequestRefused(f"hashFunc: {number} of Go's crypto.Hash; accepted: {accepted}")
    named = _HASHES[number]
    if options.digest is not None and options.hash_function in (None, 0):
        named = _BY_SIZE.get(len(options.digest), named)
    return named or next(name for name, literal in ECDSA.items() if literal == kind.sign_algorithms[0])


def _check_digest(digest: bytes | None, name: str, message: bytes) -> None:
    if digest in (None, hashlib.new(name, message).digest()):
        return
    if message:
        _refuse_digest(digest, name, len(message))
    raise HemRequestRefused(
        f"only a digest of {len(digest or b'')} bytes came, and no message: a HEM hashes by itself and signs "
        "no digest. A crypto.Signer of this key asks so; cosign's sign, sign-blob and attest send the message"
    )


def _refuse_digest(digest: bytes | None, name: str, size: int) -> NoReturn:
    raise HemRequestRefused(
        f"digest: {len(digest or b'')} bytes that are not the {name} of the message of {size} bytes"
    )
