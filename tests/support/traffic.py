"""What goes to and fro between a client and an emulated device in its process: recorded, and with faults
where a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["LostReply", "LostRequest", "Traffic"]


class LostRequest(ConnectionError):
    """The request never reached the device."""


class LostReply(ConnectionError):
    """The device did it, but the answer is lost."""


class Traffic:
    """``requests``: ``"METHOD path"`` of all that arrived, in order; ``CLOUD`` before it for the cloud."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.before_each: Callable[[], None] | None = None
        #: Given an entry of ``requests`` and the body of a 200: what arrives instead.
        self.alter: Callable[[str, bytes], bytes] | None = None
        self._faults: list[tuple[str, Any]] = []

    def count(self, start: str) -> int:
        """How many requests began with ``start``."""
        return sum(1 for each in self.requests if each.startswith(start))

    def fault(self, start: str, what: type[Exception] | int | Callable[[], None]) -> None:
        """For the next request that starts with ``start`` (``"POST /api/keymgmt/create"``): lose it
        or its reply, answer a status, or do something just before it."""
        self._faults.append((start, what))

    def application(self, inner: Any, name: str) -> Callable[..., Any]:
        """``inner`` with recording and faults."""

        def app(environ: dict[str, Any], start_response: Any) -> Any:
            line = f"{name}{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            self.requests.append(line)
            if self.before_each is not None and not line.startswith("CLOUD"):
                self.before_each()
            for place, (start, what) in enumerate(self._faults):
                if line.startswith(start):
                    del self._faults[place]
                    if what is LostReply:
                        list(inner(environ, lambda *_: None))
                        raise LostReply("reset by the rig")
                    if isinstance(what, int):
                        start_response(f"{what} ", [])
                        return [b""]
                    if isinstance(what, type):
                        raise what("by the rig")
                    what()
                    break
            if self.alter is not None:
                return _altered(inner, self.alter, line, environ, start_response)
            return inner(environ, start_response)

        return app


def _altered(
    inner: Any, alter: Callable[[str, bytes], bytes], line: str, environ: dict[str, Any], start_response: Any
) -> Any:
    started: list[Any] = []
    body = b"".join(inner(environ, lambda *arguments: started.extend(arguments)))
    if started[0].startswith("200"):
        body = alter(line, body)
    start_response(started[0], [each for each in started[1] if each[0].lower() != "content-length"])
    return [body]
