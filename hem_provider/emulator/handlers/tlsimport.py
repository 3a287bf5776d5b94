"""TLS material from outside: bundles of the register service and bare chains (device API §8.4).

The real key-wrapping of a bundle is not public. Ours, known to the emulated register service only:
AES-256-CBC without padding over the 32-byte private scalar followed by its SHA-256, key = SHA-256 of the ECDH
X coordinate.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hem_provider.emulator import tls
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.fields import Reader
from hem_provider.emulator.quirks import Switches
from hem_provider.emulator.schema import Schema, base64_text, record, string
from hem_provider.emulator.state import Tls

__all__ = ["BUNDLE", "import_bundle", "import_chain", "seal_key", "split_chain"]

_KEY_TEXT = 113


def split_chain(data: bytes) -> list[x509.Certificate]:
    """Concatenated DER certificates, leaf first; ``ValueError`` when there is none or something else in
    between."""
    certificates = []
    while data:
        size = _der_size(data)
        certificates.append(x509.load_der_x509_certificate(data[:size]))
        data = data[size:]
    if not certificates:
        raise ValueError("no certificate")
    return certificates


def _der_size(data: bytes) -> int:
    """Length of the DER SEQUENCE that ``data`` starts with, its header included."""
    if len(data) < 4 or data[0] != 0x30:
        raise ValueError("not a DER certificate")
    if data[1] < 0x80:
        return 2 + data[1]
    count = data[1] & 0x7F
    if not 1 <= count <= 3:
        raise ValueError("not a DER certificate")
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")


def import_chain(device: Device, data: bytes) -> Tls:
    """A chain for a key that the device has: that of its last request, or the one in use. ``ValueError`` if
    neither."""
    chain = split_chain(data)
    public = chain[0].public_key()
    pem = "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in chain)
    current = device.state.tls.key if device.state.tls else ""
    for key in (device.state.csr_key, current):
        if key and _same(tls.load_key(key).public_key(), public):
            return Tls(key, pem)
    raise ValueError("the certificate is for another key")


def _same(own: ec.EllipticCurvePublicKey, other: object) -> bool:
    return isinstance(other, ec.EllipticCurvePublicKey) and own.public_numbers() == other.public_numbers()


def _wrapping_key(private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey) -> bytes:
    return hashlib.sha256(private.exchange(ec.ECDH(), public)).digest()


def seal_key(element_point: bytes, key: ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    """``emp`` and ``key`` of a bundle: ``key`` sealed for the secure element with this public point."""
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    element = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), element_point)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    iv = secrets.token_bytes(16)
    encryptor = Cipher(AES256(_wrapping_key(ephemeral, element)), CBC(iv)).encryptor()
    sealed = encryptor.update(scalar + hashlib.sha256(scalar).digest()) + encryptor.finalize()
    emp = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return to_b64(emp), f"{to_b64(iv)}.{to_b64(sealed)}"


def _open_key(device: Device, emp: str, sealed: str) -> str:
    iv_text, _, key_text = sealed.partition(".")
    if len(sealed) != _KEY_TEXT:
        raise ValueError(f"key has {len(sealed)} characters, not {_KEY_TEXT}")
    iv, data = from_b64(iv_text), from_b64(key_text)
    if len(iv) != 16 or len(data) != 64:
        raise ValueError("key is not a 16-byte IV and 64 bytes of ciphertext")
    element = ec.derive_private_key(int.from_bytes(device.state.factory.element_key, "big"), ec.SECP256R1())
    ephemeral = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_b64(emp))
    decryptor = Cipher(AES256(_wrapping_key(element, ephemeral)), CBC(iv)).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    if not hmac.compare_digest(hashlib.sha256(plain[:32]).digest(), plain[32:]):
        raise ValueError("key is sealed for another device")
    key = ec.derive_private_key(int.from_bytes(plain[:32], "big"), ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _bundle_schema(_switches: Switches) -> Schema:
    encoded = base64_text(1, lenient=True)
    schema = record({"crt": encoded}, {"emp": encoded, "key": string(_KEY_TEXT, _KEY_TEXT)})
    return {**schema, "additionalProperties": True, "dependentRequired": {"emp": ["key"], "key": ["emp"]}}


def _bundle(value: Any, _switches: Switches) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("crt"), str):
        raise ValueError("tls needs crt")  # noqa: TRY004 - every fault of a field is one kind of error
    return value


BUNDLE: Final = Reader(_bundle, _bundle_schema)
"""The ``tls`` object of a config write, its content unseen."""


def import_bundle(device: Device, value: Any) -> Tls:
    """The material of a ``tls`` object; ``ValueError`` names what is wrong with it."""
    bundle = BUNDLE(value, device.switches)
    data = from_b64(bundle["crt"])
    if "key" not in bundle and "emp" not in bundle:
        return import_chain(device, data)
    emp, sealed = bundle.get("emp"), bundle.get("key")
    if not isinstance(emp, str) or not isinstance(sealed, str):
        raise ValueError("tls needs emp and key together")  # noqa: TRY004
    key = _open_key(device, emp, sealed)
    chain = split_chain(data)
    if not _same(tls.load_key(key).public_key(), chain[0].public_key()):
        raise ValueError("the certificate is for another key")
    return Tls(key, "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in chain))
