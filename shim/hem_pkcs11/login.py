"""Who is logged in to a slot, and the verified PIN that may spare the next login a round trip.

Hosts log out and in again many times (GnuTLS seven times for one listing), and each login at the
device takes up to seconds. So for at most five minutes after a verified login the device layer
keeps its credential, and the same PIN, compared by keyed MAC, is accepted here.

An idle host makes no call that could end those five minutes, so that after C_Logout a thread does
(``expiry``): a check at the entry points alone would leave the credential in memory for as long as
the process lives. Where the host forbids threads (CKF_LIBRARY_CANT_CREATE_OS_THREADS, as p11-kit and
GnuTLS do) that check, made by every call of any function, is all there is. Where threads are allowed
and none is to be had, nothing is kept after C_Logout. The clock goes on while the machine is
suspended. A forked child overwrites its copy before it does anything else.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR, CKU
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.errors import HemAuthenticationError, HemLoginRequired
from hem_provider.secret import Lease, hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from hem_provider.device.hem import Hem

__all__ = ["MAX_PIN", "Login", "text_of"]

#: Longest PIN in bytes (UTF-8).
MAX_PIN = 255


def text_of(pin: bytes) -> str:
    """Raises CKR_PIN_INVALID for what is no UTF-8 text."""
    try:
        return pin.decode("utf-8")
    except UnicodeDecodeError:
        raise Pkcs11Error(CKR.PIN_INVALID, "the PIN is not UTF-8 text") from None


def _seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Login:
    """Login state of one slot. ``keep``: seconds a verified PIN stays good, 0 for never.

    Calls come in one at a time, under the slot's lock.
    """

    def __init__(self, keep: float, clock: Callable[[], float] = _seconds) -> None:
        self.user: CKU | None = None
        self.refused: set[CKU] = set()  # whose PIN was wrong at least once since it was last right
        self._keep = keep
        self._clock = clock
        self._key: Lease | None = None
        self._mac = b""
        self._until = 0.0

    def login(self, hem: Hem, pin: bytes | None) -> None:
        """Log the user in; ``None`` takes the passphrase from its configured source.

        Raises CKR_PIN_INCORRECT, CKR_PIN_LEN_RANGE, CKR_PIN_INVALID and the device layer's errors.
        """
        if pin is not None and not 0 < len(pin) <= MAX_PIN:
            raise Pkcs11Error(CKR.PIN_LEN_RANGE, f"a PIN of {len(pin)} bytes; accepted are 1 to {MAX_PIN}")
        if not self._verified_before(pin):
            self.forget(hem)
            self._prove(hem, pin)
        self.user = CKU.USER
        self.refused.discard(CKU.USER)

    def _prove(self, hem: Hem, pin: bytes | None) -> None:
        text = None if pin is None else text_of(pin)
        try:
            hem.login(text, scope=hem.keys.likely_scope())
        except HemLoginRequired as error:
            why = "no PIN was given, and the configuration names no source for one: " if pin is None else ""
            raise Pkcs11Error(CKR.PIN_INCORRECT, f"{why}{error}") from None
        except HemAuthenticationError as error:
            self.refused.add(CKU.USER)
            raise Pkcs11Error(CKR.PIN_INCORRECT, str(error)) from None
        if self._keep > 0:
            self._key = hold(os.urandom(32))
            self._mac = _digest(self._key, pin)
            self._until = self._clock() + self._keep

    def _verified_before(self, pin: bytes | None) -> bool:
        if self._key is None or self._clock() >= self._until:
            return False
        return hmac.compare_digest(self._mac, _digest(self._key, pin))

    def _forget_pin(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            key.end()

    def login_officer(self, hem: Hem, master: str) -> None:
        """Log the security officer in by the master secret: 24 words are taken as such, anything else as
        a passphrase (device API §5.2, §24).

        Raises CKR_PIN_INCORRECT, which for words says which one is wrong, and the device layer's errors.
        """
        from hem_provider.device.hem import Role

        self.forget(hem)
        try:
            hem.login(master, role=Role.MASTER, scope="system:config")
        except ValueError as error:
            raise Pkcs11Error(CKR.PIN_INCORRECT, f"the master secret is not one: {error}") from None
        except HemAuthenticationError as error:
            self.refused.add(CKU.SO)
            raise Pkcs11Error(
                CKR.PIN_INCORRECT, f"the device does not accept the master secret: {error}"
            ) from None
        self.user = CKU.SO
        self.refused.discard(CKU.SO)

    def changed(self, hem: Hem) -> None:
        """The PIN is another one now: the next login asks the device."""
        self._forget_pin()
        if self.user is None:
            hem.logout()

    def logout(self, hem: Hem) -> None:
        """End the login for the application; the credential may stay until its time is over."""
        officer, self.user = self.user == CKU.SO, None
        if officer or self.left is None or self.left <= 0:
            self.forget(hem)

    @property
    def left(self) -> float | None:
        """For how many seconds the credential that nobody is logged in with may stay; ``None``
        when there is none."""
        if self.user is not None or self._key is None:
            return None
        return self._until - self._clock()

    @property
    def expired(self) -> bool:
        """Whether there is such a credential whose time is over."""
        left = self.left
        return left is not None and left <= 0

    def expire(self, hem: Hem) -> None:
        """Drop such a credential."""
        if self.expired:
            self.forget(hem)

    def forget(self, hem: Hem) -> None:
        """Drop credential and PIN check for good: a final refusal, a new PIN, the end."""
        self.user = None
        self._forget_pin()
        hem.logout()

    def abandon(self) -> None:
        """Overwrite what would tell a PIN, in a forked child."""
        self.user = None
        self._forget_pin()


def _digest(key: Lease, pin: bytes | None) -> bytes:
    return hmac.digest(key.read(), b"none" if pin is None else b"pin:" + pin, hashlib.sha256)
