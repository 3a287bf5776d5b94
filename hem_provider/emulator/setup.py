"""Bringing an emulated device into use: check-in and initialisation through its own endpoints, as a client
would."""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt
from hem_provider.emulator.wsgiclient import Reply, call

__all__ = ["ITERATIONS", "SetupError", "check_in", "derive_private", "initialise", "log_in"]

ITERATIONS = 600_000
"""PBKDF2 rounds of the user secret (device API §5.2)."""


class SetupError(RuntimeError):
    """The emulated device refused a step of its set-up."""


def derive_private(passphrase: str, eid: str) -> bytes:
    """The X25519 private key of a passphrase, 32 bytes: PBKDF2-HMAC-SHA256 over the base64 *text* of the
    identity (device API §5.2)."""
    return PBKDF2HMAC(SHA256(), 32, eid.encode(), ITERATIONS).derive(passphrase.encode())


def _expect(answer: Reply, what: str) -> dict[str, Any]:
    if answer.status != 200:
        raise SetupError(f"{what}: the emulated device answered {answer.status}")
    return answer.json() if answer.body else {}


def check_in(device: EmulatedDevice) -> str:
    """Set the device's clock from the emulated backend; returns the action that the backend ordered.
    ``SetupError`` when the device does not take part."""
    check = _expect(call(device.device, "GET", "/api/system/checkin"), "check-in")
    checked = _expect(call(device.cloud, "POST", "/checkin", check), "check-in at the backend")
    return str(
        _expect(call(device.device, "POST", "/api/system/checkin", checked), "check-in reply")["status"]
    )


def initialise(
    target: EmulatedDevice | str | os.PathLike[str],
    *,
    passphrase: str,
    admin_passphrase: str,
    user: str = "Emulator",
    hostname: str = "my.ence.do",
    email: str = "",
    model: str = "ppa",
    firmware: str | os.PathLike[str] | None = None,
    trusted_ts: bool = True,
    allow_keysearch: bool = True,
) -> str:
    """Initialise a factory-fresh device and set its clock, so that it can be used at once; returns its init
    token.

    ``target`` is an open device or the path of a state file (made if absent, as ``model``
    and ``firmware`` say, see ``EmulatedDevice``). ``SetupError``
    when the device is initialised already or refuses a value.
    """
    if not isinstance(target, EmulatedDevice):
        with EmulatedDevice(target, model=model, firmware=firmware) as opened:
            return initialise(
                opened,
                passphrase=passphrase,
                admin_passphrase=admin_passphrase,
                user=user,
                hostname=hostname,
                email=email,
                trusted_ts=trusted_ts,
                allow_keysearch=allow_keysearch,
            )
    check_in(target)
    answer = call(target.device, "GET", "/api/auth/init")
    if answer.status == 406:
        raise SetupError(
            "the emulated device is initialised already; "
            "'hem emulator reset --factory' makes it factory-fresh"
        )
    challenge = _expect(answer, "initialisation")
    master = derive_private(admin_passphrase, challenge["eid"])
    own = derive_private(passphrase, challenge["eid"])
    cfg: dict[str, Any] = {
        "user": user,
        "email": email,
        "masterkey": to_b64(x25519_public(master)),
        "userkey": to_b64(x25519_public(own)),
        "hostname": hostname,
        "origin": "*",
        "trusted_ts": trusted_ts,
        "trusted_backend": True,
        "allow_keysearch": allow_keysearch,
        "ip": "192.168.7.1/24",
        "storage_mode": 0x51,
        "storage_disk0size": 8388608,
        "dnsd": False,
    }
    claims = {
        "jti": challenge["jti"],
        "aud": challenge["spk"],
        "exp": challenge["exp"],
        "iat": challenge["exp"] - 60,
        "iss": cfg["masterkey"],
        "cfg": cfg,
    }
    proof = encode_jwt(CLIENT_HEADER, claims, x25519_secret(master, from_b64(challenge["spk"])))
    reply = _expect(call(target.device, "POST", "/api/auth/init", {"init": proof}), "initialisation")
    return str(reply["token"])


def log_in(target: EmulatedDevice, private: bytes, scope: str, *, seconds: int = 3600) -> str:
    """A bearer for one scope, by an X25519 private key; ``SetupError`` when the device refuses it."""
    challenge = _expect(call(target.device, "GET", "/api/auth/token"), "login challenge")
    now = challenge["exp"] - 60
    claims = {
        "jti": challenge["jti"],
        "aud": challenge["spk"],
        "exp": now + seconds,
        "iat": now,
        "iss": to_b64(x25519_public(private)),
        "scope": scope,
    }
    proof = encode_jwt(CLIENT_HEADER, claims, x25519_secret(private, from_b64(challenge["spk"])))
    return str(_expect(call(target.device, "POST", "/api/auth/token", {"auth": proof}), "login")["token"])
