"""Bringing a factory-fresh device into use: ``/api/auth/init`` (device API §7), which no other one has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hem_provider.errors import HemAuthenticationError, HemClockError, HemOperationFailed, HemRequestRefused
from hem_provider.records import frozen
from hem_provider.rest.answer import Answer
from hem_provider.rest.auth import Challenge, challenge_of
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential
from hem_provider.rest.ejwt import make_ejwt
from hem_provider.rest.encoding import b64, unb64
from hem_provider.rest.fields import Asked, Field, Shape, flag, jwt, text
from hem_provider.rest.sharedfields import BEARER, CHALLENGE, CSR, GENUINE
from hem_provider.rest.status import Meanings

__all__ = ["Initialised", "NewDevice", "challenge", "initialise"]

_MEANINGS: Meanings = {
    400: (HemRequestRefused, "a setting is missing or not acceptable; nothing was written"),
    401: (HemAuthenticationError, "the device does not accept the master secret's proof"),
    403: (HemClockError, "the device's clock is not set; it wants a check-in first"),
    406: (HemOperationFailed, "the device is initialised already"),
}


@frozen(kw_only=True)
class NewDevice:
    """What a device is initialised with. ``address``, ``storage_mode``, ``disk0_sectors`` (of 512
    bytes) and ``dns_server`` matter to USB devices only."""

    user: str
    hostname: str
    email: str = ""
    origin: str = "*"
    trusted_time: bool = True
    trusted_backend: bool = True
    anonymous_search: bool = True
    context: int = 0
    request_certificate: bool = False
    address: str = "192.168.7.1/24"
    storage_mode: int = 0x51
    disk0_sectors: int = 8_388_608
    dns_server: bool = False

    def fields(self, *, master: bytes, user: bytes) -> dict[str, Any]:
        """The ``cfg`` claim, with both public keys (32 bytes each)."""
        return {
            "user": self.user,
            "email": self.email,
            "masterkey": b64(master),
            "userkey": b64(user),
            "hostname": self.hostname,
            "origin": self.origin,
            "trusted_ts": self.trusted_time,
            "trusted_backend": self.trusted_backend,
            "allow_keysearch": self.anonymous_search,
            "ip": self.address,
            "storage_mode": self.storage_mode,
            "storage_disk0size": self.disk0_sectors,
            "dnsd": self.dns_server,
            "ctx": self.context,
            "gen_csr": self.request_certificate,
        }


@frozen
class Initialised:
    """The device's answer. ``token`` opens its configuration; ``csr`` is PEM or base64 DER.

    Where the answer itself was lost and the device found initialised: without ``genuine`` and
    ``csr``, and with ``reboot_required``, since a restart does no harm.
    """

    instance_id: str
    token: str
    genuine: str | None
    csr: str | None
    reboot_required: bool

    def __repr__(self) -> str:
        return f"<Initialised {self.instance_id}>"


_PATH = "/api/auth/init"
_CHALLENGE = Shape((*CHALLENGE, Field("genuine", GENUINE, needed=False)))
_INITIALISED = Shape(
    (
        Field("instanceid", text(1, 64)),
        Field("token", jwt(BEARER)),
        Field("genuine", GENUINE, needed=False),
        Field("csr", CSR, needed=False),
        Field("reboot_required", flag, needed=False),
    )
)


def _challenge(answer: Answer) -> Challenge:
    return challenge_of(answer, "")


def _initialised(answer: Answer) -> Initialised:
    return Initialised(
        instance_id=answer.text("instanceid"),
        token=answer.jwt("token").text,
        genuine=answer.optional_text("genuine"),
        csr=answer.optional_text("csr"),
        reboot_required=bool(answer.optional_flag("reboot_required")),
    )


def challenge() -> Call[Challenge]:
    """``GET``: what to prove against.

    ``HemClockError``: check in first. ``HemOperationFailed``: initialised already.
    """
    return Call(
        "GET", _PATH, _challenge, answer=_CHALLENGE, repeatable=True, meanings=_MEANINGS, own_way=True
    )


def initialise(given: Challenge, master: Credential, cfg: Mapping[str, Any]) -> Call[Initialised]:
    """``POST``, signed by the master secret. Not to be repeated blindly."""
    claims = {
        "jti": given.jti,
        "aud": given.spk,
        "exp": given.exp,
        "iat": given.device_time(),
        "iss": b64(master.public),
        "cfg": dict(cfg),
    }
    proof = make_ejwt(claims, master.agree(unb64(given.spk)))
    asked = Asked(scope="system:config")
    return Call(
        "POST",
        _PATH,
        _initialised,
        {"init": proof},
        answer=_INITIALISED,
        asked=asked,
        meanings=_MEANINGS,
    )
