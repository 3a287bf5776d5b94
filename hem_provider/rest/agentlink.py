"""The way through a user's agent: which calls take it, what they look like on it, and what the agent's own
answers mean (docs/agent.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from hem_provider import errors
from hem_provider._version import __version__
from hem_provider.config import DeviceConfig
from hem_provider.config.agentplace import DEVICES, Field, Word, agent_socket
from hem_provider.errors import (
    HemConfigError,
    HemError,
    HemLoginRequired,
    HemProtocolError,
    HemRequestRefused,
    HemScopeDenied,
    HemUnreachable,
)
from hem_provider.logs import INFO, WARNING, Logger
from hem_provider.perprocess import PerProcess
from hem_provider.records import frozen
from hem_provider.rest.call import Call
from hem_provider.rest.encoding import b64, parse_json, unb64
from hem_provider.rest.wire import ConnectionLostError, Limit, NoTurnError, Reply, Request
from hem_provider.trust import privileges_raised

if TYPE_CHECKING:
    from hem_provider.rest.unixsocket import UnixTransport

__all__ = ["Agent", "AgentAside", "agent_of"]

_log = Logger("hem_provider.agent")

#: Of the time that a caller has, this much is kept for the agent's word on why there is no answer, seconds.
_MARGIN = 0.25
#: For so long, in seconds, an agent that answered counts as unlocked without being asked.
_READY_FOR = 2.0
#: Characters of the agent's text that a message shows.
_SHOWN = 500
_WORD = Field.WORD.lower()
_START, _UNLOCK = "run: hem agent start", "run: hem agent unlock"


class AgentAside(Exception):
    """The agent does not carry this call, of which nothing has reached the device, or which may be sent
    again: it goes its own way. ``error``: what the caller is told where there is none."""

    def __init__(self, error: HemError) -> None:
        super().__init__(str(error))
        self.error = error


@frozen
class _Place:
    """A socket, the device's name there, and its URL as the agent has to have it, if that is known."""

    socket: Callable[[], Path | None]
    name: str
    url: str | None


class Agent:
    """A user's agent, as one device is reached through it. Safe for threads; constructing does no I/O.

    ``must``: logins of our own are not for when it is away or locked. ``AgentAside`` is raised by whatever
    needs the agent, ``aside`` says what becomes of it.
    """

    def __init__(self, config: DeviceConfig, place: _Place, *, must: bool) -> None:
        self.reason = ""  #: why it was gone on without last
        self.watching = False  #: whether it is asked by who only watches: no agent is kept awake
        self._must = must
        self._config = config
        self._place = place
        self._path = f"{DEVICES}{quote(place.name, safe='')}"
        self._transports: PerProcess[list[UnixTransport]] = PerProcess(list)
        self._told: set[type[HemError]] = set()
        self._ready_until = 0.0
        self._lock = PerProcess(threading.Lock)

    @staticmethod
    def carries(call: Call[Any]) -> bool:
        """Whether calls like this go through an agent: those with scopes, and what may be asked twice."""
        return bool(call.scopes or call.repeatable) and call.upload is None and not call.own_way

    def send(self, call: Call[Any], body: bytes | None, limit: Limit) -> Reply:
        """The device's answer to ``call``, whatever its status.

        Raises what the agent met on its way to the device, ``HemTimeout``, and ``ConnectionLostError`` where
        nobody knows what has become of a call that is not repeatable.
        """
        fields = {
            Field.WITHIN: f"{max(limit.seconds - _MARGIN, limit.seconds / 2):.3f}",
            **({Field.SCOPES: " ".join(call.scopes)} if call.scopes else {}),
            **({Field.REPEATABLE: "1"} if call.repeatable else {}),
            **({} if call.may_be_kept else {"Cache-Control": "no-cache"}),
        }
        request = self._request(call.method, call.path, body, fields, limit, call.repeatable)
        with self._reached(call.repeatable):
            reply = self._transport().send(request)
        self._heed(reply)
        if call.scopes:
            self._ready_until = time.monotonic() + _READY_FOR
        return reply

    @property
    def ready(self) -> bool:
        """Whether it is there and unlocked for this device. Asks it, but not at every turn."""
        try:
            self.require()
        except AgentAside:
            return False
        return True

    def require(self) -> None:
        """``AgentAside`` unless it is ``ready``."""
        if time.monotonic() >= self._ready_until:
            self._own("GET", "pin")
            self._ready_until = time.monotonic() + _READY_FOR

    def accepts(self, passphrase: str) -> bool:
        """Whether the agent was unlocked by this passphrase. ``AgentAside`` where it does not tell."""
        with self._lock.get():
            key = self._own("GET", "pin")
            try:
                compared = key is not None and self._own("POST", "pin", {"mac": self._mac(key, passphrase)})
            except AgentAside as aside:
                if isinstance(aside.error, HemScopeDenied):
                    return False
                raise
            if compared in (None, False):
                raise AgentAside(
                    HemLoginRequired(f"{self._name}: the agent was unlocked otherwise than by a passphrase")
                )
            self._ready_until = time.monotonic() + _READY_FOR
            return True

    def _mac(self, given: Mapping[str, Any], passphrase: str) -> str:
        try:
            key = unb64(given["key"])
        except (KeyError, TypeError, AttributeError, ValueError):
            raise AgentAside(
                HemProtocolError(f"{self._name}: the agent gives no key to compare with")
            ) from None
        return b64(hmac.digest(key, passphrase.encode("utf-8"), hashlib.sha256))

    def forget(self) -> None:
        """Have it forget the login of this device, which is another one now. Where no agent listens there is
        nothing to forget."""
        self._ready_until = 0.0
        with suppress(AgentAside, HemError):
            self._own("POST", "forget", {})

    def aside(self, aside: AgentAside, *, given: bool = False) -> None:
        """Return where a call may go its own way, which the log tells once for each kind of reason;
        otherwise raise the reason. ``given``: the caller has a secret, which may have the right that the
        agent has not."""
        denied = isinstance(aside.error, HemScopeDenied)
        if not given if denied else self._must:
            raise aside.error from None
        self.reason = reason = str(aside.error)
        if not denied:
            self._ready_until = 0.0
        if type(aside.error) not in self._told:
            self._told.add(type(aside.error))
            unsafe = isinstance(aside.error, HemConfigError)
            _log.log(WARNING if unsafe else INFO, "%s; going on without the agent", reason)

    def close(self) -> None:
        """Drop this process's connections."""
        for each in self._transports.discard() or ():
            each.close()

    # --- one exchange -----------------------------------------------------------------------

    def _own(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """What the agent itself answers of this device; ``None`` where it says 404 by itself. Raises
        ``AgentAside`` alone: the device has no part in it."""
        data = None if body is None else json.dumps(body).encode("ascii")
        config = self._config
        limit = Limit(config.timeout if body else min(config.timeout, config.connect_timeout))
        request = self._request(method, f"/{what}", data, {}, limit, True)
        try:
            with self._reached(True):
                reply = self._transport().send(request)
            self._heed(reply)
            if reply.status not in (200, 404):
                raise HemProtocolError(
                    f"{self._name}: the agent answers HTTP {reply.status} to {method} {what}"
                )
        except HemError as error:
            raise AgentAside(error) from None
        return None if reply.status == 404 else _object(reply.body)

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        fields: Mapping[str, str],
        limit: Limit,
        repeatable: bool,
    ) -> Request:
        headers = {"User-Agent": f"hem-provider/{__version__}", **fields}
        if self.watching:
            headers[Field.WATCHING] = "1"
        if self._place.url is not None:
            headers[Field.DEVICE] = self._place.url
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Request(method, self._path + path, headers, body, limit, repeatable)

    @contextmanager
    def _reached(self, repeatable: bool) -> Iterator[None]:
        """What it means that the agent cannot be reached, or ends in the middle of a call."""
        try:
            yield
        except (HemUnreachable, HemConfigError) as error:
            told = error
            if isinstance(error, HemUnreachable):
                told = HemUnreachable(f"{self._name}: no agent: {error}; {_START}", code="E-AGENT-NONE")
            raise AgentAside(told) from None
        except ConnectionLostError as error:
            if repeatable:
                raise AgentAside(
                    ConnectionLostError(f"{self._name}: the agent is gone: {error}; {_START}")
                ) from None
            raise

    def _transport(self) -> UnixTransport:
        made = self._transports.get()
        if not made:
            if privileges_raised():
                raise HemConfigError(f"{self._name}: no agent is asked by a process with raised privileges")
            path = self._place.socket()
            if path is None:
                raise HemUnreachable("there is no safe folder for its socket")
            try:
                path.lstat()  # most have no agent, and are not to load what speaks to one
            except FileNotFoundError:
                raise HemUnreachable(f"{path}: no such socket") from None
            except OSError as error:  # it is in a folder of somebody else, most likely
                raise HemUnreachable(f"{path}: {error.strerror}") from None
            from hem_provider.rest.unixsocket import UnixTransport

            made.append(UnixTransport(path, connect_timeout=self._config.connect_timeout))
        return made[0]

    def _heed(self, reply: Reply) -> None:
        """Raise what an answer of the agent's own means; the device's is not looked at."""
        word = reply.headers.get(_WORD)
        if word is None:
            return
        values = _object(reply.body)
        text = _shown(values.get("message"))
        said = f"{self._name}: {text or f'the agent answers {_shown(word)!r} (HTTP {reply.status})'}"
        if word == Word.ERROR:
            raise _error(str(values.get("error")), said, values.get("code"))
        if word in _ASIDE:
            kind, cure, code = _ASIDE[word]
            text = said if cure.rpartition(": ")[2] in said else f"{said}; {cure}"
            raise AgentAside(kind(text, code=code))
        if word == Word.REFUSED:
            raise HemRequestRefused(said)
        raise HemProtocolError(f"{self._name}: the agent answers {_shown(word)!r}, which is not known here")

    @property
    def _name(self) -> str:
        return f"{self._config.name} ({self._config.url})"

    def __repr__(self) -> str:
        return f"<Agent of {self._config.name}>"


#: Words after which a call goes its own way, or what is told, how it is cured, and its code.
_ASIDE: Mapping[str, tuple[type[HemError], str, str]] = {
    Word.LOCKED: (HemLoginRequired, _UNLOCK, "E-AGENT-LOCKED"),
    Word.UNKNOWN: (HemUnreachable, "compare its configuration: hem agent status", "E-AGENT-DEVICE"),
    Word.STOPPING: (HemUnreachable, _START, "E-AGENT-NONE"),
    Word.DENIED: (HemScopeDenied, "or go without it: HEM_AGENT=never", "E-AGENT-RIGHT"),
}
#: Codes of kinds of failures, as an agent hands them on.
_CODE = re.compile(r"E(-[A-Z0-9]+)+")
#: Errors of the agent's way to the device, by their names there.
_ERRORS: Mapping[str, type[HemError]] = {
    **{
        name: getattr(errors, name)
        for name in errors.__all__
        if name != "MessageTooLong"  # which has sizes: sent by us, it was measured before
    },
    **{each.__name__: each for each in (ConnectionLostError, NoTurnError)},
}


def _error(name: str, text: str, code: object) -> HemError:
    kind = _ERRORS.get(name)
    if kind is None:
        return HemProtocolError(f"{text} ({_shown(name)})")
    error = kind(text)
    if isinstance(code, str) and _CODE.fullmatch(code):
        error.code = code
    return error


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = parse_json(body) if body else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _shown(text: object) -> str:
    """The agent's text: on one line, without control characters, not at any length."""
    plain = "".join(each if each.isprintable() else " " for each in text) if isinstance(text, str) else ""
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"


def agent_of(config: DeviceConfig) -> Agent | None:
    """The agent that a device is reached through, if there may be one: as ``agent`` says for ``https``
    devices, always for ``unix:SOCKET#NAME``. No I/O."""
    parts = urlsplit(config.url)
    if parts.scheme == "unix":
        path, name = Path(parts.path), unquote(parts.fragment) or config.name
        return Agent(config, _Place(lambda: path, name, None), must=True)
    if parts.scheme != "https" or config.agent == "never":
        return None
    if privileges_raised() and config.agent != "always":  # which says it
        return None
    return Agent(config, _Place(agent_socket, config.name, config.url), must=config.agent == "always")
