"""An emulated device in the test's process, with tokens and calls in one line each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hem_provider.emulator import EmulatedDevice, knobs, setup
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt
from hem_provider.emulator.wsgiclient import Reply, call

__all__ = ["ADMIN", "PASSPHRASE", "Clock", "Rig", "proof"]

PASSPHRASE = "correct horse battery staple"
ADMIN = "admin passphrase"

_derived: dict[tuple[str, str], bytes] = {}


class Clock:
    """Host time that only moves when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Rig:
    """One device with what a test needs around it. Secrets are derived once per identity, since that is
    slow."""

    def __init__(self, path: Path, *, init: bool = True, model: str = "ppa", **options: Any) -> None:
        self.clock: Clock = options.setdefault("clock", Clock())
        self.open = EmulatedDevice(path, model=model, **options)
        if init:
            self.initialise()

    def initialise(self, **options: Any) -> str:
        return setup.initialise(self.open, passphrase=PASSPHRASE, admin_passphrase=ADMIN, **options)

    def close(self) -> None:
        self.open.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        secure: bool = True,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Reply:
        return call(self.open.device, method, path, body, token=token, secure=secure, headers=headers)

    def cloud(self, method: str, path: str, body: object = None) -> Reply:
        return call(self.open.cloud, method, path, body)

    def private(self, passphrase: str = PASSPHRASE) -> bytes:
        eid = self.call("GET", "/api/auth/token").json()["eid"]
        if (passphrase, eid) not in _derived:
            _derived[passphrase, eid] = setup.derive_private(passphrase, eid)
        return _derived[passphrase, eid]

    def token(self, scope: str, *, passphrase: str = PASSPHRASE, seconds: int = 3600) -> str:
        return setup.log_in(self.open, self.private(passphrase), scope, seconds=seconds)

    def master(self, scope: str) -> str:
        return self.token(scope, passphrase=ADMIN)

    def check_in(self) -> str:
        return setup.check_in(self.open)

    def quirk(self, name: str, value: str) -> None:
        with self.open.model.transaction():
            knobs.set_quirk(self.open.model, name, value)

    def create(self, kind: str, **fields: object) -> str:
        """Create a key and return its kid."""
        answer = self.call(
            "POST",
            "/api/keymgmt/create",
            {"label": "test", "type": kind, **fields},
            token=self.token("keymgmt:gen"),
        )
        assert answer.status == 200, answer
        return str(answer.json()["kid"])

    def use(self, kid: str) -> str:
        return self.token(f"keymgmt:use:{kid}")

    def crypto(self, path: str, kid: str, **fields: object) -> Reply:
        """A crypto call on `kid` with a fresh token for it."""
        return self.call("POST", f"/api/crypto/{path}", {"kid": kid, **fields}, token=self.use(kid))


def proof(rig: Rig, *, private: bytes | None = None, header: str = CLIENT_HEADER, **changes: Any) -> str:
    """A proof for a fresh challenge, with some claims replaced; None removes one."""
    challenge = rig.call("GET", "/api/auth/token").json()
    private = private or rig.private()
    claims = {
        "jti": challenge["jti"],
        "aud": challenge["spk"],
        "exp": challenge["exp"] + 3600,
        "iat": challenge["exp"] - 60,
        "iss": to_b64(x25519_public(private)),
        "scope": "keymgmt:list",
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return encode_jwt(header, claims, x25519_secret(private, from_b64(challenge["spk"])))
