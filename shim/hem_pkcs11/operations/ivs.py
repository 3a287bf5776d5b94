"""Initialisation vectors of AES-GCM that are made here, none twice under a key.

NIST SP 800-38D, 8: an IV that repeats under a key gives away the key of the tags. So what is free in
an IV beside the caller's fixed part is a counter, whichever generator the caller names: it begins at
random and goes once through all values, then the key is used up (CKR_KEY_EXHAUSTED). The counter
belongs to the key, not to an operation: to the KID of a key in the device, to the value of a session
key, whatever its handle, session or slot. It lasts as long as the module is loaded. A fixed part that
continues another one shares its IVs; what one of them has made the other leaves out.

At most 2^32 messages of a key (8.3). What the module cannot know:

* IVs that the caller brings along (CKG_NO_GENERATE, C_EncryptInit): theirs to keep apart;
* what another process made under the same key. A key in the device outlives this process, so that for
  it 96 bits must be free: that is the random field of 8.2.2, and counters of 2^16 processes that begin
  in it at random, each with its 2^32 messages, meet with a chance below 2^-32. With fewer free bits the
  construction is the one of 8.2.1, which wants a counter that survives; it is refused.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections import OrderedDict

from hem_pkcs11.constants import CKG, CKR
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import GcmMessageParameters
from hem_provider.records import field, mutable

__all__ = ["IvSource"]

#: Messages of one key, at most.
MAX_MESSAGES = 2**32
#: Free bytes of an IV, at least: of a session key, and of a key that outlives this process.
MIN_FREE = 4
MIN_FREE_IN_DEVICE = 12
#: A key whose IVs all have so many free bytes may be forgotten, once so many keys came after it: should
#: the same value come again, its counter begins at another random place.
MAY_BE_FORGOTTEN = 8
MAX_KEYS = 2**16
#: Old keys that are looked at, when there are too many, for each message.
LOOKS = 4
#: Fixed parts that are remembered for one key.
MAX_FIELDS = 2**16

_GENERATORS = frozenset({CKG.GENERATE, CKG.GENERATE_RANDOM, CKG.GENERATE_COUNTER})


@mutable
class _Field:
    """The IVs with one fixed part: numbers from ``low`` on. ``used`` of them are gone, the first of
    those being ``start`` above ``low``."""

    low: int
    size: int
    start: int
    used: int = 0

    @property
    def next(self) -> int:
        return self.low + (self.start + self.used) % self.size

    def gone_from(self, number: int) -> int:
        """How many from ``number`` on, up to the last one, are gone; 0 when it is free or not one of
        these."""
        if not self.low <= number < self.low + self.size:
            return 0
        gone = self.used - (number - self.low - self.start) % self.size
        return max(min(gone, self.low + self.size - number), 0)


@mutable
class _Key:
    """What was made for one key. ``fields``: by length of the IV and fixed part."""

    messages: int = 0
    fields: dict[tuple[int, bytes], _Field] = field(default_factory=dict)
    shapes: set[tuple[int, int]] = field(default_factory=set)  # length of IV, of fixed part

    @property
    def may_be_forgotten(self) -> bool:
        return all(length - fixed >= MAY_BE_FORGOTTEN for length, fixed in self.shapes)

    def make(self, length: int, fixed: bytes) -> bytes:
        if self.messages >= MAX_MESSAGES:
            raise _exhausted(f"{MAX_MESSAGES} messages")
        mine = self._field(length, fixed)
        while mine.used < mine.size:
            iv = mine.next.to_bytes(length, "big")
            gone = self._gone(length, fixed, iv)
            if not gone:
                mine.used += 1
                self.messages += 1
                return iv
            mine.used += min(gone, mine.low + mine.size - mine.next)
        raise _exhausted(f"every IV of {length} bytes with this fixed part of {len(fixed)}")

    def _field(self, length: int, fixed: bytes) -> _Field:
        found = self.fields.get((length, fixed))
        if found is None:
            if len(self.fields) >= MAX_FIELDS:
                raise _exhausted(f"{MAX_FIELDS} different fixed parts")
            free = length - len(fixed)
            found = _Field(
                low=int.from_bytes(fixed + bytes(free), "big"),
                size=256**free,
                start=int.from_bytes(os.urandom(free), "big"),
            )
            self.fields[length, fixed] = found
            self.shapes.add((length, len(fixed)))
        return found

    def _gone(self, length: int, fixed: bytes, iv: bytes) -> int:
        """How many from ``iv`` on were made with other fixed parts."""
        number = int.from_bytes(iv, "big")
        gone = 0
        for size, part in self.shapes:
            if size == length and part != len(fixed):
                other = self.fields.get((length, iv[:part]))
                gone = max(gone, other.gone_from(number) if other is not None else 0)
        return gone


class IvSource:
    """The counters of one process: a child begins with a source of its own. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secret = os.urandom(32)
        self._keys: OrderedDict[bytes, _Key] = OrderedDict()

    def next(self, item: Pkcs11Object, given: GcmMessageParameters) -> bytes:
        """A new IV of the caller's length and fixed part.

        Raises CKR_MECHANISM_PARAM_INVALID and CKR_KEY_EXHAUSTED.
        """
        fixed, odd = divmod(given.fixed_bits, 8)
        free = len(given.iv) - fixed
        least = MIN_FREE_IN_DEVICE if isinstance(item, DeviceKey) else MIN_FREE
        if odd or free < MIN_FREE or given.generator not in _GENERATORS:
            raise Pkcs11Error(
                CKR.MECHANISM_PARAM_INVALID,
                f"the fixed part is whole bytes, leaves {MIN_FREE} at least, and CKG is known",
            )
        if free < least:
            raise Pkcs11Error(
                CKR.MECHANISM_PARAM_INVALID,
                f"{item.describe()} outlives this process, which does not know the IVs that others made: "
                f"the fixed part must leave {8 * least} bits, not {8 * free}; or bring the IV along "
                "(CKG_NO_GENERATE)",
            )
        identity = self._identity(item)
        with self._lock:
            return self._key(identity).make(len(given.iv), given.iv[:fixed])

    def _identity(self, item: Pkcs11Object) -> bytes:
        if isinstance(item, DeviceKey):
            return b"device " + item.key.kid.encode()
        assert isinstance(item, SessionSecretKey)  # noqa: S101 - no other secret keys
        return hmac.digest(self._secret, item.value, "sha256")[:16]

    def _key(self, identity: bytes) -> _Key:
        key = self._keys.setdefault(identity, _Key())
        self._keys.move_to_end(identity)
        for _ in range(LOOKS):
            if len(self._keys) <= MAX_KEYS:
                break
            oldest, what = next(iter(self._keys.items()))
            if what.may_be_forgotten:
                del self._keys[oldest]
            else:  # looked at again after the others
                self._keys.move_to_end(oldest)
        return key


def _exhausted(what: str) -> Pkcs11Error:
    return Pkcs11Error(CKR.KEY_EXHAUSTED, f"AES-GCM: this key has seen {what}: take another key")
