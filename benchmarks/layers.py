"""The operations to time, at each layer that has them, on one emulated device.

Layers, from the bottom: a bare HTTPS request of our own hand (the floor), the device object
(``Hem``), a ``cryptography`` key, the module's C functions through ctypes, and python-pkcs11.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hem_provider
from benchmarks.cryptoki import CKM_ECDSA_SHA256, CKM_EDDSA, Cryptoki
from benchmarks.floor import BareClient
from benchmarks.measure import Case
from hem_provider.cli.pkcs11 import module_path
from hem_provider.device import Hem, Key
from hem_provider.emulator.served import ServedEmulator

__all__ = ["FLOOR", "Workbench"]

FLOOR = "bare HTTPS"
MESSAGE = b"a message of the usual length: 64 bytes, as TLS or SSH sign it.\n"


class Workbench:
    """Every layer, logged in to one device with a P-256 and an Ed25519 key."""

    def __init__(self, emulator: ServedEmulator) -> None:
        self._emulator = emulator
        self._hem = self._connect()
        self._p256 = self._hem.keys.create("SECP256R1", label="bench-p256")
        self._ed25519 = self._hem.keys.create("ED25519", label="bench-ed25519")
        # The module reads its device from the environment of its host, which is this process.
        os.environ.update(HEM_URL=emulator.https, HEM_CA_FILE=str(emulator.ca_file))
        # python-pkcs11 initialises the module itself and wants to be the first; both share its login.
        self._token_of_pkcs11 = self._python_pkcs11_token()
        self._module = Cryptoki(Path(module_path()))
        self._module.login(emulator.passphrase)
        self._session = self._token_of_pkcs11.open()

    def _connect(self) -> Hem:
        device = self._emulator
        return hem_provider.connect(device.https, passphrase=device.passphrase, ca_file=device.ca_file)

    def count(self) -> tuple[int, int]:
        """Device calls and logins so far, as the device saw them."""
        return len(self._emulator.calls()), self._emulator.logins()

    def close(self) -> None:
        """Let go of the device."""
        self._module.close()
        self._hem.close()

    def cases(self) -> list[Case]:
        """Login, list and sign at each layer; the floor of each first."""
        return [*self._login(), *self._list(), *self._sign()]

    def _login(self) -> list[Case]:
        bare = BareClient(self._emulator.https, str(self._emulator.ca_file))
        hem = self._connect()
        token, pin = self._token_of_pkcs11, self._emulator.passphrase

        def two_calls() -> None:  # what a login costs on the wire, without its cryptography
            bare.request("GET", "/api/auth/token")
            bare.request("GET", "/api/auth/token")

        return [
            Case("login", FLOOR, two_calls),
            Case("login", "Hem", lambda: hem.login(pin), prepare=hem.logout),
            Case("login", "C_Login, PIN kept", lambda: self._module.login(pin), prepare=self._module.logout),
            Case(
                "login",
                "python-pkcs11, PIN kept",
                lambda: token.open(user_pin=pin),
                prepare=self._module.logout,
            ),
        ]

    def _list(self) -> list[Case]:
        bare = BareClient(self._emulator.https, str(self._emulator.ca_file))
        token = self._token("keymgmt:list")
        return [
            Case("list", FLOOR, lambda: bare.request("GET", "/api/keymgmt/list/0/15", token=token)),
            Case("list", "Hem", lambda: list(self._hem.keys), prepare=self._hem.keys.refresh),
            Case("list", "C_FindObjects", lambda: self._module.objects()),
        ]

    def _sign(self) -> list[Case]:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        p256 = self._p256.private_key(ec.EllipticCurvePrivateKey)
        edwards = self._ed25519.private_key(ed25519.Ed25519PrivateKey)
        sha256 = ec.ECDSA(hashes.SHA256())
        return [
            *self._signing(
                self._p256, "SHA256WithECDSA", CKM_ECDSA_SHA256, lambda: p256.sign(MESSAGE, sha256)
            ),
            *self._signing(self._ed25519, "Ed25519", CKM_EDDSA, lambda: edwards.sign(MESSAGE)),
        ]

    def _signing(self, key: Key, algorithm: str, mechanism: int, sign: Callable[[], bytes]) -> list[Case]:
        import pkcs11

        (handle,) = self._module.find_private(key.label)
        found = self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=key.label)
        name = f"sign {key.type.name}"
        return [
            Case(name, FLOOR, self._bare_sign(key.kid, algorithm)),
            Case(name, "Hem", lambda: self._hem.sign(key.kid, MESSAGE, algorithm)),
            Case(name, "cryptography", sign),
            Case(name, "C_Sign", lambda: self._module.sign(handle, mechanism, MESSAGE)),
            Case(name, "python-pkcs11", lambda: found.sign(MESSAGE, mechanism=pkcs11.Mechanism(mechanism))),
        ]

    def _bare_sign(self, kid: str, algorithm: str) -> Any:
        bare = BareClient(self._emulator.https, str(self._emulator.ca_file))
        token = self._token(f"keymgmt:use:{kid}")

        def sign() -> bytes:
            text = base64.b64encode(MESSAGE).decode()
            body = json.dumps({"kid": kid, "msg": text, "alg": algorithm}).encode()
            answer = json.loads(bare.request("POST", "/api/crypto/exdsa/sign", body, token))
            return base64.b64decode(answer["sign"])

        return sign

    def _token(self, scope: str) -> str:
        hem = self._connect()
        with hem:
            hem.login(self._emulator.passphrase, scope=scope)
            return hem.session.authorised((scope,), lambda token: token)

    def _python_pkcs11_token(self) -> Any:
        import pkcs11

        return next(iter(pkcs11.lib(str(module_path())).get_tokens()))
