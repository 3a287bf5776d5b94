"""Proving a secret to the device: a challenge, the proof of what is known, and a token for it (device API
§5, §20.3)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from hem_provider.config.login_source import LoginSource, login_source, read_passphrase
from hem_provider.device.cache import DiskCache
from hem_provider.device.checkin import Runs, check_in
from hem_provider.device.deriving import Derivation
from hem_provider.device.recoveries import Cures, Proof
from hem_provider.device.reliance import Reliance
from hem_provider.device.tokens import TokenCache
from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemConnectionError,
    HemError,
    HemLoginRequired,
)
from hem_provider.logs import INFO, WARNING, Logger
from hem_provider.rest import auth
from hem_provider.rest.auth import Bearer, Challenge
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.kdf import Kdf, master_kdfs

__all__ = ["LIFETIME", "Prover"]

_log = Logger("hem_provider.session")

#: Asked lifetime of a token, in seconds: the longest that is proven to be granted.
LIFETIME = 8 * 3600
#: A challenge is good for 60 s on the device; one older than this is not begun with.
_KEEP_CHALLENGE = 50.0


class _Session(Runs, Protocol):
    """The session that is to be logged in."""

    memory: DiskCache | None


class Prover:
    """One login at a time: whoever calls holds the lock. ``derive`` makes the credential of a secret."""

    def __init__(
        self,
        session: _Session,
        tokens: TokenCache,
        kdf: Kdf,
        derive: Callable[[str, str, Role, Kdf | None], Credential],
    ) -> None:
        self._session = session
        self._config = session.rest.channel.config
        self._tokens = tokens
        self._kdf = kdf
        self._derive = derive
        self._kept: tuple[int, Challenge] | None = None  # with the process it is for
        self._master_way: Kdf | None = None  # what the device took last
        self.challenge: Challenge | None = None  #: the last one seen

    def prove_secret(
        self, secret: str, role: Role, scope: str, kdf: Kdf | None
    ) -> tuple[Challenge, Bearer, Credential]:
        """A passphrase or the master's 24 words: by the ways that the device may take it, in turn."""
        *others, last = self._ways(secret, role, kdf)
        for way in others:
            try:
                proven = self._one(secret, role, scope, way)
            except HemLoginRequired:
                raise
            except HemAuthenticationError:
                _log.log(
                    INFO, "%s: the secret is not accepted by %s; trying %s", self._config.name, way, last
                )
            else:
                self._master_way = way
                return proven
        proven = self._one(secret, role, scope, last)
        if role is Role.MASTER:
            self._master_way = last
        return proven

    def _ways(self, secret: str, role: Role, kdf: Kdf | None) -> tuple[Kdf, ...]:
        if kdf is not None or role is Role.USER:
            return (kdf or self._kdf,)
        ways = master_kdfs(secret, self._config.master_kdf, self._kdf)
        return tuple(sorted(ways, key=lambda way: way is not self._master_way))

    def _one(self, secret: str, role: Role, scope: str, kdf: Kdf) -> tuple[Challenge, Bearer, Credential]:
        made: dict[str, Credential] = {}

        def once(eid: str) -> Credential:
            if eid not in made:
                made[eid] = ahead.result(secret, eid)
            return made[eid]

        with self.ahead(lambda text, eid: self._derive(text, eid, role, kdf), lambda: secret) as ahead:
            try:
                return self.prove(scope, once)
            except BaseException:
                for each in made.values():
                    each.wipe()
                raise

    def secret_at_hand(self, reliance: Reliance) -> str | None:
        """What the next login is by, where that can be known without asking a person or running a command."""
        given = reliance.look()
        if given is not None or reliance.explicit or login_source(self._config) is not LoginSource.FILE:
            return given
        try:
            return read_passphrase(self._config)
        except HemError:
            return None  # told when it is needed

    def ahead(self, derive: Callable[[str, str], Credential], secret: Callable[[], str | None]) -> Derivation:
        """What the next ``prove`` will need, begun where it is known and that first asks for a challenge."""
        derivation = Derivation(derive)
        eid = None if self._kept_is_good() else self._expected()
        if eid is not None and (text := secret()) is not None:
            derivation.begin(text, eid)
        return derivation

    def _expected(self) -> str | None:
        """The identity of the device that will most likely answer."""
        if self.challenge is not None:
            return self.challenge.eid
        return None if self._session.memory is None else self._session.memory.identity()

    def prove(
        self, scope: str, credential_for: Callable[[str], Credential]
    ) -> tuple[Challenge, Bearer, Credential]:
        """Challenge and proof, with the cures of ``RECOVERIES``."""
        challenge, kept = self._kept_challenge()
        proof = Proof(challenge, kept, self.fetch, self.keep, self._check_in)
        cures = Cures()
        while True:
            try:
                if proof.challenge is None:
                    proof.challenge = self.fetch()
                challenge = proof.challenge
                credential = proof.credential = credential_for(challenge.eid)
                limits = self._session.rest.channel.limits
                bearer = self._session.run(
                    auth.login(challenge, credential, scope=scope, lifetime=LIFETIME, limits=limits)
                )
            except HemLoginRequired:
                self.keep(proof.challenge)  # not used up: good for the login that follows
                raise
            except HemError as error:
                if cures.help(proof, error):
                    continue
                if not isinstance(error, HemAuthenticationError) or proof.challenge is None:
                    raise
                raise proof.told(error) from None
            if self._session.memory is not None:
                self._session.memory.keep_identity(challenge.eid)
            return challenge, bearer, credential

    def accepts(self, credential: Credential, scope: str) -> tuple[Bearer, int] | None:
        """A token for ``scope`` with the device's time; ``None`` where the device refuses ``credential``."""
        try:
            challenge, bearer, _ = self.prove(scope, lambda _: credential)
        except HemLoginRequired:
            raise
        except HemAuthenticationError:
            return None
        return bearer, challenge.device_time()

    def _kept_challenge(self) -> tuple[Challenge | None, bool]:
        good, kept = self._kept_is_good(), self._kept
        self._kept = None
        return (kept[1], True) if good and kept is not None else (None, False)

    def _kept_is_good(self) -> bool:
        kept = self._kept
        return kept is not None and kept[0] == os.getpid() and kept[1].age <= _KEEP_CHALLENGE

    def keep(self, challenge: Challenge | None) -> None:
        """Keep one for the next login."""
        # Its nonce works once: a child must not use it beside its parent.
        self._kept = None if challenge is None else (os.getpid(), challenge)

    def _check_in(self, reason: str, refused: HemAuthenticationError | None) -> None:
        _log.log(WARNING, "%s: %s; checking in", self._config.name, reason)
        try:
            check_in(self._session)
        except (HemConnectionError, HemClockError) as error:
            if refused is not None:  # most likely the passphrase is wrong after all
                raise HemAuthenticationError(
                    f"{refused} ({reason}, and the check-in that would rule this out failed: {error})",
                    code="E-PASSPHRASE",
                ) from error
            raise HemClockError(f"{self._config.name}: {reason}, and the check-in failed: {error}") from error

    def fetch(self) -> Challenge:
        """A new challenge. One call."""
        challenge = self._session.run(auth.challenge())
        self.challenge = challenge
        self._tokens.seen_boot(challenge.spk)
        return challenge
