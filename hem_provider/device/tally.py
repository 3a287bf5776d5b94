"""Requests to a device, counted: how many of which kind were answered, how long that took, and what failed.

For programs that run for long and tell it to whoever watches: the agent and the exporter.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from typing import Any

from hem_provider.device.hem import Hem
from hem_provider.errors import HemError, HemProtocolError, HemTimeout, HemTLSError, HemUnreachable
from hem_provider.rest.wire import ConnectionLostError, Reply, Request, Transport

__all__ = ["BUCKETS", "ENDPOINTS", "KINDS", "OTHER", "Tally", "tally_of", "template", "watching"]

#: Seconds: upper bounds of the counts of an endpoint's answers. A bare call of hardware takes 0.25 to 0.6 s,
#: a self-test 5 s, keys up to a minute (device API §18).
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: What is no endpoint of the device API: a client of an agent may ask for anything.
OTHER = "other"
#: Paths without anything that changes (device API §3).
_FIXED = frozenset(
    f"/api/{group}/{name}"
    for group, names in {
        "auth": "token init ext/init ext/validate ext/mac ext/request ext/token",
        "system": "status version checkin config config/attestation config/provisioning selftest reboot "
        "shutdown upgrade upgrade/upload_fw upgrade/check_fw upgrade/install_fw upgrade/usbmode "
        "upgrade/upload_ui upgrade/check_ui upgrade/install_ui",
        "keymgmt": "list search create update import derive",
        "crypto": "hmac/hash hmac/verify exdsa/sign exdsa/verify cipher/encrypt cipher/decrypt cipher/wrap "
        "cipher/unwrap ecdh pqc/mlkem/encaps pqc/mlkem/decaps pqc/mldsa/sign pqc/mldsa/verify",
        "logger": "key list",
        "storage": "unlock unlock/rw unlock/ro lock",
    }.items()
    for name in names.split()
)
#: Beginning of a path → its template; the first that fits counts.
_VARIABLE = (
    ("/api/keymgmt/list/", "/api/keymgmt/list/{offset}/{count}"),
    ("/api/keymgmt/get/", "/api/keymgmt/get/{kid}"),
    ("/api/keymgmt/delete/", "/api/keymgmt/delete/{kid}"),
    ("/api/logger/list/", "/api/logger/list/{offset}"),
    ("/api/logger/", "/api/logger/{id}"),
)
#: Everything that ``template`` gives.
ENDPOINTS = frozenset({*_FIXED, *(each for _, each in _VARIABLE), OTHER})
#: Methods of the device API; others are ``OTHER``, too.
_METHODS = frozenset({"GET", "POST", "DELETE", "PUT"})

#: Error of the way to the device → what its failures are counted as; the first row that fits counts.
_ERRORS: tuple[tuple[type[HemError], str], ...] = (
    (ConnectionLostError, "connection-lost"),
    (HemTLSError, "certificate-refused"),
    (HemTimeout, "no-answer"),
    (HemUnreachable, "unreachable"),
    (HemProtocolError, "answer-untrue"),
    (HemError, "failed"),
)
#: Statuses of the device API that are no success; any other from 400 on is ``status-other``.
_STATUSES = frozenset({400, 401, 403, 404, 406, 409, 410, 411, 412, 413, 418, 500, 502, 503, 504})
#: Everything that failures are counted as.
KINDS = (*(name for _, name in _ERRORS), *(f"status-{each}" for each in sorted(_STATUSES)), "status-other")


def template(path: str) -> str:
    """The endpoint that a path is of, without what stands for a key, a file or a place in a list.

    >>> template("/api/keymgmt/get/00112233445566778899aabbccddeeff")
    '/api/keymgmt/get/{kid}'
    """
    if path in _FIXED:
        return path
    return next((each for beginning, each in _VARIABLE if path.startswith(beginning)), OTHER)


class Tally:
    """Of one device since this object was made. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._failures: Counter[str] = Counter()

    def answered(self, method: str, path: str, seconds: float, status: int) -> None:
        """Count an answer; one with a status from 400 on is a failure as well."""
        key = (method if method in _METHODS else OTHER, template(path))
        with self._lock:
            self._answers.setdefault(key, [0] * (len(BUCKETS) + 1))[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds
            if status >= 400:
                self._failures[f"status-{status if status in _STATUSES else 'other'}"] += 1

    def failed(self, error: HemError) -> None:
        """Count a request that got no answer."""
        kind = next(name for kind, name in _ERRORS if isinstance(error, kind))
        with self._lock:
            self._failures[kind] += 1

    def document(self) -> dict[str, Any]:
        """All counts as JSON: of each endpoint the answers by how long they took (``buckets``: up to each of
        ``BUCKETS`` and beyond, not added up) and the ``seconds`` of all; ``failures`` by kind."""
        with self._lock:
            return {
                "endpoints": [
                    {
                        "method": method,
                        "endpoint": endpoint,
                        "buckets": list(buckets),
                        "seconds": round(self._seconds[method, endpoint], 6),
                    }
                    for (method, endpoint), buckets in sorted(self._answers.items())
                ],
                "failures": dict(sorted(self._failures.items())),
            }

    def timed(self, transport: Transport) -> Transport:
        """The same way to a device, counted."""
        return _Timed(transport, self)


class _Timed:
    def __init__(self, transport: Transport, tally: Tally) -> None:
        self._transport = transport
        self._tally = tally

    def send(self, request: Request) -> Reply:
        began = time.monotonic()
        try:
            reply = self._transport.send(request)
        except HemError as error:
            self._tally.failed(error)
            raise
        self._tally.answered(request.method, request.path, time.monotonic() - began, reply.status)
        return reply

    def close(self) -> None:
        self._transport.close()


def watching(hem: Hem) -> Tally:
    """As ``tally_of``, for a program that watches unasked: an agent is as idle as it is without it."""
    if hem.rest.channel.agent is not None:
        hem.rest.channel.agent.watching = True
    return tally_of(hem)


def tally_of(hem: Hem) -> Tally:
    """Count the requests that ``hem`` makes by its own way, from now on."""
    tally = Tally()
    hem.rest.channel.watch = tally.timed
    return tally
