"""The module's C functions through ctypes, and python-pkcs11: one layer more on the same operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hem_pkcs11.constants import CKM, CKO

from benchmarks.cryptoki import Cryptoki, Parameter
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.cipher_cases import CHAINED, SIZES, size_name
from hem_provider.measuring.measure import Case
from hem_provider.measuring.subject import LABEL, Subject

__all__ = ["SIGNING", "module_cases", "python_cases", "signing_case"]

#: Key → mechanism of the natural signature.
SIGNING = {
    "SECP256R1": CKM.ECDSA_SHA256,
    "SECP384R1": CKM.ECDSA_SHA384,
    "SECP521R1": CKM.ECDSA_SHA512,
    "SECP256K1": CKM.ECDSA_SHA256,
    "ED25519": CKM.EDDSA,
    "ED448": CKM.EDDSA,
    "MLDSA44": CKM.ML_DSA,
    "MLDSA65": CKM.ML_DSA,
    "MLDSA87": CKM.ML_DSA,
}
#: Key → parameter of its mechanism, where it wants one.
PARAMETERS = {"ED448": Parameter.eddsa()}
_NONCE, _IV = bytes(range(12)), bytes(16)


def signing_case(module: Cryptoki, name: str, layer: str = "C_Sign") -> Case:
    """Sign 64 bytes through a module."""
    (handle,) = module.find(CKO.PRIVATE_KEY, label=LABEL + name)
    return Case(
        f"sign {name}", layer, lambda: module.sign(handle, SIGNING[name], MESSAGE, PARAMETERS.get(name))
    )


def module_cases(module: Cryptoki, subject: Subject, pin: str) -> Iterator[Case]:
    """Every operation that has a C function."""
    yield Case("login", "C_Login, PIN kept", lambda: module.login(pin), prepare=module.logout)
    yield Case("list 15 keys", "C_FindObjects", module.find)
    yield Case("find by label, listed", "C_FindObjects", lambda: module.find(label=LABEL + "SECP256R1"))
    kid = bytes.fromhex(subject.keys["SECP256R1"].kid)
    yield Case("get by KID, listed", "C_FindObjects", lambda: module.find(identifier=kid))
    for name, mechanism in SIGNING.items():
        yield signing_case(module, name)
        yield _verification(module, name, mechanism)
    yield from _agreement(module)
    yield from _symmetric(module)
    yield Case("random 32 B", "C_GenerateRandom", lambda: module.random(32))


def _verification(module: Cryptoki, name: str, mechanism: int) -> Case:
    (private,) = module.find(CKO.PRIVATE_KEY, label=LABEL + name)
    (public,) = module.find(CKO.PUBLIC_KEY, label=LABEL + name)
    parameter = PARAMETERS.get(name)
    signature = module.sign(private, mechanism, MESSAGE, parameter)
    return Case(
        f"verify {name}", "C_Verify", lambda: module.verify(public, mechanism, MESSAGE, signature, parameter)
    )


def _agreement(module: Cryptoki) -> Iterator[Case]:
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    other = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    for operation, name, public in (("ECDH P-256", "SECP256R1", point), ("ECDH X25519", "CURVE25519", other)):
        (key,) = module.find(CKO.PRIVATE_KEY, label=LABEL + name)
        yield _derivation(module, operation, key, public)


def _derivation(module: Cryptoki, operation: str, key: int, public: bytes) -> Case:
    made: list[int] = []

    def tidy() -> None:
        while made:
            module.destroy(made.pop())

    return Case(operation, "C_DeriveKey", lambda: made.append(module.derive(key, public)), prepare=tidy)


def _symmetric(module: Cryptoki) -> Iterator[Case]:
    def secret(name: str) -> int:
        (handle,) = module.find(CKO.SECRET_KEY, label=LABEL + name)
        return handle

    hmac, aead, cipher, mac = (
        secret(name) for name in ("SHA2-256", "AES256 aead", "AES256 cipher", "AES256 mac")
    )
    yield Case("HMAC-SHA256", "C_Sign", lambda: module.sign(hmac, CKM.SHA256_HMAC, MESSAGE))
    modes = (
        ("AES-GCM", aead, CKM.AES_GCM, Parameter.gcm(_NONCE)),
        ("AES-CTR", cipher, CKM.AES_CTR, Parameter.ctr(_IV)),
        ("AES-ECB", cipher, CKM.AES_ECB, None),
    )
    for size in SIZES:
        data, every = bytes(size), -(-size // 2048)
        for name, key, mechanism, parameter in modes:
            yield Case(
                f"{name} {size_name(size)}",
                "C_Encrypt",
                lambda k=key, m=mechanism, p=parameter, d=data: module.encrypt(k, m, p, d),  # type: ignore[misc]
                every=every,
            )
        yield Case(
            f"AES-CBC decrypt {size_name(size)}",
            "C_Decrypt",
            lambda d=data: module.decrypt(cipher, CKM.AES_CBC, Parameter.iv(_IV), d),  # type: ignore[misc]
            every=every,
        )
    for size in CHAINED:
        data, every = bytes(size), size // 16
        yield Case(
            f"AES-CBC encrypt {size_name(size)}",
            "C_Encrypt",
            lambda d=data: module.encrypt(cipher, CKM.AES_CBC, Parameter.iv(_IV), d),  # type: ignore[misc]
            every=every,
        )
        yield Case(
            f"AES-CMAC {size_name(size)}",
            "C_Sign",
            lambda d=data: module.sign(mac, CKM.AES_CMAC, d),  # type: ignore[misc]
            every=every,
        )


def python_cases(library: str, place: int) -> Iterator[Case]:
    """python-pkcs11 on the slot at ``place``; its login is the module's, which has one for all sessions."""
    import pkcs11

    slots = pkcs11.lib(library).get_slots(token_present=True)
    session = slots[place].get_token().open()
    layer = "python-pkcs11"
    yield Case("list 15 keys", layer, lambda: list(session.get_objects()))
    label = {pkcs11.Attribute.LABEL: LABEL + "SECP256R1"}
    yield Case("find by label, listed", layer, lambda: list(session.get_objects(label)))
    for name in ("SECP256R1", "SECP384R1", "ED25519"):
        key: Any = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=LABEL + name)
        which = pkcs11.Mechanism(SIGNING[name])
        yield Case(f"sign {name}", layer, lambda k=key, m=which: k.sign(MESSAGE, mechanism=m))  # type: ignore[misc]
    hmac: Any = session.get_key(pkcs11.ObjectClass.SECRET_KEY, label=LABEL + "SHA2-256")
    yield Case("HMAC-SHA256", layer, lambda: hmac.sign(MESSAGE, mechanism=pkcs11.Mechanism.SHA256_HMAC))
    cipher: Any = session.get_key(pkcs11.ObjectClass.SECRET_KEY, label=LABEL + "AES256 cipher")
    for size in SIZES:
        yield Case(
            f"AES-CBC decrypt {size_name(size)}",
            layer,
            lambda d=bytes(size): cipher.decrypt(d, mechanism=pkcs11.Mechanism.AES_CBC, mechanism_param=_IV),  # type: ignore[misc]
            every=-(-size // 2048),
        )
    yield Case("random 32 B", layer, lambda: session.generate_random(256))
