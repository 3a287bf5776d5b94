"""Calls of no endpoint in particular, as a client makes them."""

from __future__ import annotations

from typing import Any

from hem_provider.device.hem import Hem
from hem_provider.rest.answer import Answer
from hem_provider.rest.auth import Bearer
from hem_provider.rest.call import Call

__all__ = ["send"]


def send(hem: Hem, method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Answer:
    """One request and its whole answer; a GET is repeatable."""
    call = Call(method, path, lambda answer: answer, body, repeatable=method == "GET")
    return hem.session.carry(call, Bearer(token, "", "", 0) if token else None)
