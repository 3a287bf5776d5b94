"""HTTP/1.1 on the agent's socket: requests read by h11, one after another on each connection."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11

from hem_provider.agent.streams import Stream
from hem_provider.config.agentplace import Field, Word

__all__ = ["Answer", "HttpStream", "Question", "own_answer"]

_log = logging.getLogger("hem_provider.agent")

#: Bytes of a request's head and of its body.
_MOST_HEAD, _MOST_BODY = 16 * 1024, 256 * 1024
#: Seconds for a request to be there whole once it has begun.
_WHOLE = 20.0


@dataclass(frozen=True, slots=True)
class Question:
    """A request. ``path`` is as it came; header names are lower case; ``handles``: descriptors that came
    with it, which are closed after the answer."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    pid: int
    handles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """``status``, header fields besides the length, and the body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def own_answer(status: int, word: str | None = None, **content: Any) -> Answer:
    """An answer of the agent itself, in JSON; ``word`` when it stands in place of the device's."""
    headers = {"Content-Type": "application/json", **({Field.WORD: word} if word else {})}
    return Answer(status, headers, json.dumps(content, ensure_ascii=False).encode())


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
        self._body = bytearray()
        self._handles: list[int] = []
        self._task: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        super().__init__(connection, pid, gone)

    def received(self, data: bytes, handles: list[int]) -> None:
        self._handles += handles
        if self._late is None and self._task is None:
            self._late = self._loop.call_later(_WHOLE, self.close)
        try:
            self._http.receive_data(data)
            self._go_on()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def _go_on(self) -> None:
        while self._task is None:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._head, self._body = event, bytearray()
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MOST_BODY:
                    self._refuse(413, f"the body is larger than {_MOST_BODY} bytes")
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._begin()
            elif isinstance(event, h11.ConnectionClosed):
                self.close()
                return
            else:  # NEED_DATA or PAUSED
                return
        # What comes meanwhile is kept, but not without end.
        if len(self._http.trailing_data[0]) > _MOST_HEAD + _MOST_BODY:
            self.close()

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
        finally:
            for each in question.handles:
                os.close(each)
            self.busy = False
        self._task = None
        self._send(answer)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            try:
                self._go_on()
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint, str(error))
        else:
            self.finish()

    def _send(self, answer: Answer) -> None:
        fields = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
        head = self._http.send(h11.Response(status_code=answer.status, headers=fields))
        body = self._http.send(h11.Data(data=answer.body)) if answer.body else b""
        end = self._http.send(h11.EndOfMessage())
        self.write((head or b"") + (body or b"") + (end or b""))

    def _refuse(self, status: int, message: str) -> None:
        _log.info("process %d: no proper request: %s", self.pid, message)
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
