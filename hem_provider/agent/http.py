"""HTTP/1.1 on the agent's socket: requests read by h11, one after another on each connection."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import h11

from hem_provider.agent.streams import MOST_HANDLES, Stream
from hem_provider.config.agentplace import Field, Word
from hem_provider.records import field, frozen

__all__ = ["Answer", "HttpStream", "Question", "own_answer"]

_log = logging.getLogger("hem_provider.agent")

#: Bytes of a request's head and of its body.
_MOST_HEAD, _MOST_BODY = 16 * 1024, 256 * 1024
_TOO_LARGE = f"the body is larger than {_MOST_BODY} bytes"
#: Seconds for a request to be there whole once it has begun.
_WHOLE = 20.0
#: Statuses whose answers have no body (RFC 9110 §15.3.5, §15.4.5).
_BODILESS = (204, 304)


@frozen
class Question:
    """A request. ``path`` is as it came; header names are lower case; ``handles``: descriptors that came
    with it, which are closed after the answer."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    pid: int
    handles: tuple[int, ...] = ()


@frozen
class Answer:
    """``status``, header fields besides the length, and the body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def own_answer(status: int, word: str | None = None, **content: Any) -> Answer:
    """An answer of the agent itself, in JSON; ``word`` when it stands in place of the device's."""
    headers = {"Content-Type": "application/json", **({Field.WORD: word} if word else {})}
    return Answer(status, headers, json.dumps(content, ensure_ascii=False).encode(errors="replace"))


class HttpStream(Stream):
    """A client's connection; ``serve`` answers a question."""

    def __init__(
        self,
        connection: socket.socket,
        pid: int,
        gone: Callable[[Stream], None],
        serve: Callable[[Question], Awaitable[Answer]],
    ) -> None:
        self._serve = serve
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD)
        self._head: h11.Request | None = None
        self._bare = False  # whether the request is one whose answer has no body
        self._body = bytearray()
        self._handles: list[int] = []
        self._task: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        super().__init__(connection, pid, gone)

    def received(self, data: bytes, handles: list[int]) -> None:
        self._handles += handles
        if len(self._handles) > MOST_HANDLES:
            self.close()
            return
        self._http.receive_data(data)
        self._go_on()

    def drained(self) -> None:
        super().drained()
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._take_events()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def _take_events(self) -> None:
        # One request after another, and none for a client that does not take its answers.
        while self._open and self._task is None and not self.writing:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._head, self._body = event, bytearray()
                self._bare = event.method == b"HEAD"
                if not event.http_version.startswith(b"1."):
                    self._refuse(400, f"HTTP/{event.http_version.decode()}; accepted: HTTP/1.1")
                    return
                if int(dict(event.headers).get(b"content-length", b"0")) > _MOST_BODY:
                    self._refuse(413, _TOO_LARGE)
                    return
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MOST_BODY:
                    self._refuse(413, _TOO_LARGE)
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._begin()
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return
            else:  # NEED_DATA or PAUSED
                self._wait()
                return
        # What comes meanwhile is kept, but not without end.
        if len(self._http.trailing_data[0]) > _MOST_HEAD + _MOST_BODY:
            self.close()

    def _wait(self) -> None:
        """For the rest of a request, if one has begun."""
        if self._http.they_are_waiting_for_100_continue:
            self.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        if self._late is None and (self._head is not None or self._http.trailing_data[0]):
            self._late = self._loop.call_later(_WHOLE, self.close)

    def _begin(self) -> None:
        head, self._head = self._head, None
        if head is None:
            raise AssertionError("h11 gives a request before its end")
        self._stop_clock()
        handles, self._handles = tuple(self._handles), []
        question = Question(
            head.method.decode("ascii"),
            head.target.decode("ascii"),
            {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
            bytes(self._body),
            self.pid,
            handles,
        )
        self._body = bytearray()
        self.busy = True
        self._task = self._loop.create_task(self._answered(question))

    async def _answered(self, question: Question) -> None:
        try:
            answer = await self._serve(question)
        except Exception as error:  # whatever it is, the client is told and the others are served
            answer = self._failed(question.method, question.path, error)
        finally:
            for each in question.handles:
                os.close(each)
            self.busy = False
        self._task = None
        try:
            self._send(answer)
        except (h11.LocalProtocolError, ValueError) as error:  # a device's status or field
            self._send(self._failed(question.method, question.path, error))
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._bare = False
            self._go_on()
        else:
            self.finish()

    def _failed(self, method: str, path: str, error: Exception) -> Answer:
        """What the client gets when there is no proper answer: whether its request was carried out is not
        known. What the error says is not told, since it may be of the request."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
        _log.error("process %d: %s %s: %s", self.pid, method, path[:200], what)
        return own_answer(502, Word.ERROR, error="ConnectionLostError", message=f"the agent failed: {what}")

    def _send(self, answer: Answer) -> None:
        content = b"" if self._bare or answer.status in _BODILESS else answer.body
        fields = list(answer.headers.items())
        if answer.status not in _BODILESS:
            fields.append(("Content-Length", str(len(answer.body))))
        response = h11.Response(status_code=answer.status, headers=fields)  # raises before anything is sent
        head = self._http.send(response)
        body = self._http.send(h11.Data(data=content)) if content else b""
        end = self._http.send(h11.EndOfMessage())
        self.write((head or b"") + (body or b"") + (end or b""))

    def _refuse(self, status: int, message: str) -> None:
        _log.debug("process %d: no proper request: %s", self.pid, message)  # no way to fill a log
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = own_answer(status, Word.REFUSED, message=message)
            self._send(Answer(status, {**answer.headers, "Connection": "close"}, answer.body))
        self.finish()

    def _stop_clock(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            late.cancel()

    def ended(self) -> None:
        self._stop_clock()
        for each in self._handles:
            os.close(each)
        self._handles = []
        if self._task is not None:
            self._task.cancel()
