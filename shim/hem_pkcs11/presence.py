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
from hem_provider.threads import begin_thread

if TYPE_CHECKING:
    from hem_provider.device.cache import Glimpse
    from hem_provider.device.hem import Hem

__all__ = ["Presence", "present_ones"]

#: For how long, in seconds, one look at the device answers whether it is there, and when it is not.
PRESENT_FOR = 10.0
ABSENT_FOR = 3.0
#: For how long, in seconds, a look at several devices waits for one that does not answer: where it is known
#: from before whether it is there, and where it is not.
WAIT_KNOWN = 1.0
WAIT_UNKNOWN = 5.0


class Presence:
    """Of the device of one slot; ``hem`` gives it. ``lock``: the slot's, for one thread asks at a time."""

    def __init__(self, number: int, name: str, lock: threading.RLock, hem: Callable[[], Hem]) -> None:
        #: Whether the device was initialised when last looked at.
        self.initialized = True
        self.number = number
        self.name = name
        self._lock = lock
        self._hem = hem
        self._probed = float("-inf")
        self._doubted = False
        self._present = False
        #: What another process saw of it, until this one looks.
        self.glimpse: Glimpse | None = None
        self._absence = ""  # why it was not there when last looked at
        self._absence_told = False
        self._told: bool | None = None
        self._asking: float | None = None  # since when somebody waits for its answer
        self._late = False  # whether it was waited for in vain since then

    def present(self) -> bool:
        """Whether the device answers; asked again after 10 s, or 3 s where it did not. While it keeps another
        thread waiting for too long, what was known of it before.

        The challenge that this brings is what the next login uses, so that looking costs nothing. The first
        look of a process is at what others saw within 30 s.
        """
        if self._keeps_waiting:
            return self._present
        first = self._asking is None
        if first:
            self._asking = time.monotonic()
        try:
            with self._lock:
                if not self._is_fresh:
                    self._present = self._probe()
                    self._probed = time.monotonic()
                return self._present
        finally:
            if first:
                self._asking, self._late = None, False

    @property
    def last(self) -> bool:
        """As it was when it was asked last. No I/O."""
        return self._present

    @property
    def due(self) -> bool:
        """Whether ``present`` would ask the device."""
        return not (self._is_fresh or self._keeps_waiting)

    @property
    def patience(self) -> float:
        """Seconds that others wait for its answer."""
        return WAIT_UNKNOWN if self._probed == float("-inf") else WAIT_KNOWN

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self._probed < (PRESENT_FOR if self._present else ABSENT_FOR)

    @property
    def _keeps_waiting(self) -> bool:
        since = self._asking
        return since is not None and (self._late or time.monotonic() - since > self.patience)

    def leave(self) -> None:
        """Let nobody wait for the answer that is asked for now."""
        self._late = self._asking is not None

    def doubt(self) -> None:
        """Ask the device at the next call of ``present``."""
        with self._lock:
            self._probed, self._doubted = float("-inf"), True

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
        text = "" if self._absence_told else f"{self.name} does not answer: {self._absence}"
        self._absence_told = True
        raise Pkcs11Error(CKR.TOKEN_NOT_PRESENT, text)

    def _probe(self) -> bool:
        hem, first = self._hem(), self._probed == float("-inf") and not self._doubted
        self.glimpse = hem.recall() if first else None
        if self.glimpse is not None:
            return True
        try:
            hem.probe()
        except HemNotInitialized:
            self.initialized = False
            return True
        except HemConnectionError as error:
            self._absence = str(error)
            log.warning(f"slot {self.number}: {self.name} is not there: {error}")
            return False
        except HemError as error:
            # It answers, if not well: what is wrong with it shows where it is used.
            log.warning(f"slot {self.number}: {self.name}: {error}")
            return True
        self.initialized = True
        return True


def present_ones(candidates: list[Presence]) -> list[Presence]:
    """Those whose device answers. Several are asked at once, and one that takes long delays the others by
    ``WAIT_KNOWN`` or ``WAIT_UNKNOWN`` once: until its answer comes it is what it was before, and absent if it
    was never asked.

    One after another when the host allows us no threads, or the system has none to give.
    """
    if len(candidates) == 1:
        return [each for each in candidates if each.present()]
    began = time.monotonic()
    asked = []
    for each in candidates:
        if each.due:
            thread = begin_thread(each.present, "hem look")
            if thread is None:
                each.present()
            else:
                asked.append((each, thread))
    for each, thread in asked:
        thread.join(max(0.0, began + each.patience - time.monotonic()))
        if thread.is_alive():
            each.leave()
            log.warning(f"slot {each.number}: {each.name} is silent, and what it was")
    return [each for each in candidates if each.last]
