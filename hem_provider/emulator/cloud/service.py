"""The cloud as one service: a table of routes over the same state file as the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..device import Device
from ..encodings import parse_json_object
from ..http import Refusal, Request, Response
from .backend import checkin
from .call import CloudCall

__all__ = ["Cloud"]

_BODY_LIMIT: Final = 1 << 16

_Handler = Callable[[CloudCall], Response]

_ROUTES: Final[tuple[tuple[str, str, _Handler], ...]] = (("POST", "/checkin", checkin),)


class Cloud:
    """Answers requests to `api.encedo.com`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._routes = [(method, tuple(path.split("/")), handler) for method, path, handler in _ROUTES]

    def body_limit(self, method: str, path: str) -> int:  # noqa: ARG002 - one limit for all
        return _BODY_LIMIT

    def chunked_allowed(self) -> bool:
        return True

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response:
        """Answer one request: 404 for unknown paths, 400 for a body that is no JSON object."""
        try:
            if framing is not None:
                raise framing
            handler, path = self._find(request)
            body: dict[str, Any] = {}
            if request.body:
                try:
                    body = parse_json_object(request.body)
                except ValueError:
                    raise Refusal(400) from None
            with self.device.transaction():
                return handler(CloudCall(self.device, request, path, body))
        except Refusal as refusal:
            return refusal.response

    def _find(self, request: Request) -> tuple[_Handler, dict[str, str]]:
        parts = request.path.split("/")
        for method, pattern, handler in self._routes:
            if method == request.method and len(pattern) == len(parts):
                pairs = list(zip(pattern, parts, strict=True))
                if all(part == text or (part.startswith("{") and text) for part, text in pairs):
                    return handler, {part[1:-1]: text for part, text in pairs if part.startswith("{")}
        raise Refusal(404)
