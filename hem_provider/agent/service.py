"""What the agent answers: the device's API below ``/devices/NAME``, and its own few paths (docs/agent.md)."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from hem_provider.agent.door import Door, LockedError, Wanted
from hem_provider.agent.http import Answer, Question, own_answer
from hem_provider.agent.memory import SecretPage
from hem_provider.agent.pins import MOST_WRONG, PinCheck
from hem_provider.config.agentplace import DEVICES, Field, Word
from hem_provider.device.relay import Reply, name_of, parse_json
from hem_provider.errors import HemError, HemScopeDenied
from hem_provider.secret import hold_in

__all__ = ["Service"]

_log = logging.getLogger("hem_provider.agent")

#: Seconds that a request has where it does not say, and the most.
_USUAL, _LONGEST = 60.0, 3600.0
_METHODS = ("GET", "POST", "DELETE", "PUT")
_SEED_SIZE = 32
#: What no person waits for, and what says so of any other request.
_STATE, _WATCHING = ("GET", "/status"), Field.WATCHING.lower()
#: All that paths of the device are made of: what is written otherwise could name a key unseen.
_OF_THE_DEVICE, _DEVICE_PATH = "/api/", re.compile(r"[A-Za-z0-9_./-]+")


class _RefusedError(Exception):
    """The request is not one. ``status``: of the answer."""

    status = 400


class Service:
    """``doors``: by the names of the devices. ``status`` tells the state of the whole; ``lock`` and ``stop``
    are called for the paths of these names, ``touched`` before anything is done for a client; where that only
    watches, ``watched`` is."""

    def __init__(
        self,
        doors: Mapping[str, Door],
        *,
        status: Callable[[], Mapping[str, Any]],
        lock: Callable[[str], None],
        stop: Callable[[], None],
        touched: Callable[[], None],
        watched: Callable[[], None] = lambda: None,
    ) -> None:
        self._doors = doors
        self._status = status
        self._touched = touched
        self._watched = watched
        self._lock = lock
        self._stop = stop
        self.stopping = False
        self._own: dict[tuple[str, str], Callable[[Question], Answer]] = {
            _STATE: lambda _: own_answer(200, **self._status()),
            ("POST", "/lock"): self._locked,
            ("POST", "/stop"): self._stopped,
        }
        self._of_device: dict[tuple[str, str], Callable[[Door, Question], Awaitable[Answer]]] = {
            ("GET", "/pin"): self._pin_key,
            ("POST", "/pin"): self._check_pin,
            ("POST", "/forget"): self._forget,
            ("GET", "/unlock"): self._unlock_for,
            ("POST", "/unlock"): self._unlock,
        }

    async def answer(self, question: Question) -> Answer:
        """The answer to one request, whatever it is."""
        try:
            return await self._answer(question)
        except Exception as error:
            answer = _excuse(question, error)
            if answer is None:
                raise
            return answer

    def answer_now(
        self,
        question: Question,
        first: Callable[[Answer], None],
        tell: Callable[[Answer | BaseException], None],
    ) -> Answer | Callable[[], None] | None:
        """As ``answer``, where nothing has to be waited for but the device: the ``Express`` of a stream."""

        def told(result: Reply | BaseException) -> None:
            tell(_handed_on(result) if isinstance(result, Reply) else _excuse(question, result) or result)

        try:
            found = self._found(question)
            if isinstance(found, Answer):
                return found
            door, path = found
            if not path.startswith(_OF_THE_DEVICE):
                return None
            asked = door.ask_now(_wanted(question, path), lambda reply: first(_handed_on(reply)), told)
        except Exception as error:
            answer = _excuse(question, error)
            if answer is None:
                raise
            return answer
        return _handed_on(*asked) if isinstance(asked, tuple) else asked

    async def _answer(self, question: Question) -> Answer:
        found = self._found(question)
        if isinstance(found, Answer):
            return found
        door, path = found
        of_device = self._of_device.get((question.method, path))
        if of_device is not None:
            return await of_device(door, question)
        return _handed_on(*await door.ask(_wanted(question, path)))

    def _found(self, question: Question) -> Answer | tuple[Door, str]:
        """The device that is meant, and what of it: a path of its API or of those in ``_of_device``."""
        watches = (question.method, question.path) == _STATE or _watches(question)
        (self._watched if watches else self._touched)()  # which may find that it is to be locked
        if self.stopping:
            return own_answer(503, Word.STOPPING, message="the agent is being stopped or locked")
        if question.method not in _METHODS:
            raise _refused(405, f"method {question.method}; accepted: {', '.join(_METHODS)}")
        own = self._own.get((question.method, question.path))
        if own is not None:
            return own(question)
        if not question.path.startswith(DEVICES):
            raise _no_path(question)
        name, slash, rest = question.path.removeprefix(DEVICES).partition("/")
        door = self._door(unquote(name), question.headers.get(Field.DEVICE.lower()))
        if isinstance(door, Answer):
            return door
        path = slash + rest
        if (question.method, path) not in self._of_device:
            if not path.startswith(_OF_THE_DEVICE):
                raise _no_path(question)
            if not _DEVICE_PATH.fullmatch(path):
                raise _refused(
                    400, f"{question.path[:200]}: accepted are letters, digits and _ . - between /"
                )
        return door, path

    def _door(self, name: str, url: str | None) -> Door | Answer:
        """The device of this name, or of the URL that the client has for it where it names it otherwise."""
        door = self._doors.get(name)
        if door is not None and url in (None, door.config.url):
            return door
        same = next((each for each in self._doors.values() if each.config.url == url), None)
        if same is not None:
            return same
        there = ", ".join(f"{each.name} ({each.config.url})" for each in self._doors.values())
        what = f"{name!r} at {url}" if url else repr(name)
        status = 404 if door is None else 421
        return own_answer(status, Word.UNKNOWN, message=f"the agent has no device {what}; there are: {there}")

    def _locked(self, _: Question) -> Answer:
        self._lock("on request")
        return own_answer(200)

    def _stopped(self, _: Question) -> Answer:
        self._stop()
        return own_answer(200)

    async def _forget(self, door: Door, _: Question) -> Answer:
        door.lose("the passphrase was changed")
        return own_answer(200)

    async def _pin_key(self, door: Door, question: Question) -> Answer:
        if not door.is_unlocked and not _watches(question):
            await door.try_source()
        if not door.is_unlocked:
            raise LockedError(door.reason)
        if door.pins is None:
            # Without a word: the device is known, and unlocked.
            return own_answer(404, message="it was not unlocked by a passphrase")
        return own_answer(200, key=base64.b64encode(door.pins.key).decode())

    async def _check_pin(self, door: Door, question: Question) -> Answer:
        if await door.check_pin(_bytes(_object(question.body), "mac", 32)):
            return own_answer(200)
        if door.pins is not None and door.pins.exhausted:
            self._lock(f"{MOST_WRONG} wrong PINs in a row")
        return own_answer(403, Word.DENIED, message="this is not the passphrase that the agent knows")

    async def _unlock_for(self, door: Door, _: Question) -> Answer:
        identity = await door.in_turn(door.relay.identity)
        return own_answer(200, eid=identity.eid, label=identity.label)

    async def _unlock(self, door: Door, question: Question) -> Answer:
        told = _object(question.body)
        if told.get("by") == "phone":
            if door.config.auth != "mobile":
                raise _refused(400, f"by: {door.name} has no login by phone; accepted: source")
            await door.unlock_by_phone()
            return own_answer(200)
        if told.get("by") == "source":
            await door.try_source(anew=True)
            if not door.is_unlocked:
                raise LockedError(door.reason)
            return own_answer(200)
        eid, doubt = told.get("eid"), told.get("doubt")
        if not isinstance(eid, str) or not isinstance(doubt, str | None):
            raise _refused(400, "eid and doubt: texts are accepted; doubt may be null")
        pins = PinCheck(_bytes(told, "pin_key", 32), _bytes(told, "pin_mac", 32))
        if len(question.handles) != 1:
            raise _refused(400, f"{len(question.handles)} descriptors came along; accepted: one memory file")
        page = SecretPage(_SEED_SIZE)
        try:
            page.take(question.handles[0])
        except (ValueError, OSError) as error:
            raise _refused(400, f"the descriptor: {error}") from None
        accepted = await asyncio.shield(door.unlock(hold_in(page.view), eid, doubt, pins, locked=page.locked))
        if accepted:
            return own_answer(200)
        return own_answer(403, Word.DENIED, message=door.refusal(doubt))


#: Fields of a device's answer that are handed on.
_PASSED = (("content-type", "Content-Type"), ("server", "Server"))
#: Fields of requests, as they are read.
_SCOPES, _WITHIN, _REPEATABLE = Field.SCOPES.lower(), Field.WITHIN.lower(), Field.REPEATABLE.lower()


def _wanted(question: Question, path: str) -> Wanted:
    headers = question.headers
    body = _object(question.body) if question.body else None
    if body is None and question.method == "POST":
        body = {}
    return Wanted(
        question.method,
        path,
        body,
        tuple(headers.get(_SCOPES, "").split()),
        _seconds(headers.get(_WITHIN)),
        headers.get(_REPEATABLE) == "1",
        "no-cache" in headers.get("cache-control", ""),
        _watches(question),
        time.monotonic(),
    )


def _handed_on(reply: Reply, age: int | None = None) -> Answer:
    kept = {name: reply.headers[read] for read, name in _PASSED if read in reply.headers}
    if age is not None:
        kept["Age"] = str(age)
    return Answer(reply.status, kept, reply.body)


def _excuse(question: Question, error: BaseException) -> Answer | None:
    """What a client is told in the place of an answer; ``None`` where the error is a fault of ours."""
    if isinstance(error, _RefusedError):
        return own_answer(error.status, Word.REFUSED, message=str(error))
    if isinstance(error, LockedError):
        message = f"the agent is locked for this device ({error}): hem agent unlock"
        return own_answer(401, Word.LOCKED, message=message)
    if isinstance(error, HemScopeDenied):
        _log.info("process %d: %s", question.pid, error)
        return own_answer(403, Word.DENIED, message=str(error))
    if isinstance(error, TimeoutError):
        message = f"{question.method} {question.path}: no turn in time (nothing was sent)"
        return own_answer(502, Word.ERROR, error="NoTurnError", message=message)
    if isinstance(error, HemError):
        _log.info("process %d: %s", question.pid, error)
        return own_answer(502, Word.ERROR, error=name_of(error), message=str(error), code=error.code)
    return None


def _watches(question: Question) -> bool:
    return question.headers.get(_WATCHING) == "1"


def _refused(status: int, message: str) -> _RefusedError:
    error = _RefusedError(message)
    error.status = status
    return error


def _no_path(question: Question) -> _RefusedError:
    return _refused(404, f"{question.path[:200]}: no such path; accepted: {DEVICES}NAME/api/…")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = parse_json(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _refused(
            400,
            f"the body ({len(body)} bytes): accepted is a JSON object in UTF-8 of at most 16 levels",
        )
    return found


def _bytes(told: Mapping[str, Any], name: str, size: int) -> bytes:
    try:
        value = base64.b64decode(told[name], validate=True)
    except (KeyError, ValueError, TypeError):
        value = b""
    if len(value) != size:
        raise _refused(400, f"{name}: accepted are {size} bytes in base64")
    return value


def _seconds(text: str | None) -> float:
    if text is None:
        return _USUAL
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _LONGEST:
        raise _refused(
            400, f"{Field.WITHIN}: {text[:20]!r}; accepted: seconds, more than 0, up to {_LONGEST:g}"
        )
    return value
