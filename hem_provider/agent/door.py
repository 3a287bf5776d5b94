"""The agent's way to one device: who may pass, in which order, and whether it is unlocked.

Everything here runs in the event loop; what waits for the device runs in threads, one request at a time
(``turn.py``).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hem_provider.agent.answers import Answers, is_kept
from hem_provider.agent.labels import AllowedKeys
from hem_provider.agent.options import Options
from hem_provider.agent.pins import PinCheck
from hem_provider.agent.rights import Right, named_keys, needed
from hem_provider.agent.signals import hold_back
from hem_provider.agent.turn import Errand, Turn
from hem_provider.agent.wanted import LockedError, Wanted
from hem_provider.config import DeviceConfig
from hem_provider.config.agentplace import Field
from hem_provider.device.hem import Hem
from hem_provider.device.relay import FIRST_SCOPE, Relay, Reply, parse_json
from hem_provider.device.tally import tally_of
from hem_provider.errors import (
    HemApprovalDenied,
    HemAuthenticationError,
    HemLoginRequired,
    HemScopeDenied,
)
from hem_provider.records import replace
from hem_provider.secret import Lease

__all__ = ["Door", "LockedError", "Wanted"]

_log = logging.getLogger("hem_provider.agent")

T = TypeVar("T")

#: How the agent itself reaches a device: not through an agent, and never reading a passphrase.
_OWN_WAY: dict[str, Any] = {"agent": "never", "passphrase_file": None, "passphrase_command": None}
#: Asks the device who it is.
_WHO = ("GET", "/api/auth/token")
#: Configures it, and the fields with which it takes no login as before (device API §8.3, §7).
_CONFIGURE, _ENDS_LOGIN = ("POST", "/api/system/config"), {"userkey", "wipeout"}
#: Threads of a device for logins, which may wait for a phone.
_THREADS = 3


class Door:
    """Of one configured device. ``options``: with which rights, and for which keys, the agent was started.
    ``source`` unlocks it from the configured source; ``emptied`` is told why what was known of it is
    worthless now."""

    def __init__(
        self,
        config: DeviceConfig,
        options: Options,
        source: Callable[[Door], Awaitable[None]] | None = None,
        emptied: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.config = config
        # The passphrase is read by a process of its own, never by this one.
        self.hem = Hem(replace(config, **_OWN_WAY))
        self.relay = Relay(self.hem)
        self.tally = tally_of(self.hem)
        self.answers = Answers()
        self.pins: PinCheck | None = None
        self.reason = "it was not unlocked yet"  #: why it is locked, where it is
        self.memory_locked: bool | None = None
        self.tried = -math.inf  #: when the configured source was tried last (monotonic seconds)
        self._options = options
        self._source = source
        self._emptied = emptied
        self._locks = 0
        self._granted = False  # by the phone, since it was locked
        self._shut = False  # on request: a phone is not asked either
        self._turn = Turn(config.name)
        self._keys = AllowedKeys(self.hem, options.keys, self.in_turn)
        self._logins = asyncio.Lock()
        self._unlocking = asyncio.Lock()
        self._pool = ThreadPoolExecutor(_THREADS, f"hem {config.name}", initializer=hold_back)

    @property
    def name(self) -> str:
        """Of the device."""
        return self.config.name

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._turn.waiting

    @property
    def is_unlocked(self) -> bool:
        """Whether requests that need a login are served."""
        return self.hem.logged_in or (self.config.auth == "mobile" and not self._shut)

    @property
    def ready(self) -> bool:
        """Whether there is a way to serve such a request, if it is only by unlocking first."""
        return self.is_unlocked or (self._source is not None and not self._shut)

    def lock(self, reason: str, *, for_good: bool = False) -> None:
        """Forget everything that is secret. ``for_good``: until somebody unlocks it."""
        self.relay.lock()
        if self.pins is not None:
            self.pins.end()
        self.pins = None
        self.answers.forget()
        self.reason = reason
        self.memory_locked = None
        self._locks += 1
        self._granted = False
        self._keys.doubt()
        self._shut = self._shut or for_good
        _log.info("%s: locked: %s", self.name, reason)

    async def ask(self, wanted: Wanted) -> tuple[Reply, int | None]:
        """The device's answer, and its age in seconds where it is from memory.

        ``LockedError``, ``HemScopeDenied``, ``TimeoutError`` before anything was sent; else what the way to
        the device raises.
        """
        scopes = await self._permitted(wanted)
        remembered = self._remembered(wanted, scopes)
        if remembered is not None:
            return remembered
        locks = self._locks
        try:
            return self._passed(await self._sent(wanted, scopes), scopes), None
        except HemAuthenticationError as refused:
            raise self._understood(refused, scopes, locks) from None

    def ask_now(
        self,
        wanted: Wanted,
        first: Callable[[Reply], object],
        tell: Callable[[Reply | BaseException], object],
    ) -> tuple[Reply, int] | Callable[[], None] | None:
        """As ``ask``, where nothing has to be waited for but the device and its turn; else ``None``, and
        nothing was done.

        Where the answer is not from memory, ``tell`` is called with it, or with the error, and what is
        returned takes the request back. ``first`` gets an answer before that, in the device's thread, where
        it changes nothing here.
        """
        scopes = self._allowed(wanted)
        if scopes and not self.is_unlocked:
            return None
        if self._options.keys and not self._keys.judge(named_keys(wanted.path, wanted.body, scopes)):
            return None
        remembered = self._remembered(wanted, scopes)
        if remembered is not None:
            return remembered
        if not self.relay.holds(scopes):
            return None
        locks = self._locks

        def told(result: Reply | BaseException) -> None:
            if isinstance(result, Reply):
                self._passed(result, scopes)
            elif isinstance(result, HemAuthenticationError):
                result = self._understood(result, scopes, locks)
            tell(result)

        errand = self._errand(wanted, scopes, told, first)
        self._turn.take(errand)
        return lambda: self._turn.cancel(errand)

    def _remembered(self, wanted: Wanted, scopes: tuple[str, ...]) -> tuple[Reply, int] | None:
        if wanted.fresh or (scopes and not self.is_unlocked):
            return None
        return self.answers.find(wanted.method, wanted.path, wanted.body, wanted.scopes)

    def _passed(self, reply: Reply, scopes: tuple[str, ...]) -> Reply:
        self._granted = self._granted or bool(scopes)
        return reply

    def _understood(self, refused: HemAuthenticationError, scopes: tuple[str, ...], locks: int) -> Exception:
        """What is told of it: a login's refusal, or that the device is another one, locks it. ``locks``: how
        often it had been locked when the request was begun."""
        if isinstance(refused, HemApprovalDenied):
            return refused
        if not isinstance(refused, HemLoginRequired) and not (scopes and not self.hem.logged_in):
            return refused
        if self._locks == locks:  # else it was locked meanwhile, for another reason
            self.lose(str(refused))
        return LockedError(self.reason)

    def lose(self, reason: str) -> None:
        """Lock it, since what is known of it is worthless now."""
        self.lock(reason)
        self._emptied(reason)

    async def _permitted(self, wanted: Wanted) -> tuple[str, ...]:
        """Those of the scopes that the client may have, once everything else is as it has to be."""
        scopes = self._allowed(wanted)
        if scopes:
            await self._unlocked(wanted)
        if self._options.keys:
            async with asyncio.timeout(wanted.left()):
                await self.check_keys(named_keys(wanted.path, wanted.body, scopes))
        return scopes

    def _allowed(self, wanted: Wanted) -> tuple[str, ...]:
        """Those of the scopes that the client may have. ``HemScopeDenied`` where it may have none."""
        given: tuple[str | None, ...] = wanted.scopes or (None,)
        rights = {scope: needed(wanted.method, wanted.path, scope) for scope in given}
        allowed = [scope for scope in given if rights[scope] in self._options.allowed]
        if not allowed:
            raise HemScopeDenied(self._denial(wanted, rights[given[0]]))
        return tuple(each for each in allowed if each is not None)

    async def check_keys(self, kids: frozenset[str]) -> None:
        """``HemScopeDenied`` unless the agent was started for all of these keys."""
        await self._keys.check(kids)

    def _denial(self, wanted: Wanted, missing: Right) -> str:
        what = f"{self.name}: the agent was not started with the right to {missing.meaning}"
        if not wanted.scopes:
            what = (
                f"{self.name}: {wanted.method} {wanted.path} without a token is not for everybody; if it "
                f"takes one, say for which scope ({Field.SCOPES}); else it needs the right to "
                f"{missing.meaning}"
            )
        return f"{what}; to allow it: hem agent stop && {self._options.command(missing)}; " + (
            "to go past the agent: HEM_AGENT=never"
        )

    async def _unlocked(self, wanted: Wanted) -> None:
        if not self.is_unlocked and not wanted.watching:
            async with asyncio.timeout(wanted.left()):
                await self.try_source()
        if not self.is_unlocked:
            raise LockedError(self.reason)

    async def try_source(self, *, anew: bool = False) -> None:
        """Unlock from the configured source, where there is one; whoever comes meanwhile waits for it.
        ``anew``: somebody asks for it, also after it was locked for good and after it failed just now."""
        async with self._unlocking:
            if anew:
                self._shut, self.tried = False, -math.inf
            if not self.is_unlocked and self._source is not None and not self._shut:
                await self._source(self)

    async def unlock_by_phone(self) -> None:
        """Ask on the phone, after which it is asked for what is wanted. Raises why it was not granted."""
        await self.in_thread(lambda: self.relay.authorise((FIRST_SCOPE,)))
        self._shut, self._granted = False, True

    async def _sent(self, wanted: Wanted, scopes: tuple[str, ...]) -> Reply:
        relay = self.relay
        if not relay.holds(scopes):
            async with asyncio.timeout(wanted.left()), self._logins:
                if not relay.holds(scopes):
                    await self.in_thread(lambda: relay.authorise(scopes))
        # A client that goes away while the device works gives the turn back when the device is done.
        return await self._turn.wait(lambda tell: self._errand(wanted, scopes, tell))

    def _errand(
        self,
        wanted: Wanted,
        scopes: tuple[str, ...],
        tell: Callable[[Reply | BaseException], object],
        first: Callable[[Reply], object] | None = None,
    ) -> Errand[Reply]:
        """What takes a request to the device. Where the answer may change what is known of it, or is
        remembered, that is done before anybody has the answer; nothing else waits for the event loop."""
        changes = self.answers.changes
        asks = wanted.method, wanted.path
        uses = all(needed(*asks, each) is Right.USE for each in scopes)
        passes = uses and asks not in (_CONFIGURE, _WHO) and not is_kept(*asks)
        return Errand(
            lambda: self.relay.send(
                wanted.method,
                wanted.path,
                wanted.body,
                scopes=scopes,
                within=wanted.left(),
                repeatable=wanted.repeatable,
            ),
            tell,
            first=first if passes else None,
            settle=None if passes else lambda result: self._settle(wanted, uses, changes, result),
            ends=wanted.since + wanted.within,
        )

    def _settle(self, wanted: Wanted, uses: bool, changes: int, result: Reply | BaseException) -> None:
        """What an answer, or its absence, means for what is known of the device. ``uses``: nothing of it is
        changed by the request."""
        if not uses:
            self.answers.forget()
            self._keys.doubt()
        if isinstance(result, Reply):
            if result.status == 200:
                self._heed(wanted, result)
            self.answers.keep(wanted.method, wanted.path, wanted.body, wanted.scopes, result, changes)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what waits for the device."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run it when it is its turn among the requests of clients."""
        return await self._turn.run(work)

    async def unlock(self, seed: Lease, eid: str, doubt: str | None, pins: PinCheck, *, locked: bool) -> bool:
        """Take a derived key; whether the device accepts it. An earlier one stays when it does not."""
        if not await self.in_thread(lambda: self.relay.unlock(seed, eid, doubt)):
            if not self.is_unlocked:
                self.reason = "the device does not accept the passphrase"
            return False
        self.pins, self.memory_locked, self._shut = pins, locked, False
        self.answers.forget()
        _log.info("%s: unlocked", self.name)
        return True

    def refusal(self, doubt: str | None) -> str:
        """Of a passphrase that the device does not accept."""
        return f"{self.name}: the device does not accept the passphrase" + (f"; {doubt}" if doubt else "")

    async def check_pin(self, mac: bytes) -> bool:
        """Whether it is the MAC of the passphrase; a wrong one makes its sender wait. ``LockedError``."""
        pins = self.pins
        if pins is None or not self.is_unlocked:
            raise LockedError(self.reason)
        if pins.is_right(mac):
            return True
        if not pins.exhausted:
            await pins.wait()
        return False

    def _heed(self, wanted: Wanted, reply: Reply) -> None:
        """What an answer means for the login."""
        if (wanted.method, wanted.path) == _WHO:
            self._met(reply)
        elif (wanted.method, wanted.path) == _CONFIGURE and (wanted.body or {}).keys() & _ENDS_LOGIN:
            self.lose("the passphrase was changed, or the device wiped, through the agent")

    def _met(self, reply: Reply) -> None:
        """The device said who it is: another one than was unlocked gets nothing of what is known."""
        try:
            eid = parse_json(reply.body)["eid"]
        except (ValueError, KeyError, TypeError):
            return  # not for us to judge: the client does
        if self.relay.eid not in (None, eid):
            self.lose("the device has another identity now (wiped or replaced)")

    def close(self) -> None:
        """Begin nothing more."""
        self._turn.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _state(self) -> str:
        if self.hem.logged_in or (self.is_unlocked and self._granted):
            return "unlocked"
        return "waiting" if self.ready else "locked"

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        identity, counts = self.hem.identity, self.hem.statistics
        return {
            "name": self.name,
            "url": self.config.url,
            "state": self._state(),
            "reason": "" if self.is_unlocked else self.reason,
            "login": self.config.auth,
            "source": self._source is not None,
            "eid": identity.eid if identity else None,
            "label": identity.label if identity else None,
            "waiting": self.waiting,
            "calls": counts.calls,
            "logins": counts.logins,
            **self.tally.document(),
            "wrong_pins": self.pins.wrong if self.pins else 0,
            "memory_locked": self.memory_locked,
        }
