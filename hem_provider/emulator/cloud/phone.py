"""The simulated phone: pairs by a scanned link, and answers login requests as it was told to (device API
§10.3, §10.5).

It talks to the broker as a real one does, with its own keys; only the push message is a function call.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hem_provider.emulator.cloud.events import pid_in_path
from hem_provider.emulator.cloud.records import Records
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, decode_jwt, encode_jwt
from hem_provider.emulator.sealing import seal, unseal
from hem_provider.emulator.wsgiclient import Reply

__all__ = [
    "ANSWERS",
    "LABEL",
    "PERIODS",
    "Phone",
    "PhoneError",
    "Send",
    "Settings",
    "settings_of",
    "store_settings",
]

ANSWERS: Final = ("approve", "refuse", "ignore")
PERIODS: Final = (900, 3600, 8 * 3600, 24 * 3600)
"""Lifetimes that a user can choose, in seconds; the first is the real app's default."""
LABEL: Final = "Emulated phone"


class PhoneError(RuntimeError):
    """The phone could not do what it was told: bad link, refused by the broker, no pairing."""


class Send(Protocol):
    """How the phone reaches the broker."""

    def __call__(self, method: str, path: str, body: object = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How the phone answers: what, how many seconds after the push, for how long, and whether it allows
    writing."""

    answer: str = "approve"
    after: float = 0.0
    period: int = PERIODS[0]
    write: bool = False


def settings_of(records: Records) -> Settings:
    """The settings in force."""
    found = records.get("phone", "settings")
    return Settings(**found) if found else Settings()


def store_settings(records: Records, settings: Settings) -> None:
    """Replace the settings; ``ValueError`` for an unknown answer, a negative delay or a lifetime that is
    none."""
    if settings.answer not in ANSWERS:
        raise ValueError(f"a phone answers {', '.join(ANSWERS)}, not {settings.answer!r}")
    if settings.after < 0 or settings.period <= 0:
        raise ValueError("a phone's delay and period are seconds, not negative")
    body = {
        "answer": settings.answer,
        "after": settings.after,
        "period": settings.period,
        "write": settings.write,
    }
    records.put("phone", "settings", body)


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone with its pairings, kept in the cloud's records under ``pairing``."""

    records: Records
    send: Send
    now: float

    def pair(self, link: str) -> str:
        """Scan a link and accept; returns the pairing id. The phone makes a key pair for each pairing."""
        path = _path_of(link)
        offered = self._expect(self.send("GET", path), "the link")
        request = decode_jwt(str(offered["request"]))
        eid, broker = request.text("iss"), request.text("aud")
        private = secrets.token_bytes(32)
        aid = to_b64(x25519_public(private))
        claims: dict[str, Any] = {"jti": request.text("jti")}
        if "eat" in request.claims:
            claims["eat"] = request.claims["eat"]
        claims.update(iss=aid, aud=eid, epk=broker, label=LABEL)
        reply = encode_jwt(CLIENT_HEADER, claims, x25519_secret(private, from_b64(eid)))
        fid = secrets.token_urlsafe(24)
        secret = x25519_secret(private, from_b64(broker))
        mac = hmac.digest(secret, (reply + fid).encode(), hashlib.sha256)
        body = {"reply": reply, "fid": fid, "mac": to_b64(mac), "aid": aid}
        pid = str(self._expect(self.send("POST", path, body), "the reply")["pid"])
        self.records.put("pairing", pid, {"private": to_b64(private), "eid": eid})
        return pid

    def refuse_pairing(self, link: str) -> None:
        """Scan a link and refuse."""
        self._expect(self.send("DELETE", _path_of(link), {}), "the link")

    def pushed(self, eventid: str, pids: list[str]) -> None:
        """A push message arrived: remember when and what to answer."""
        settings = settings_of(self.records)
        for pid in pids:
            if settings.answer != "ignore" and self.records.get("pairing", pid):
                due = {"pid": pid, "at": self.now + settings.after, "answer": settings.answer}
                self.records.put("due", eventid, due)

    def act(self, eventid: str) -> None:
        """Answer an event whose time has come."""
        due = self.records.get("due", eventid)
        if due is not None and due["at"] <= self.now:
            self.records.remove("due", eventid)
            self.answer(eventid, due["pid"], due["answer"])

    def answer(self, eventid: str, pid: str, answer: str) -> None:
        """Fetch an event and approve or refuse it; one that has expired or was answered is left alone."""
        path = f"/notify/event/data/{eventid}/{pid_in_path(pid)}"
        fetched = self.send("GET", path)
        pairing = self.records.get("pairing", pid)
        if fetched.status != 200 or pairing is None:
            return
        event = fetched.json()
        if answer == "refuse":
            self.send("DELETE", path, {})
            return
        private = from_b64(pairing["private"])
        authreply = self._approval(private, pairing["eid"], pid, event)
        secret = x25519_secret(private, from_b64(str(event["epk"])))
        mac = hmac.digest(secret, authreply.encode(), hashlib.sha256)
        self.send("POST", path, {"authreply": authreply, "mac": to_b64(mac)})

    def _approval(self, private: bytes, eid: str, pid: str, event: dict[str, Any]) -> str:
        settings = settings_of(self.records)
        secret, nonce = x25519_secret(private, from_b64(eid)), from_b64(str(event["jti"]))
        scope = unseal(secret, nonce, str(event["scope"])).decode().removesuffix(":rw")
        if settings.write and scope.startswith("storage:"):
            scope += ":rw"
        now = int(self.now)
        claims = {
            "aud": eid,
            "jti": event["jti"],
            "exp": now + settings.period,
            "iat": now,
            "pid": pid,
            "iss": to_b64(x25519_public(private)),
            "scope": seal(secret, nonce, scope.encode()),
        }
        return encode_jwt(CLIENT_HEADER, claims, secret)

    @staticmethod
    def _expect(answer: Reply, what: str) -> dict[str, Any]:
        if answer.status != 200:
            raise PhoneError(f"the broker answered {answer.status} to {what}")
        return answer.json() if answer.body else {}


def _path_of(link: str) -> str:
    at = link.find("/notify/register/challenge/")
    if at < 0:
        raise PhoneError(f"not a pairing link: {link!r}")
    return link[at:]
