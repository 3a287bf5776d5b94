"""The credential that a login is about to need, derived while the device's challenge travels.

A device's identity salts the derivation (device API §5.2), which takes 0.1 s of a processor and more, and is
told by the challenge, which takes a call. It stays as it was, though, for as long as nobody initialises the
device: what is known of it from before is derived for, and thrown away if another one answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from hem_provider.rest.credential import Credential
from hem_provider.threads import begin_thread

__all__ = ["Derivation"]


class Derivation:
    """One that goes on in a thread, which the end of the program waits for. The end of a ``with`` overwrites
    what nobody has taken by then."""

    def __init__(self, derive: Callable[[str, str], Credential]) -> None:
        """``derive`` makes the credential of a secret for a device."""
        self._derive = derive
        self._of: tuple[str, str] | None = None
        self._made: Credential | None = None
        self._thread: threading.Thread | None = None

    def begin(self, secret: str, eid: str) -> None:
        """Derive of ``secret`` for the device ``eid``, where there can be a thread."""
        self._of = secret, eid
        self._thread = begin_thread(partial(self._run, secret, eid), "hem derivation", daemon=False)

    def _run(self, secret: str, eid: str) -> None:
        with suppress(Exception):  # whoever wants it derives again, and is told
            self._made = self._derive(secret, eid)

    def result(self, secret: str, eid: str) -> Credential:
        """The credential of ``secret`` for the device ``eid``; made now unless it was begun."""
        made = self._end() if (secret, eid) == self._of else None
        return made or self._derive(secret, eid)

    def _end(self) -> Credential | None:
        if self._thread is not None:
            self._thread.join()
        made, self._made = self._made, None
        return made

    def __enter__(self) -> Derivation:
        return self

    def __exit__(self, *_: object) -> None:
        unwanted = self._end()  # waited for, since nothing else can overwrite it
        self._of = None
        if unwanted is not None:
            unwanted.wipe()
