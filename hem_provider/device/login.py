"""One device's login, and the one way to run a call: its token, the device's turn, its deadline, and the
cures of ``RECOVERIES``, each at most once per operation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from hem_provider.config.login_source import CONFIGURABLE, LoginSource, login_source, read_passphrase
from hem_provider.config.passphrase import doubt
from hem_provider.device.mobile import MobileLogin
from hem_provider.device.proving import Prover
from hem_provider.device.recoveries import Authorised, Cures, Sending
from hem_provider.device.tokens import TokenCache
from hem_provider.errors import (
    HemAnswerFault,
    HemAuthenticationError,
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemLoginRequired,
    HemNotInitialized,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.rest import system
from hem_provider.rest.api import RestApi
from hem_provider.rest.auth import Bearer, Challenge, bearer_from
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.kdf import Kdf, seed_from
from hem_provider.rest.perprocess import PerProcess
from hem_provider.rest.settle import Change, settle
from hem_provider.rest.wire import ConnectionLostError, NoTurnError

__all__ = ["LoginSession"]

_log = logging.getLogger("hem_provider.session")

T = TypeVar("T")


class LoginSession:
    """Safe for threads; one login at a time. Works on in a child after ``fork``."""

    def __init__(self, rest: RestApi, *, passphrase: str | None = None, kdf: Kdf = Kdf.PBKDF2) -> None:
        self.rest = rest
        self._channel = rest.channel
        self._config = rest.channel.config
        self._kdf = kdf
        self.mobile = MobileLogin(self)
        self._passphrase = passphrase  # until the first challenge tells the eid it is for
        self._credential: Credential | None = None
        self._tokens = TokenCache()
        self._prover = Prover(self, self._tokens, kdf, self.derive)
        self._logouts = 0
        self._logged_in_ahead = False
        #: Told the scope that is needed first after a login made ahead of any need, and then the
        #: next ones until it says that it has heard what it wants to know.
        self.note_need: Callable[[str], bool] = lambda _: True
        self._lock: PerProcess[threading.RLock] = PerProcess(threading.RLock)

    def __reduce__(self) -> str:
        raise TypeError("a login is not pickled: connect() in the other process, or fork")

    @property
    def challenge(self) -> Challenge | None:
        """The last one seen, for identity and clock. No I/O."""
        return self._prover.challenge

    @property
    def has_credential(self) -> bool:
        """Whether a secret was given and not forgotten."""
        return self._credential is not None or self._passphrase is not None

    def holds(self, scopes: Sequence[str]) -> bool:
        """Whether a live token for one of ``scopes`` is at hand."""
        return self._tokens.find(scopes) is not None

    def probe(self) -> Challenge:
        """Fetch a challenge (one call) and keep it for the next login."""
        challenge = self._prover.fetch()
        self._prover.keep(challenge)
        return challenge

    def run(self, call: Call[T], change: Change[T] | None = None) -> T:
        """Make a call; its value. With a token for any of its scopes: for the first, by a login, if none
        is kept. ``change``: what it changes on the device, to be looked at where the answer does not tell.

        Raises what the endpoint says; a device fault is explained by asking for the status.
        """
        body, scopes = self._channel.body(call), call.scopes
        if self._logged_in_ahead and len(scopes) == 1:  # what one scope alone is good for
            self._logged_in_ahead = not self.note_need(scopes[0])
        cures = Cures()
        try:
            while True:
                bearer = self.bearer(scopes) if scopes else None
                try:
                    if change is None:
                        return self._send(call, body, bearer, cures)
                    return settle(partial(self._send, call, body, bearer, cures), change)
                except HemAuthenticationError as refused:
                    if bearer is None or isinstance(refused, HemLoginRequired):
                        raise
                    self._tokens.drop(bearer)
                    if not cures.help(Authorised(self._config.name), refused):
                        raise
        except (HemNotInitialized, HemAnswerFault):
            raise
        except HemDeviceFault as fault:
            if not scopes:
                raise
            raise self._explained(fault) from fault

    def carry(self, call: Call[T], bearer: Bearer | None) -> T:
        """Make a call with this very token, or without any; its value."""
        return self._send(call, self._channel.body(call), bearer, Cures())

    def _send(self, call: Call[T], body: bytes | None, bearer: Bearer | None, cures: Cures) -> T:
        channel = self._channel
        request = channel.request(call, body, None if bearer is None else bearer.text)
        channel.statistics.logins += call.is_login
        try:
            with channel.turn(request):
                request = replace(request, ends=time.monotonic() + request.limit.seconds)
                lost = None
                while True:
                    try:
                        reply = channel.send(request)
                        break
                    except HemConnectionError as error:
                        if isinstance(error, ConnectionLostError):
                            lost = lost or error
                        if not cures.help(Sending(channel, request), error):
                            # What was sent before may have been carried out, whatever the last try met.
                            raise (lost if lost and isinstance(error, HemUnreachable) else error) from None
        except NoTurnError:
            raise
        except (ConnectionLostError, HemTimeout):
            if call.lost is None:
                raise
            self.carry(system.status(), None)
            return call.lost
        return channel.read(call, reply)

    def bearer(self, scopes: Sequence[str]) -> Bearer:
        """A live token for one of ``scopes``, for the first by a login if none is kept."""
        return self._tokens.find(scopes) or self._acquire(scopes)

    def login(self, passphrase: str | None, *, role: Role, scope: str, kdf: Kdf | None = None) -> None:
        """Prove a credential now and keep it with the token for ``scope``.

        ``None`` takes the credential at hand, else the configured passphrase. The previous
        credential stays when the device does not accept the new one.

        ``kdf=None`` derives the user's secret as this session was told to, and the master's as
        ``master_kdf`` of the configuration says: by itself, 24 words as the vendor's newest software
        takes them and, when that is refused, as the older did (one login more, the first time).
        """
        with self._lock.get():
            self._logged_in_ahead = True
            if passphrase is None:
                self._obtain(scope)
                return
            challenge, bearer, credential = self._prover.prove_secret(passphrase, role, scope, kdf)
            if bearer.subject != role.value:
                credential.wipe()
                raise HemAuthenticationError(
                    f"{self._config.name}: the device accepts this secret for role {bearer.subject!r}, "
                    f"not for {role.value!r}"
                )
            self.adopt(credential)
            self._tokens.add(bearer, challenge.device_time())

    def proves(self, credential: Credential, scope: str) -> tuple[Bearer, int] | None:
        """Whether the device accepts ``credential``: a token for ``scope``, kept nowhere, with the
        device's time; ``None`` when it refuses. What this session is logged in with stays."""
        with self._lock.get():
            try:
                challenge, bearer, _ = self._prover.prove(scope, lambda _: credential)
            except HemLoginRequired:
                raise
            except HemAuthenticationError:
                return None
            return bearer, challenge.device_time()

    @property
    def credential(self) -> Credential | None:
        """What this session is logged in with, if it is derived."""
        return self._credential

    def adopt(self, credential: Credential) -> None:
        """Use this credential from now on; the former one and all tokens are forgotten."""
        self.forget()
        self._credential = credential

    def derive(self, secret: str, eid: str, role: Role, kdf: Kdf | None = None) -> Credential:
        """The credential of a secret for the device ``eid`` (0.2–1 s)."""
        return Credential(seed_from(secret, eid, kdf or self._kdf), eid=eid, role=role, doubt=doubt(secret))

    def over(self, rest: RestApi) -> LoginSession:
        """The same login by another way to the same device; tokens are obtained anew."""
        other = LoginSession(rest, passphrase=self._passphrase, kdf=self._kdf)
        if self._credential is not None:
            other._credential = self._credential.share()  # its end is not ours
        return other

    def keep(self, bearer: Bearer, device_time: int) -> None:
        """Keep a token that came another way than by login."""
        self._tokens.add(bearer, device_time)

    @property
    def has_any_login(self) -> bool:
        """Whether a credential is at hand or configured. No I/O."""
        return login_source(self._config, given=self.has_credential) is not None

    def forget(self) -> None:
        """Drop credential (overwritten) and tokens. No I/O."""
        self._logouts += 1
        credential, self._credential, self._passphrase = self._credential, None, None
        if credential is not None:
            credential.wipe()
        self._tokens.clear()

    def abandon(self) -> None:
        """Overwrite the credential even where others share it, and drop it and the tokens: for a
        forked child that must not have its parent's. No I/O, no lock."""
        if self._credential is not None:
            self._credential.overwrite()
        self.forget()

    def _acquire(self, scopes: Sequence[str]) -> Bearer:
        with self._lock.get():
            # Another thread may have logged in while this one waited.
            return self._tokens.find(scopes) or self._obtain(scopes[0])

    def _obtain(self, scope: str) -> Bearer:
        before = self._logouts
        if login_source(self._config, given=self.has_credential) is LoginSource.PHONE:
            approved = self.mobile.obtain(scope)
            return self._take(bearer_from(approved.token), approved.device_time, before)
        try:
            challenge, bearer, _ = self._prover.prove(scope, self._configured_credential)
        except HemLoginRequired:
            raise
        except HemAuthenticationError:
            self.forget()  # so that the next use reads the configured source afresh
            raise
        return self._take(bearer, challenge.device_time(), before)

    def _take(self, bearer: Bearer, device_time: int, logouts: int) -> Bearer:
        if self._logouts != logouts:  # a logout meanwhile must not leave a token or credential behind
            self.forget()
            raise HemLoginRequired(f"{self._config.name}: logged out while a login was under way")
        self._tokens.add(bearer, device_time)
        return bearer

    def _configured_credential(self, eid: str) -> Credential:
        known = self._credential
        if known is not None and known.eid == eid:
            return known
        passphrase, self._passphrase = self._passphrase, None
        if passphrase is None:
            passphrase = read_passphrase(self._config)
        if passphrase is None:
            raise HemLoginRequired(
                f"{self._config.name} ({self._config.url}): "
                + (
                    "the device's identity has changed (wiped or replaced): log in again"
                    if known is not None
                    else "a login is needed: give passphrase=, call login(), set HEM_PASSPHRASE_FILE, "
                    f"or configure {CONFIGURABLE}"
                )
            )
        if known is not None:
            known.wipe()
        self._credential = self.derive(passphrase, eid, Role.USER)
        return self._credential

    def _explained(self, fault: HemDeviceFault) -> HemDeviceFault:
        try:
            status = self.run(system.status())
        except HemError:  # the first fault says more
            return fault
        told = fault
        if not status.initialized:
            told = HemNotInitialized(f"{fault}: the device is not initialised")
        elif status.faults:
            told = HemDeviceFault(f"{fault}: fail state: {', '.join(status.faults)}")
        elif status.format:
            told = HemDeviceFault(f"{fault}: it is formatting its storage ({status.format})")
        told.status = fault.status
        return told

    def __repr__(self) -> str:
        state = "logged in" if self.has_credential else "not logged in"
        return f"<LoginSession of {self._config.name}, {state}>"
