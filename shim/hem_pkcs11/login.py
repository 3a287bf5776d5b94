"""Who is logged in to a slot, and the verified PIN that may spare the next login a round trip.

Hosts log out and in again many times (GnuTLS seven times for one listing), and each login at the
device takes up to seconds. So for at most five minutes after a verified login the device layer
keeps its credential, and the same PIN, compared by keyed MAC, is accepted here.
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from hem_provider.device import Hem

__all__ = ["MAX_PIN", "Login", "text_of"]

#: Longest PIN in bytes (UTF-8).
MAX_PIN = 255


def text_of(pin: bytes) -> str:
    """Raises CKR_PIN_INVALID for what is no UTF-8 text."""
    try:
        return pin.decode("utf-8")
    except UnicodeDecodeError:
        raise Pkcs11Error(CKR.PIN_INVALID, "the PIN is not UTF-8 text") from None


class Login:
    """Login state of one slot. ``keep``: seconds a verified PIN stays good, 0 for never.

    Calls come in one at a time, under the slot's lock.
    """

    def __init__(self, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.user: CKU | None = None
        self._keep = keep
        self._clock = clock
        self._key = b""
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

    def _prove(self, hem: Hem, pin: bytes | None) -> None:
        text = None if pin is None else text_of(pin)
        try:
            hem.login(text, scope=hem.keys.likely_scope())
        except HemLoginRequired as error:
            raise Pkcs11Error(
                CKR.PIN_INCORRECT, f"no PIN was given, and the configuration names no source for one: {error}"
            ) from None
        except HemAuthenticationError as error:
            raise Pkcs11Error(
                CKR.PIN_INCORRECT, f"the device does not accept the passphrase: {error}"
            ) from None
        if self._keep > 0:
            self._key = os.urandom(32)
            self._mac = self._digest(pin)
            self._until = self._clock() + self._keep

    def _verified_before(self, pin: bytes | None) -> bool:
        if not self._key or self._clock() >= self._until:
            return False
        return hmac.compare_digest(self._mac, self._digest(pin))

    def _digest(self, pin: bytes | None) -> bytes:
        return hmac.digest(self._key, b"none" if pin is None else b"pin:" + pin, hashlib.sha256)

    def officer(self) -> None:
        """The security officer is logged in; nothing is remembered of that."""
        self._key = self._mac = b""
        self.user = CKU.SO

    def changed(self, hem: Hem) -> None:
        """The PIN is another one now: the next login asks the device."""
        self._key = self._mac = b""
        if self.user is None:
            hem.logout()

    def logout(self, hem: Hem) -> None:
        """End the login for the application; the credential may stay until its time is over."""
        officer, self.user = self.user == CKU.SO, None
        if officer or not self._key or self._keep == 0 or self._clock() >= self._until:
            self.forget(hem)

    @property
    def expired(self) -> bool:
        """Whether there is a credential that nobody is logged in with and whose time is over."""
        return self.user is None and bool(self._key) and self._clock() >= self._until

    def expire(self, hem: Hem) -> None:
        """Drop such a credential."""
        if self.expired:
            self.forget(hem)

    def forget(self, hem: Hem) -> None:
        """Drop credential and PIN check for good: a final refusal, a new PIN, the end."""
        self.user = None
        self._key = self._mac = b""
        hem.logout()
