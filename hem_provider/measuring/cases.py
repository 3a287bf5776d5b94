"""The operations on keys, each at the layers of the Python API, the bare request first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.config.login_source import LoginSource, login_source
from hem_provider.device.hem import Key
from hem_provider.device.verification import ML_DSA, KnownKey, accepts
from hem_provider.keytypes import ECDSA, Family
from hem_provider.measuring.measure import FLOOR, Case
from hem_provider.measuring.subject import LABEL, Subject
from hem_provider.rest import crypto, keymgmt

__all__ = ["MESSAGE", "device_cases", "key_cases", "layers", "signing_cases"]

MESSAGE = b"a message of the usual length: 64 bytes, as TLS or SSH sign it.\n"
#: The device's ``alg`` → the digest of ``cryptography``.
_HASHES = {literal: getattr(hashes, name.upper())() for name, literal in ECDSA.items()}

Run = Callable[[], object]


def layers(operation: str, floor: Run | None, every: int = 1, **runs: Run) -> Iterator[Case]:
    """One case for each layer; ``floor`` may be missing."""
    if floor is not None:
        yield Case(operation, FLOOR, floor, every=every)
    for layer, run in runs.items():
        yield Case(operation, layer, run, every=every)


def device_cases(subject: Subject) -> Iterator[Case]:
    """Without a key: status, login, list, find, get."""
    hem = subject.hem
    yield from layers("status", subject.bare_request("GET", "/api/system/status"), Hem=hem.status)
    challenge = subject.bare_request("GET", "/api/auth/token", times=2)
    yield from layers("login", challenge)
    if login_source(hem.config, given=hem.logged_in) is not LoginSource.PHONE:  # a person is not measured
        yield Case("login", "Hem, credential kept", hem.login)
    page = subject.bare_request("GET", "/api/keymgmt/list/0/15", scope="keymgmt:list")
    run = hem.session.run
    yield from layers("list 15 keys", page, REST=lambda: run(keymgmt.list_keys()))
    yield Case("list 15 keys", "Hem", lambda: next(iter(hem.keys), None), prepare=hem.keys.refresh)
    if subject.keys:
        yield from _lookups(subject, *next(iter(subject.keys.items())))


def _lookups(subject: Subject, name: str, key: Key) -> Iterator[Case]:
    hem, run = subject.hem, subject.hem.session.run
    scope = f"keymgmt:use:{key.kid}"

    def find() -> Key:
        return hem.keys.find(label=LABEL + name)

    # Between a forgotten listing and this there is always one, else each would fetch the page anew.
    yield Case("find by label, listed", "Hem", find, prepare=lambda: list(hem.keys))
    yield Case("get by KID, listed", "Hem", lambda: hem.keys.get(key.kid), prepare=lambda: list(hem.keys))
    yield from layers(
        "get public key",
        subject.bare_request("GET", f"/api/keymgmt/get/{key.kid}", scope=scope),
        REST=lambda: run(keymgmt.get(key.kid)),
    )


def _creation(subject: Subject) -> Iterator[Case]:
    """A new AES key each time; the last case deletes the one before it."""
    hem = subject.hem
    made: list[str] = []

    def tidy() -> None:
        while made:
            hem.keys.delete(made.pop())

    request = subject.bare_request(
        "POST", "/api/keymgmt/create", scope="keymgmt:gen", label=LABEL + "new", type="AES256"
    )
    if request is not None:
        send = request
        yield Case("create AES256", FLOOR, lambda: made.append(json.loads(send())["kid"]), prepare=tidy)
    yield Case(
        "create AES256",
        "Hem",
        lambda: made.append(hem.keys.create("AES256", label=LABEL + "new").kid),
        prepare=tidy,
    )
    yield Case("delete AES256", "Hem", tidy)  # what the case before has made


def signing_cases(subject: Subject, key: Key) -> Iterator[Case]:
    """Sign 64 bytes, and verify with the native public key."""
    hem, kid = subject.hem, key.kid
    operation = f"sign {key.type.name}"
    private: Any = key.private_key()
    public: Any = key.public_key()
    run = hem.session.run
    if key.type.family is Family.MLDSA:
        yield from layers(
            operation,
            subject.bare_use(key, "pqc/mldsa/sign", msg=MESSAGE),
            REST=lambda: run(crypto.mldsa_sign(kid, MESSAGE)),
            cryptography=lambda: private.sign(MESSAGE),
        )
        arguments: tuple[object, ...] = ()
    else:
        algorithm = key.type.sign_algorithms[0]
        arguments = (ec.ECDSA(_HASHES[algorithm]),) if key.type.family is Family.EC else ()
        yield from layers(
            operation,
            subject.bare_use(key, "exdsa/sign", msg=MESSAGE, alg=algorithm),
            REST=lambda: run(crypto.sign(kid, MESSAGE, algorithm)),
            Hem=lambda: hem.sign(kid, MESSAGE, algorithm),
            cryptography=lambda: private.sign(MESSAGE, *arguments),
        )
    signature = private.sign(MESSAGE, *arguments)
    yield Case(
        f"verify {key.type.name}", "cryptography", lambda: public.verify(signature, MESSAGE, *arguments)
    )
    # What ``verify_signatures`` adds to each signature above but REST's.
    known = KnownKey(key.type, key.attributes, key.public_bytes())
    name = (key.type.sign_algorithms or (ML_DSA,))[0]
    yield Case(
        f"verify {key.type.name}",
        "before handing out",
        lambda: accepts(known, signature, MESSAGE, name, None),
    )


def key_cases(subject: Subject) -> Iterator[Case]:
    """Agreement and encapsulation."""
    hem, run = subject.hem, subject.hem.session.run
    p256, curve = subject.keys["SECP256R1"], subject.keys["CURVE25519"]
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = peer.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    private = p256.private_key(ec.EllipticCurvePrivateKey)
    yield from layers(
        "ECDH P-256",
        subject.bare_use(p256, "ecdh", pubkey=point),
        REST=lambda: run(crypto.ecdh(p256.kid, point)),
        Hem=lambda: hem.ecdh(p256.kid, point),
        cryptography=lambda: private.exchange(ec.ECDH(), peer),
    )
    other = x25519.X25519PrivateKey.generate().public_key()
    montgomery = curve.private_key(x25519.X25519PrivateKey)
    yield from layers(
        "ECDH X25519",
        subject.bare_use(curve, "ecdh", pubkey=other.public_bytes_raw()),
        cryptography=lambda: montgomery.exchange(other),
    )
    kem = subject.keys["MLKEM768"]
    decapsulator = kem.private_key(mlkem.MLKEM768PrivateKey)
    encapsulator: Any = kem.public_key()
    _, ciphertext = encapsulator.encapsulate()
    yield Case("ML-KEM-768 encapsulate", "cryptography", encapsulator.encapsulate)
    yield from layers(
        "ML-KEM-768 decapsulate",
        subject.bare_use(kem, "pqc/mlkem/decaps", ct=ciphertext),
        cryptography=lambda: decapsulator.decapsulate(ciphertext),
    )
    yield from _creation(subject)
