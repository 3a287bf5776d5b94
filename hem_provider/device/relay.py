"""Requests of others, sent to the device with this session's login: the agent's way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hem_provider.device.checkin import identified
from hem_provider.device.hem import Hem, Identity
from hem_provider.errors import HemError
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.encoding import parse_json
from hem_provider.rest.kdf import Kdf, seed_from
from hem_provider.rest.wire import ConnectionLostError, Limit, NoTurnError, Reply
from hem_provider.secret import Lease

__all__ = ["FIRST_SCOPE", "Kdf", "Relay", "Reply", "credential_seed", "name_of", "parse_json"]


#: What a login that is no request's asks a token for: most programs begin by listing.
FIRST_SCOPE = "keymgmt:list"


class Relay:
    """One device, reached with the login of ``hem``, its recoveries and its turn. Safe for threads."""

    def __init__(self, hem: Hem) -> None:
        self._hem = hem

    def holds(self, scopes: Sequence[str]) -> bool:
        """Whether a token for one of ``scopes`` is at hand, so that no login is needed. No I/O."""
        return not scopes or self._hem.session.holds(scopes)

    def authorise(self, scopes: Sequence[str]) -> None:
        """Obtain a token for the first of ``scopes`` where none is at hand. Raises as a login does."""
        self._hem.session.bearer(scopes)

    def identity(self) -> Identity:
        """Who the device is now, by one call, and after a check-in where it takes one."""
        return identified(self._hem)

    def unlock(self, seed: Lease, eid: str, doubt: str | None) -> bool:
        """Log in with a derived key, which is kept when the device accepts it, and let go of otherwise.
        One login. Raises what the way to the device raises.

        ``eid``: the device's identity that it was derived for; ``doubt``: what makes the passphrase
        doubtful, for messages.
        """
        session = self._hem.session
        credential = Credential(seed, eid=eid, role=Role.USER, doubt=doubt)
        accepted = None
        try:
            accepted = session.proves(credential, FIRST_SCOPE)
        finally:
            if accepted is None:
                credential.wipe()
        if accepted is None:
            return False
        session.adopt(credential)
        session.keep(*accepted)
        return True

    def lock(self) -> None:
        """Forget credential (overwritten) and tokens. No I/O."""
        self._hem.session.forget()

    @property
    def eid(self) -> str | None:
        """Of the credential at hand. No I/O."""
        credential = self._hem.session.credential
        return None if credential is None else credential.eid

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        scopes: Sequence[str],
        within: float,
        repeatable: bool,
    ) -> Reply:
        """The device's answer to one request, whatever its status, in at most ``within`` seconds.

        ``body`` becomes JSON. ``scopes``: a token for any of them will do; none: no token is sent.
        Raises what the way to the device and a login raise.
        """
        call: Call[Reply] = Call(
            method,
            path,
            _never_read,
            body,
            scopes=tuple(scopes),
            repeatable=repeatable,
            limit=Limit(within, "what the caller allows"),
            tls_only=bool(scopes),
            is_relayed=True,
        )
        return self._hem.session.run(call)


def credential_seed(passphrase: str, eid: str, kdf: Kdf = Kdf.PBKDF2) -> bytes:
    """The 32 bytes that a passphrase is for the device ``eid`` (0.2 to 1 s; device API §5.2)."""
    return seed_from(passphrase, eid, kdf)


def _never_read(_: object) -> Reply:
    raise AssertionError("a relayed reply is not read")


def name_of(error: HemError) -> str:
    """What the error is called between an agent and its client."""
    if isinstance(error, ConnectionLostError | NoTurnError):
        return type(error).__name__
    return next(each.__name__ for each in type(error).__mro__ if each.__module__ == HemError.__module__)
