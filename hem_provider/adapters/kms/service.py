"""The gRPC service ``v2.KeyManagementService`` on a Unix socket."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from hem_provider.adapters.kms.envelope import Envelopes, NotSealed
from hem_provider.adapters.kms.messages import METHODS, SERVICE
from hem_provider.errors import (
    HemAuthenticationError,
    HemConfigError,
    HemConnectionError,
    HemError,
    HemKeyNotFound,
    HemRequestRefused,
    HemScopeDenied,
    HemTimeout,
)
from hem_provider.logs import WARNING, Logger
from hem_provider.printable import printable

__all__ = ["serve"]

_log = Logger("hem_provider.kms")
#: What ``Status`` says of the interface; Kubernetes takes "v2" since 1.29.
_VERSION, _HEALTHY = "v2", "ok"
#: Most bytes of a request: Kubernetes allows a ciphertext and a key's id of 1 KiB, and 32 KiB of annotations.
_MOST_REQUEST = 40 * 1024
_THREADS = 8
#: Bytes of a Unix socket's path (unix(7)).
_MOST_PATH = 107
#: Error → status of gRPC; the first row that fits counts, any other is ``INTERNAL``.
_CODES: tuple[tuple[type[HemError], grpc.StatusCode], ...] = (
    (NotSealed, grpc.StatusCode.INVALID_ARGUMENT),
    (HemRequestRefused, grpc.StatusCode.INVALID_ARGUMENT),
    (HemKeyNotFound, grpc.StatusCode.NOT_FOUND),
    (HemAuthenticationError, grpc.StatusCode.UNAUTHENTICATED),
    (HemScopeDenied, grpc.StatusCode.PERMISSION_DENIED),
    (HemTimeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (HemConnectionError, grpc.StatusCode.UNAVAILABLE),
)


class _Service:
    """``ready``: raises where no login is at hand."""

    def __init__(self, envelopes: Envelopes, ready: Callable[[], None]) -> None:
        self._envelopes = envelopes
        self._ready = ready
        #: The key that writes is gone, which stays so: a key that was deleted does not come back.
        self._gone: HemKeyNotFound | None = None

    def status(self, _: Any) -> dict[str, Any]:
        """Anything but "ok" shows at the API server's health."""
        try:
            self._ready()
            self._envelopes.check()
            if self._gone is not None:
                raise self._gone
            healthz = _HEALTHY
        except HemError as error:
            healthz = printable(str(error))
            _log.log(WARNING, "status: %s", healthz)
        return {"version": _VERSION, "healthz": healthz, "key_id": self._envelopes.key_id}

    def encrypt(self, request: Any) -> dict[str, Any]:
        """One call."""
        try:
            ciphertext = self._envelopes.encrypt(request.plaintext)
        except HemKeyNotFound as error:
            self._gone = error
            raise
        return {"ciphertext": ciphertext, "key_id": self._envelopes.key_id}

    def decrypt(self, request: Any) -> dict[str, Any]:
        """One call."""
        if request.annotations:
            raise HemRequestRefused(
                f"annotations: {len(request.annotations)}; accepted: none, since none are made here"
            )
        return {"plaintext": self._envelopes.decrypt(request.ciphertext, request.key_id)}


def serve(envelopes: Envelopes, path: Path, ready: Callable[[], None]) -> Any:
    """A server that was started on a socket at ``path``, for this user and root alone. ``stop`` ends it.

    ``ready`` raises why no login is at hand. ``HemConfigError`` where there can be no such socket. The caller
    has seen to it that nothing else is at ``path``.
    """
    if len(os.fsencode(path)) > _MOST_PATH:
        raise HemConfigError(
            f"{path}: {len(os.fsencode(path))} bytes; a socket's path has at most {_MOST_PATH}"
        )
    service = _Service(envelopes, ready)
    actions = {"Status": service.status, "Encrypt": service.encrypt, "Decrypt": service.decrypt}
    options = [("grpc.max_receive_message_length", _MOST_REQUEST)]
    server = grpc.server(ThreadPoolExecutor(_THREADS, "hem-kms"), options=options)
    turn = threading.Lock()
    handlers = {name: _handler(name, action, turn) for name, action in actions.items()}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
        server.start()
    except (RuntimeError, ValueError) as error:
        raise HemConfigError(f"{path}: no socket can be made there: {printable(str(error))}") from None
    finally:
        os.umask(before)
    return server


def _handler(name: str, action: Callable[[Any], Mapping[str, Any]], turn: threading.Lock) -> Any:
    request_class, response_class = METHODS[name]

    def answer(request: Any, context: Any) -> Any:
        try:
            # A device answers one at a time. Who has given up keeps no other waiting, nor the end.
            with turn:
                return response_class(**action(request)) if context.is_active() else response_class()
        except HemError as error:
            text = printable(str(error))
            uid = printable(getattr(request, "uid", ""))[:64]
            _log.log(WARNING, "%s %s: %s", name.lower(), uid, text)
            code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
            return context.abort(code, text)

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request_class.FromString,
        response_serializer=response_class.SerializeToString,
    )
