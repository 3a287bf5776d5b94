"""One device's login, and how a call is run: through the user's agent, or with a token of our own, in the
device's turn, within its deadline, and with the cures of ``RECOVERIES``, each at most once per operation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from hem_provider.config.login_source import LoginSource, login_source, read_passphrase
from hem_provider.config.passphrase import doubt
from hem_provider.device.faults import explained
from hem_provider.device.recoveries import Authorised, Cures, Sending
from hem_provider.device.reliance import Reliance, login_needed
from hem_provider.device.tokens import TokenCache
from hem_provider.errors import (
    HemAnswerFault,
    HemApprovalTimeout,
    HemAuthenticationError,
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemLoginRequired,
    HemNotInitialized,
    HemTimeout,
    HemUnreachable,
)
from hem_provider.logs import Logger
from hem_provider.perprocess import PerProcess
from hem_provider.records import replace
from hem_provider.rest import auth, system
from hem_provider.rest.agentlink import AgentAside
from hem_provider.rest.api import RestApi
from hem_provider.rest.auth import Bearer, Challenge, Identity, bearer_from
from hem_provider.rest.call import Call
from hem_provider.rest.credential import Credential, Role
from hem_provider.rest.kdf import Kdf, seed_from
from hem_provider.rest.settle import Change, UnsentError, settle
from hem_provider.rest.wire import ConnectionLostError, NoTurnError

if TYPE_CHECKING:
    from hem_provider.device.cache import DiskCache
    from hem_provider.device.deriving import Derivation
    from hem_provider.device.mobile import MobileLogin
    from hem_provider.device.proving import Prover

__all__ = ["LoginSession"]

_log = Logger("hem_provider.session")

T = TypeVar("T")


class LoginSession:
    """Safe for threads; one login at a time. Works on in a child after ``fork``."""

    def __init__(self, rest: RestApi, *, passphrase: str | None = None, kdf: Kdf = Kdf.PBKDF2) -> None:
        self.rest = rest
        self._channel = rest.channel
        self._config = rest.channel.config
        self._kdf = kdf
        self._reliance = Reliance(rest.channel.agent, passphrase)
        self._credential: Credential | None = None
        self._seen: tuple[Identity, Challenge | None] | None = None  # by the agent, with the challenge before
        self._tokens = TokenCache()
        self._logouts = 0
        self._logged_in_ahead = False
        #: Told the scope that is needed first after a login made ahead of any need, and then the
        #: next ones until it says that it has heard what it wants to know.
        self.note_need: Callable[[str], bool] = lambda _: True
        self.memory: DiskCache | None = None  #: what other processes of this user know of the device
        self._lock: PerProcess[threading.RLock] = PerProcess(threading.RLock)

    @cached_property
    def mobile(self) -> MobileLogin:
        """Logins by a phone. No I/O."""
        from hem_provider.device.mobile import MobileLogin  # few log in so

        return MobileLogin(self)

    @cached_property
    def _prover(self) -> Prover:
        from hem_provider.device.proving import Prover  # with an agent nothing is proven

        return Prover(self, self._tokens, self._kdf, self.derive)

    def __reduce__(self) -> str:
        raise TypeError("a login is not pickled: connect() in the other process, or fork")

    @property
    def challenge(self) -> Challenge | None:
        """The last one seen, for identity and clock. No I/O."""
        prover: Prover | None = self.__dict__.get("_prover")
        return None if prover is None else prover.challenge

    @property
    def identity(self) -> Identity | None:
        """Which device it is, as it was seen last. No I/O."""
        challenge = self.challenge
        if self._seen is not None and self._seen[1] is challenge:
            return self._seen[0]
        return None if challenge is None else Identity(challenge.eid, challenge.label)

    @property
    def has_credential(self) -> bool:
        """Whether a secret was given and not forgotten."""
        return self._credential is not None or self._reliance.given is not None

    @property
    def is_logged_in(self) -> bool:
        """Whether a secret is at hand, or the agent was the login since the last logout. No I/O."""
        return self.has_credential or self._reliance.relied

    @property
    def agent_ready(self) -> bool:
        """Whether the user's agent is a login here: it runs, and is unlocked for this device. Asks it, at
        most every other second."""
        agent = self._reliance.agent
        return agent is not None and agent.ready

    @property
    def passes_agent(self) -> bool:
        """Whether calls were made that an agent, which others may use, does not know of. No I/O."""
        return self._reliance.agent is not None and self._channel.statistics.logins > 0

    def holds(self, scopes: Sequence[str]) -> bool:
        """Whether a live token for one of ``scopes`` is at hand."""
        return self._tokens.find(scopes) is not None

    def probe(self) -> Identity:
        """Ask who the device is: the agent, which may remember it, else the device (one call), whose
        challenge is kept for the next login."""
        agent, call, before = self._reliance.agent, auth.identity(), self.challenge
        try:
            if agent is not None and self._reliance.leaves(call, own=self._credential is not None):
                reply = self._channel.relayed(agent.send(call, None, self._channel.limit(call)))
                seen = self._channel.read(call, reply)
                self._seen = seen, before
                return seen
        except AgentAside as aside:
            self._reliance.aside(aside)
        challenge = self._prover.fetch()
        self._prover.keep(challenge)
        return Identity(challenge.eid, challenge.label)

    def run(self, call: Call[T], change: Change[T] | None = None) -> T:
        """Make a call; its value. ``change``: what it changes on the device, to be looked at where the
        answer does not tell.

        Raises what the endpoint says; a device fault is explained by asking for the status.
        """
        body, scopes = self._channel.body(call), call.scopes
        if self._logged_in_ahead and len(scopes) == 1:  # what one scope alone is good for
            self._logged_in_ahead = not self.note_need(scopes[0])
        cures = Cures()
        try:
            try:
                if change is None:
                    return self._attempt(call, body, cures)
                return settle(partial(self._attempt, call, body, cures, settled=True), change)
            except UnsentError as unsent:
                raise unsent.error from None
        except HemDeviceFault as fault:
            if not scopes or isinstance(fault, HemNotInitialized | HemAnswerFault):
                raise
            raise explained(self, fault) from fault

    def carry(self, call: Call[T], bearer: Bearer | None) -> T:
        """Make a call with this very token, or without any; its value."""
        return self._send(call, self._channel.body(call), bearer, Cures())

    def _attempt(self, call: Call[T], body: bytes | None, cures: Cures, *, settled: bool = False) -> T:
        """Through the agent where that is the way; else with a token for any of the call's scopes: for the
        first, by a login, if none is kept. ``settled``: whoever calls finds out what a lost answer means."""
        scopes, reliance = call.scopes, self._reliance
        # A token of our own is for what the agent has no right to, or of before it was there.
        own = self._credential is not None
        if reliance.agent is not None and not self.holds(scopes) and reliance.covers(call, own=own):
            try:
                reply = self._channel.relayed(reliance.agent.send(call, body, self._channel.limit(call)))
            except AgentAside as aside:
                if settled and isinstance(aside.error, ConnectionLostError):
                    raise aside.error from None
                reliance.aside(aside, own=own)
            except (ConnectionLostError, HemTimeout) as error:
                self._channel.statistics.calls += not isinstance(error, NoTurnError)
                return self._lost(call, error)
            else:
                reliance.relied = reliance.relied or bool(scopes)
                return self._channel.read(call, reply)
        while True:
            try:
                bearer = self.bearer(scopes) if scopes else None
            except HemError as error:
                raise UnsentError(error) from None
            try:
                return self._send(call, body, bearer, cures)
            except HemAuthenticationError as refused:
                if bearer is None or isinstance(refused, HemLoginRequired):
                    raise
                self._tokens.drop(bearer)
                # Another token for the call may be as old as the refused one: then it goes, too.
                if not self.holds(scopes) and not cures.help(Authorised(self._config.name), refused):
                    raise

    def _lost(self, call: Call[T], error: HemError) -> T:
        """What it means that there is no answer to ``call``, from a device that then tells its status; the
        ``error`` where it means nothing else."""
        if call.lost is None or isinstance(error, NoTurnError | HemApprovalTimeout):
            raise error
        self.run(system.status())
        return call.lost

    def _send(self, call: Call[T], body: bytes | None, bearer: Bearer | None, cures: Cures) -> T:
        channel = self._channel
        request = channel.request(call, body, None if bearer is None else bearer.text)
        channel.statistics.logins += call.is_login
        try:
            with channel.turn(request) as leaves:
                request = replace(request, ends=time.monotonic() + request.limit.seconds, leaves=leaves)
                lost = None
                while True:
                    try:
                        reply = channel.device().send(request)
                        break
                    except HemConnectionError as error:
                        if isinstance(error, ConnectionLostError):
                            lost = lost or error
                        if not cures.help(Sending(channel, request), error):
                            # What was sent before may have been carried out, whatever the last try met.
                            raise (lost if lost and isinstance(error, HemUnreachable) else error) from None
        except (ConnectionLostError, HemTimeout) as error:
            return self._lost(call, error)
        channel.answered(reply)
        return channel.read(call, reply)

    def bearer(self, scopes: Sequence[str]) -> Bearer:
        """A live token for one of ``scopes``, for the first by a login if none is kept."""
        return self._tokens.find(scopes) or self._acquire(scopes)

    def login(
        self,
        passphrase: str | None,
        *,
        role: Role,
        scope: str,
        kdf: Kdf | None = None,
        by_device: bool = False,
    ) -> None:
        """Prove a credential now and keep it with the token for ``scope``. Where the user's agent was
        unlocked by it, that is proof enough, unless the login is to be proven ``by_device``.

        ``None`` takes the credential at hand, else the agent's login, else the configured passphrase. The
        previous credential stays when the device does not accept the new one.

        ``kdf=None`` derives the user's secret as this session was told to, and the master's as
        ``master_kdf`` of the configuration says: by itself, 24 words as the vendor's newest software
        takes them and, when that is refused, as the older did (one login more, the first time).
        """
        with self._lock.get():
            self._reliance.begin(passphrase)
            if role is Role.USER and kdf is None and not by_device and self._agent_logs_in(passphrase):
                return
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

    def _agent_logs_in(self, passphrase: str | None) -> bool:
        if not self._reliance.proves(passphrase, own=self._credential is not None):
            return False
        if passphrase is not None:
            self.forget()
            self._reliance.give(passphrase, same=True)
        self._reliance.relied = True
        return True

    def proves(self, credential: Credential, scope: str) -> tuple[Bearer, int] | None:
        """Whether the device accepts ``credential``: a token for ``scope``, kept nowhere, with the
        device's time; ``None`` when it refuses. What this session is logged in with stays."""
        with self._lock.get():
            return self._prover.accepts(credential, scope)

    @property
    def credential(self) -> Credential | None:
        """What this session is logged in with, if it is derived."""
        return self._credential

    def adopt(self, credential: Credential) -> None:
        """Use this credential from now on; the former one and all tokens are forgotten."""
        self.forget()
        self._credential = credential
        self._reliance.explicit = True
        self._reliance.refuse()

    def let_agent_forget(self) -> None:
        """The user's passphrase is another one, or may be: the agent is not to go on with the former."""
        if self._reliance.agent is not None:
            self._reliance.agent.forget()

    def derive(self, secret: str, eid: str, role: Role, kdf: Kdf | None = None) -> Credential:
        """The credential of a secret for the device ``eid`` (0.2–1 s)."""
        return Credential(seed_from(secret, eid, kdf or self._kdf), eid=eid, role=role, doubt=doubt(secret))

    def over(self, rest: RestApi) -> LoginSession:
        """The same login by another way to the same device, never the agent's; tokens are obtained anew."""
        other = LoginSession(rest, kdf=self._kdf)
        self._reliance.share(other._reliance)
        if self._credential is not None:
            other._credential = self._credential.share()  # its end is not ours
        return other

    def keep(self, bearer: Bearer, device_time: int) -> None:
        """Keep a token that came another way than by login."""
        self._tokens.add(bearer, device_time)

    @property
    def has_any_login(self) -> bool:
        """Whether the next call finds a login: a credential at hand, the agent's, or one that is configured,
        unless the configuration wants the agent's alone. Asks the agent at most."""
        configured = self._config.agent != "always" and login_source(self._config) is not None
        return self.has_credential or self.agent_ready or configured

    def forget(self) -> None:
        """Drop credential (overwritten) and tokens. No I/O."""
        self._logouts += 1
        credential, self._credential = self._credential, None
        if credential is not None:
            credential.wipe()
        self._reliance.forget()
        self._tokens.clear()

    def abandon(self) -> None:
        """Overwrite the credential even where others share it, and drop it and the tokens: for a
        forked child that must not have its parent's. No I/O, no lock."""
        for each in (self._credential, self._reliance.given):
            if each is not None:
                each.overwrite()
        self.forget()

    def _acquire(self, scopes: Sequence[str]) -> Bearer:
        with self._lock.get():
            # Another thread may have logged in while this one waited.
            return self._tokens.find(scopes) or self._obtain(scopes[0])

    def _obtain(self, scope: str) -> Bearer:
        before = self._logouts
        self._reliance.check(self._config)
        if login_source(self._config, given=self.has_credential) is LoginSource.PHONE:
            approved = self.mobile.obtain(scope)
            return self._take(bearer_from(approved.token), approved.device_time, before)
        try:
            with self._prover.ahead(partial(self.derive, role=Role.USER), self._next_secret) as ahead:
                challenge, bearer, _ = self._prover.prove(scope, partial(self._configured, ahead))
        except HemLoginRequired:
            raise
        except HemAuthenticationError:
            explicit = self._reliance.explicit
            self.forget()  # so that the next use reads the configured source afresh
            self._reliance.reject(explicit=explicit)
            raise
        return self._take(bearer, challenge.device_time(), before)

    def _take(self, bearer: Bearer, device_time: int, logouts: int) -> Bearer:
        if self._logouts != logouts:  # a logout meanwhile must not leave a token or credential behind
            self.forget()
            raise HemLoginRequired(f"{self._config.name}: logged out while a login was under way")
        self._tokens.add(bearer, device_time)
        return bearer

    def _next_secret(self) -> str | None:
        return None if self._credential is not None else self._prover.secret_at_hand(self._reliance)

    def _configured(self, ahead: Derivation, eid: str) -> Credential:
        known = self._credential
        if known is not None and known.eid == eid:
            return known
        agent, passphrase = self._reliance.agent, self._reliance.take()
        if passphrase is None and not self._reliance.explicit:
            passphrase = read_passphrase(self._config)
        if passphrase is None:
            raise login_needed(self._config, agent, changed=known is not None)
        if known is not None:
            known.wipe()
        self._credential = ahead.result(passphrase, eid)
        return self._credential

    def __repr__(self) -> str:
        state = "logged in" if self.is_logged_in else "not logged in"
        return f"<LoginSession of {self._config.name}, {state}>"
