"""HTTP/1.1 on the agent's socket, one request after another on each connection: those of our own programs
read at a glance (``plainrequest.py``), all others by h11."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import h11

from hem_provider.agent.plainrequest import BODILESS, encode_answer, read_request
from hem_provider.agent.streams import MOST_HANDLES, Stream
from hem_provider.config.agentplace import Field, Word
from hem_provider.records import field, frozen

__all__ = ["Answer", "Express", "HttpStream", "Question", "own_answer"]

_log = logging.getLogger("hem_provider.agent")

#: Bytes of a request's head and of its body.
_MOST_HEAD, _MOST_BODY = 16 * 1024, 256 * 1024
_TOO_LARGE = f"the body is larger than {_MOST_BODY} bytes"
#: Seconds for a request to be there whole once it has begun.
_WHOLE = 20.0


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


class Express(Protocol):
    """The quick way to an answer: at once, or by calling ``tell`` in the event loop, with it or with the
    error. Before that, ``first`` may be called with it in any thread. What is returned takes the question
    back; ``None``: it goes another way, and nothing was done."""

    def __call__(
        self,
        question: Question,
        first: Callable[[Answer], None],
        tell: Callable[[Answer | BaseException], None],
    ) -> Answer | Callable[[], None] | None: ...


class HttpStream(Stream):
    """A client's connection; ``serve`` answers a question, ``express`` is asked before where it is of the
    form that our own programs send."""

    def __init__(
        self,
        connection: socket.socket,
        pid: int,
        gone: Callable[[Stream], None],
        serve: Callable[[Question], Awaitable[Answer]],
        express: Express | None = None,
    ) -> None:
        self._serve = serve
        self._express = express
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD)
        self._head: h11.Request | None = None
        self._bare = False  # whether the request is one whose answer has no body
        self._body = bytearray()
        self._handles: list[int] = []
        self._task: asyncio.Task[None] | None = None
        self._take_back: Callable[[], None] | None = None  # a question that went by express
        self._between = True  # whether h11 has seen nothing of the next request
        self._plain = False  # whether h11 has seen nothing of the one that is served
        self._unsent: bytes | None = None  # what an answer that was sent at once has left
        self._late: asyncio.TimerHandle | None = None
        super().__init__(connection, pid, gone)

    def received(self, data: bytes, handles: list[int]) -> None:
        self._handles += handles
        if len(self._handles) > MOST_HANDLES:
            self.close()
            return
        if self._between and not self.busy and not self._handles and not self.writing:
            plain = read_request(data, _MOST_HEAD, _MOST_BODY)
            if plain is not None:
                self._begin_plain(Question(*plain, self.pid, ()))
                return
        self._between = False
        self._http.receive_data(data)
        self._go_on()

    def drained(self) -> None:
        super().drained()
        self._go_on()

    def _begin_plain(self, question: Question) -> None:
        self.busy = self._plain = True
        if self._express is None:
            self._task = self._loop.create_task(self._answered(question))
            return

        def tell(answer: Answer | BaseException) -> None:
            self._take_back = None
            self._tell(question, answer)

        try:
            found = self._express(question, self._send_at_once, tell)
        except Exception as error:  # as in ``_answered``
            self._tell(question, error)
            return
        if found is None:
            self._task = self._loop.create_task(self._answered(question))
        elif isinstance(found, Answer):
            self._tell(question, found)
        else:
            self._take_back = found

    def _send_at_once(self, answer: Answer) -> None:
        """In any thread, while nothing else is sent: the client need not wait for the event loop."""
        data = encode_answer(answer.status, answer.headers, answer.body)
        self._unsent = data[self.send_now(data) :]

    def _tell(self, question: Question, answer: Answer | BaseException) -> None:
        """An answer that came by express; ``busy`` until here."""
        self.busy = False
        if not self._open:
            return
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            if unsent:
                self.write(unsent)
            self._next()
            return
        if isinstance(answer, BaseException):
            answer = self._failed(question.method, question.path, answer)
        self._give(question, answer)

    def _go_on(self) -> None:
        try:
            self._take_events()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def _take_events(self) -> None:
        # One request after another, and none for a client that does not take its answers.
        while self._open and not self.busy and not self.writing:
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
        self._give(question, answer)

    def _give(self, question: Question, answer: Answer) -> None:
        try:
            self._send(answer)
        except (h11.LocalProtocolError, ValueError) as error:  # a device's status or field
            self._send(self._failed(question.method, question.path, error))
        self._next()

    def _next(self) -> None:
        if self._plain:
            self._plain = False
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._bare = False
            self._between = not self._http.trailing_data[0]
        else:
            self.finish()
            return
        if not self._between:
            self._go_on()

    def _failed(self, method: str, path: str, error: BaseException) -> Answer:
        """What the client gets when there is no proper answer: whether its request was carried out is not
        known. What the error says is not told, since it may be of the request."""
        what = type(error).__name__
        for place in traceback.extract_tb(error.__traceback__)[-1:]:
            what += f" at {os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
        _log.error("process %d: %s %s: %s", self.pid, method, path[:200], what)
        return own_answer(502, Word.ERROR, error="ConnectionLostError", message=f"the agent failed: {what}")

    def _send(self, answer: Answer) -> None:
        if self._plain:
            self.write(encode_answer(answer.status, answer.headers, answer.body))
            return
        content = b"" if self._bare or answer.status in BODILESS else answer.body
        fields = list(answer.headers.items())
        if answer.status not in BODILESS:
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
        if self._take_back is not None:
            self._take_back()
