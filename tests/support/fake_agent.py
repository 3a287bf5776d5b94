"""An agent in the test's process: what it says is the test's to choose, what it relays is done by a device.

It stands for ``hem agent`` in tests of its clients. It is no model of the daemon: no queue, no idle lock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.passphrases import PASSPHRASE

from hem_provider.config.agentplace import Field, Word
from hem_provider.device.hem import Hem
from hem_provider.device.relay import Relay, name_of
from hem_provider.errors import HemError

__all__ = ["FakeAgent"]

#: Paths whose answers are remembered.
_REMEMBERED = ("/api/keymgmt/list/", "/api/auth/token")
_STATUS = {
    Word.LOCKED: 401,
    Word.DENIED: 403,
    Word.UNKNOWN: 421,
    Word.STOPPING: 503,
    Word.REFUSED: 400,
    Word.ERROR: 502,
}


class FakeAgent:
    """Listens at ``path`` for the device called ``name`` and relays with the login of ``hem``.

    ``asked``: ``(method, path, headers, body)`` of all that came for the device; ``calls``: how many went on
    to it. ``word``: what it answers to everything, with ``says`` in the message. ``denied``: scopes that it
    has no right to. ``before``: given the handler and the path, before anything else; it returns whether it
    has seen to the request.
    """

    def __init__(self, hem: Hem, path: Path, name: str = "office", url: str = "https://hem.example") -> None:
        self.hem, self.name, self.url = hem, name, url
        self.relay = Relay(hem)
        self.passphrase: str | None = PASSPHRASE
        self.key = os.urandom(32)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.calls = self.compared = 0
        self.word, self.says = "", ""
        self.error = "HemUnreachable"
        self.denied: set[str] = set()
        self.memory_seconds = 30.0
        self.memory: dict[tuple[str, str, bytes], tuple[float, int, dict[str, str], bytes]] = {}
        self.before: Callable[[Any, str], bool] | None = None
        self.path = path
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._server: _Server | None = None
        self.start()

    def start(self) -> None:
        """Listen, again."""
        self._server = _Server(str(self.path), _Handler)
        self._server.agent = self
        self._server.connections = set()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """As one that is killed, but for the socket, which is gone."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for each in list(server.connections):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Nothing is remembered any more, nor counted."""
        self.memory.clear()
        self.asked.clear()
        self.calls = self.compared = 0

    @property
    def lines(self) -> list[str]:
        """``METHOD path`` of all that came for the device."""
        return [f"{method} {path}" for method, path, _, _ in self.asked]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    agent: FakeAgent
    connections: set[socket.socket]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        self.server.connections.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.connections.discard(self.request)
        super().finish()

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(
        self, status: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None, word: str = ""
    ) -> None:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            if name not in ("content-length", "connection", "date", "transfer-encoding"):
                self.send_header(name, value)
        if word:
            self.send_header(Field.WORD, word)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def says(self, word: str, text: str = "", **more: str) -> None:
        self.answer(_STATUS[word], {"message": text, **more}, word=word)

    def do_GET(self) -> None:
        agent = self.server.agent
        body = self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = self.lowered = {name.lower(): value for name, value in self.headers.items()}
        if agent.before is not None and agent.before(self, self.path):
            return
        start, _, rest = self.path.removeprefix("/devices/").partition("/")
        path = f"/{rest}"
        if unquote(start) != agent.name or headers.get("hem-device", agent.url) != agent.url:
            self.says(Word.UNKNOWN, "no such device")
        elif agent.word:
            self.says(agent.word, agent.says, error=agent.error)
        elif path == "/pin":
            self.pin(body)
        else:
            agent.asked.append((self.command, path, headers, body))
            self.device(path, headers, body)

    do_POST = do_DELETE = do_GET  # noqa: N815 - as the standard library calls them

    def pin(self, body: bytes) -> None:
        agent = self.server.agent
        if agent.passphrase is None:
            self.answer(404, {})
        elif self.command == "GET":
            self.answer(200, {"key": base64.b64encode(agent.key).decode()})
        else:
            agent.compared += 1
            right = hmac.digest(agent.key, agent.passphrase.encode(), hashlib.sha256)
            if hmac.compare_digest(base64.b64decode(json.loads(body)["mac"]), right):
                self.answer(200, {})
            else:
                self.says(Word.DENIED, "not the passphrase")

    def device(self, path: str, headers: dict[str, str], body: bytes) -> None:
        agent = self.server.agent
        scopes = headers.get(Field.SCOPES.lower(), "").split()
        if set(scopes) & agent.denied:
            self.says(Word.DENIED, "start it with: hem agent start --allow make")
            return
        memorable = path.startswith(_REMEMBERED) or (path == "/api/keymgmt/search" and not scopes)
        place = (self.command, path, body)
        kept = agent.memory.get(place)
        fresh = "no-cache" in headers.get("cache-control", "")
        if kept is not None and not fresh and time.monotonic() - kept[0] < agent.memory_seconds:
            age = str(int(time.monotonic() - kept[0]))
            self.answer(kept[1], kept[3], {**kept[2], "Age": age})
            return
        agent.calls += 1
        try:
            reply = agent.relay.send(
                self.command,
                path,
                json.loads(body) if body else None,
                scopes=scopes,
                within=float(headers[Field.WITHIN.lower()]),
                repeatable=headers.get(Field.REPEATABLE.lower()) == "1",
            )
        except HemError as error:
            self.says(Word.ERROR, str(error), error=name_of(error))
            return
        answer = dict(reply.headers)
        if memorable and reply.status == 200:
            agent.memory[place] = (time.monotonic(), reply.status, answer, reply.body)
        elif self.command != "GET" and not path.startswith("/api/crypto") and not path.endswith("/search"):
            agent.memory.clear()
        self.answer(reply.status, reply.body, answer)
