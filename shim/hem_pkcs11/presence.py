"""Whether the token of a slot is there: a device is asked, at most once in some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.log import log
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.errors import HemConnectionError, HemError, HemNotInitialized
from hem_provider.threads import threads_allowed

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem

__all__ = ["Presence", "present_ones"]

#: For how long, in seconds, one look at the device answers whether it is there, and when it is not.
PRESENT_FOR = 10.0
ABSENT_FOR = 3.0


class Presence:
    """Of the device of one slot; ``hem`` gives it. ``lock``: the slot's, for one thread asks at a time."""

    def __init__(self, number: int, name: str, lock: threading.RLock, hem: Callable[[], Hem]) -> None:
        #: Whether the device was initialised when last looked at.
        self.initialized = True
        self.number = number
        self._name = name
        self._lock = lock
        self._hem = hem
        self._probed = float("-inf")
        self._present = False
        self._absence = ""  # why it was not there when last looked at
        self._absence_told = False
        self._told: bool | None = None

    def present(self) -> bool:
        """Whether the device answers; asked again after 10 s, or 3 s where it did not.

        The challenge that this brings is what the next login uses, so that looking costs nothing.
        """
        with self._lock:
            age = time.monotonic() - self._probed
            if age >= (PRESENT_FOR if self._present else ABSENT_FOR):
                self._present = self._probe()
                self._probed = time.monotonic()
            return self._present

    def doubt(self) -> None:
        """Ask the device at the next call of ``present``."""
        with self._lock:
            self._probed = float("-inf")

    def take_change(self) -> bool:
        """Whether the token came or went since this was last asked; the first time tells nothing."""
        with self._lock:
            before, self._told = self._told, self._present
            return before is not None and before != self._present

    def require(self) -> None:
        """Raise CKR_TOKEN_NOT_PRESENT unless the device answers; in words once for each absence.

        Hosts ask for each token again and again.
        """
        if self.present():
            self._absence_told = False
            return
        text = "" if self._absence_told else f"{self._name} does not answer: {self._absence}"
        self._absence_told = True
        raise Pkcs11Error(CKR.TOKEN_NOT_PRESENT, text)

    def _probe(self) -> bool:
        try:
            self._hem().probe()
        except HemNotInitialized:
            self.initialized = False
            return True
        except HemConnectionError as error:
            self._absence = str(error)
            log.warning(f"slot {self.number}: {self._name} is not there: {error}")
            return False
        except HemError as error:
            # It answers, if not well: what is wrong with it shows where it is used.
            log.warning(f"slot {self.number}: {self._name}: {error}")
            return True
        self.initialized = True
        return True


def present_ones(candidates: list[Presence]) -> list[Presence]:
    """Those whose device answers; several are asked at once, so that a dead one delays nobody twice.

    One after another when the host allows us no threads, or the system has none to give.
    """
    others: list[threading.Thread] = []
    for each in candidates[1:] if threads_allowed() else ():
        thread = threading.Thread(target=each.present, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # RLIMIT_NPROC, a control group, seccomp
            break
        others.append(thread)
    there = [each for each in candidates[:1] if each.present()]
    for thread in others:
        thread.join()
    return there + [each for each in candidates[1:] if each.present()]  # answered from memory, or asked now
