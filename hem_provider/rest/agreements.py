"""What fields of an answer must agree with: the request, the key, and each other. The modules of the
endpoints name these in a ``Shape``; each reads one value, or judges all values of an answer together.
Sections are those of the device API. What does not agree is a ``ValueError``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hem_provider.ecdsa import ORDERS, numbers
from hem_provider.keytypes import KEY_TYPES, MAX_DESCR, RAW_SECRET, Family, parse_attributes
from hem_provider.publickeys import check_public, kid_of
from hem_provider.rest.fields import Asked, Field, Reader, Shape, data, integer, text, within

__all__ = [
    "BLOCK",
    "HALF_BLOCK",
    "LAST",
    "MAX_CERTIFICATE",
    "MOST_DATA",
    "bundle_or_order",
    "decided",
    "echo",
    "encapsulation",
    "encrypted",
    "expiry",
    "granted_scope",
    "how_many",
    "kid_of_sent",
    "lattice_signature",
    "log_files",
    "longer_by",
    "mac",
    "material",
    "offered",
    "page",
    "plain",
    "secret",
    "signature",
]

#: The year 2242: no clock says more.
LAST = 2**33
MAX_CERTIFICATE = 16 * 1024
BLOCK, HALF_BLOCK = 16, 8
#: Of data whose size is then held against what was sent, in bytes.
MOST_DATA = 1024 * 1024
_MAC_SIZES = sorted({kind.signature_size or 0 for kind in KEY_TYPES.values() if kind.family is Family.HMAC})
_MLDSA = {name: kind for name, kind in KEY_TYPES.items() if kind.family is Family.MLDSA}
_MLKEM = {name: kind for name, kind in KEY_TYPES.items() if kind.family is Family.MLKEM}


def granted_scope(value: Any, asked: Asked) -> str:
    """The scope that was asked; a phone may have added the right to write to a disk (§10.5)."""
    found: str = text(0, 1100)(value, asked)
    if asked.scope is not None and found not in (asked.scope, f"{asked.scope}:rw"):
        raise ValueError(f"another scope, of {len(found)} characters; accepted: {asked.scope!r}")
    return found


def expiry(value: Any, asked: Asked) -> int:
    """Never later than asked (§5.3), with a minute for whoever rounds."""
    return int(integer(1, LAST if asked.until is None else asked.until + 60)(value, asked))


def echo(value: Any, asked: Asked) -> str:
    """What was sent comes back (device API §10.4). ``ValueError``."""
    if value != asked.echo:
        raise ValueError("not what was sent")
    return str(value)


def how_many(most: int) -> Reader:
    """An object of up to ``most`` names; how many they are."""

    def read(value: Any, _: Asked) -> int:
        if not isinstance(value, dict):
            raise ValueError("no object; accepted: an object")  # noqa: TRY004 - one kind of error for all
        return within(len(value), 0, most)

    return read


def log_files(values: Mapping[str, Any], asked: Asked) -> None:
    """No more files than there are in all (device API §14). ``ValueError``."""
    _total_covers(values["total"], asked.offset, len(values["id"]))


def _total_covers(total: int, offset: int, listed: int) -> None:
    if listed and total < offset + listed:
        raise ValueError(f"'total': {total}; accepted: at least {offset + listed}, which are listed")


def page(values: Mapping[str, Any], asked: Asked) -> None:
    """Counts that fit together and the request (§11.6); each key once; what was searched for (§11.7)."""
    records = values["list"]
    if asked.count is not None and len(records) > asked.count:
        raise ValueError(f"'list': {len(records)} records; accepted: at most {asked.count}, as asked")
    if values["listed"] not in (None, len(records)):
        raise ValueError(f"'listed': {values['listed']}; accepted: {len(records)}, which are listed")
    if values["offset"] not in (None, asked.offset):
        raise ValueError(f"'offset': {values['offset']}; accepted: {asked.offset}, as asked")
    _total_covers(values["total"], asked.offset, len(records))
    if len({each["kid"] for each in records}) != len(records):
        raise ValueError("'list': a KID twice; accepted: each once")
    for place, each in enumerate(records):
        descr = each["descr"] or b""
        # The device searches what was stored and gives back no more than its limit (§11.3).
        whole = len(descr) < MAX_DESCR
        if not descr.startswith(asked.starts) or (whole and not descr.endswith(asked.ends)):
            raise ValueError(f"'list': {place}: 'descr': {len(descr)} bytes that were not searched for")


def material(values: Mapping[str, Any], asked: Asked) -> None:
    """A public key of the type (size, on the curve) whose hash is the KID (§11.2); the type that was
    listed."""
    kind = parse_attributes(values["type"] or "").key_type
    if kind is not None and asked.type is not None and kind is not asked.type:
        raise ValueError(f"'type': {kind.name}; accepted: {asked.type.name}, as listed")
    public = values["pubkey"]
    if public is None:
        return
    if kid_of(public) != asked.kid:
        raise ValueError(f"'pubkey': {len(public)} bytes that are not the public key of {asked.kid}")
    if kind is not None:
        try:
            check_public(kind, public)
        except ValueError as error:
            raise ValueError(f"'pubkey': {error}") from None


def kid_of_sent(values: Mapping[str, Any], asked: Asked) -> None:
    """The KID of the public key that was sent: it is its hash."""
    if asked.public is not None and values["kid"] != kid_of(asked.public):
        raise ValueError(f"'kid': {values['kid']}; accepted: {kid_of(asked.public)}, of the key sent")


def signature(value: Any, asked: Asked) -> bytes:
    """EdDSA: as many bytes as RFC 8032 has. ECDSA: DER, ``r`` and ``s`` from 1 to the order of the curve
    less one; of a curve that is not known here, as large as the largest."""
    algorithm = asked.algorithm or ""
    if not algorithm.endswith("WithECDSA"):
        kind = KEY_TYPES["ED448" if algorithm.startswith("Ed448") else "ED25519"]
        return bytes(data(kind.signature_size or 0)(value, asked))
    signature = bytes(data(most=148)(value, asked))
    order = max(ORDERS.values()) if asked.type is None else ORDERS.get(asked.type.name, 0)
    try:
        if not all(each < order for each in numbers(signature)):
            raise ValueError("r or s is beyond the order of the curve")
    except ValueError as error:
        raise ValueError(f"{len(signature)} bytes that are no ECDSA signature: {error}") from None
    return signature


def secret(value: Any, asked: Asked) -> bytes:
    """A digest's size, or the raw secret's."""
    return bytes(data(*_digest_sizes(asked.algorithm, (RAW_SECRET,)), never_zero=True)(value, asked))


def mac(value: Any, asked: Asked) -> bytes:
    """The size of the digest: the algorithm's under a derived key, else the key type's."""
    name = asked.algorithm or (asked.type.name if asked.type is not None else None)
    return bytes(data(*_digest_sizes(name, tuple(_MAC_SIZES)), never_zero=True)(value, asked))


def _digest_sizes(name: str | None, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    kind = KEY_TYPES.get(name or "")
    if kind is None or kind.family is not Family.HMAC or kind.signature_size is None:
        return otherwise if not name else tuple(_MAC_SIZES)
    return (kind.signature_size,)


def _mode(asked: Asked) -> str:
    return (asked.algorithm or "").rpartition("-")[2]


def encrypted(values: Mapping[str, Any], asked: Asked) -> None:
    """ECB and GCM keep the length, CBC pads (PKCS#7); CBC and GCM have an IV, GCM a tag (§13.4)."""
    mode, size = _mode(asked), asked.size
    if mode == "CBC":
        size = size // BLOCK * BLOCK + BLOCK
    for name, has in (("iv", mode in ("CBC", "GCM")), ("tag", mode == "GCM")):
        if (values[name] is not None) is not has:
            raise ValueError(f"{name!r}: {'missing' if has else f'present; accepted: none for {mode}'}")
    _sized("ciphertext", values["ciphertext"], size, size)


def plain(values: Mapping[str, Any], asked: Asked) -> None:
    """A plaintext has the ciphertext's size, in CBC mode without its padding of 1 to 16 bytes
    (device API §13.4)."""
    least, most = asked.size, asked.size
    if _mode(asked) == "CBC":
        least, most = asked.size - BLOCK, asked.size - 1
    _sized("plaintext", values["plaintext"], least, most)


def _sized(name: str, value: bytes, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"{name!r}: {len(value)} bytes; accepted: {accepted}")


def longer_by(name: str, more: int) -> Shape:
    """The one field ``name``, ``more`` bytes longer than what was sent; negative for shorter (RFC 3394)."""

    def agree(values: Mapping[str, Any], asked: Asked) -> None:
        _sized(name, values[name], asked.size + more, asked.size + more)

    return Shape((Field(name, data(most=MOST_DATA)),), agree)


def encapsulation(value: Any, asked: Asked) -> bytes:
    """A KEM ciphertext of the size that its type has (FIPS 203)."""
    sizes = {each.ciphertext_size or 0 for each in _of(asked, _MLKEM).values()}
    return bytes(data(*sorted(sizes))(value, asked))


def lattice_signature(value: Any, asked: Asked) -> bytes:
    """An ML-DSA signature of the size that its type has (FIPS 204)."""
    sizes = {each.signature_size or 0 for each in _of(asked, _MLDSA).values()}
    return bytes(data(*sorted(sizes))(value, asked))


def _of(asked: Asked, kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key's own type, or all of its family where it is not known."""
    if asked.type is not None and asked.type.name in kinds:
        return {asked.type.name: asked.type}
    return kinds


def offered(value: Any, asked: Asked) -> bytes | None:
    """A certificate that the cloud offers. An odd offer is none: the check-in, which the device judges,
    must not fail for it."""
    try:
        return bytes(data(most=MAX_CERTIFICATE)(value, asked)) or None
    except ValueError:
        return None


def bundle_or_order(values: Mapping[str, Any], _: Asked) -> None:
    """A certificate, or the number of the order for one. ``ValueError`` for neither."""
    if values["crt"] is None and values["id"] is None:
        raise ValueError("'crt', 'id': both missing")


def decided(values: Mapping[str, Any], _: Asked) -> None:
    """A refusal, or what the phone approved (device API §10). ``ValueError`` for neither."""
    if not values["deny"] and values["authreply"] is None:
        raise ValueError("'authreply': missing")
