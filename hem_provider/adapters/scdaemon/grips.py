"""Keys as libgcrypt has them: keygrips, by which GnuPG knows a key, and S-expressions.

A keygrip is the SHA-1 of a curve's parameters and the public point, each as ``(1:<letter><size>:<value>)``
(libgcrypt's manual, "gcry_pk_get_keygrip"); signs of negative parameters are not part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import load_public
from hem_provider.records import frozen

__all__ = ["CURVES", "Curve", "canonical", "keygrip", "point_of", "public_expression"]

_P25519 = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFED
_N25519 = 2**252 + 27742317777372353535851937790883648493
_P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1


@frozen
class Curve:
    """``name``: libgcrypt's. ``short``: as GnuPG lists it. ``openpgp``: number of its algorithm. ``flags``:
    of its keys. The rest: parameters."""

    name: str
    short: str
    openpgp: int
    flags: str
    p: int
    a: int
    b: int
    g: tuple[int, int]
    n: int


#: The device's type → its curve.
CURVES: Mapping[str, Curve] = {
    "ED25519": Curve(
        "Ed25519", "ed25519", 22, "eddsa", _P25519, 1,
        0x2DFC9311D490018C7338BF8688861767FF8FF5B2BEBE27548A14B235ECA6874A,
        (0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A,
         0x6666666666666666666666666666666666666666666666666666666666666658),
        _N25519,
    ),
    "CURVE25519": Curve(
        "Curve25519", "cv25519", 18, "djb-tweak", _P25519, 0x01DB41, 1,
        (9, 0x20AE19A1B8A086B4E01EDD2C7748D14C923D4D7E6D7C61B229E9C5A27ECED3D9),
        _N25519,
    ),
    "SECP256R1": Curve(
        "NIST P-256", "nistp256", 18, "", _P256, _P256 - 3,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
         0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
}  # fmt: skip


def keygrip(kind: str, public: bytes) -> str:
    """40 hex digits, of a public key in device form."""
    curve = CURVES[kind]
    size = (curve.p.bit_length() + 7) // 8
    base = b"\4" + b"".join(each.to_bytes(size, "big") for each in curve.g)
    point = point_of(kind, public)
    point = point.removeprefix(b"\x40") if len(point) == size + 1 else point
    values: tuple[int | bytes, ...] = (curve.p, curve.a, curve.b, base, curve.n, point)
    digest = hashlib.sha1(usedforsecurity=False)
    for letter, value in zip(b"pabgnq", values, strict=True):
        data = value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8, "big")
        digest.update(b"(1:%c%d:%b)" % (letter, len(data), data))
    return digest.hexdigest().upper()


def point_of(kind: str, public: bytes) -> bytes:
    """A public key in device form as libgcrypt has it: uncompressed, or with 0x40 before it."""
    if kind != "SECP256R1":
        return b"\x40" + public
    numbers = load_public(KEY_TYPES[kind], public).public_numbers()
    return b"\4" + bytes(numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))


def public_expression(kind: str, public: bytes) -> bytes:
    """The S-expression of a public key in device form, canonical."""
    curve = CURVES[kind]
    flags = [("flags", curve.flags)] if curve.flags else []
    return canonical(("public-key", ("ecc", ("curve", curve.name), *flags, ("q", point_of(kind, public)))))


def canonical(expression: object) -> bytes:
    """Nested tuples of texts and bytes as an S-expression."""
    if isinstance(expression, tuple):
        return b"(" + b"".join(map(canonical, expression)) + b")"
    data = expression if isinstance(expression, bytes) else str(expression).encode()
    return b"%d:%b" % (len(data), data)
