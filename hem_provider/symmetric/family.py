"""Mode families: what an AES key was created for, and that it is used for nothing else.

A device offers every mode with every AES key, and ECB undoes the others: it brings the hash
subkey of GCM, decrypts CBC, and makes MACs. So a key made with ``usage={"aead"}`` (or ``cipher``,
``wrap``, ``mac``) carries that in its ``descr``, and this package refuses it for another. The
device itself does not: it keeps honest programs apart, not an intruder with a login. The same goes
for ``Limits``: one direction of a mode family, or single modes.
"""

from __future__ import annotations

import warnings

from hem_provider.device.description import NO_LIMITS
from hem_provider.device.key import Key
from hem_provider.symmetric.errors import KeyUseDenied, UnmarkedKeyWarning, WrongKeyFamily

__all__ = ["FAMILIES", "check_family", "check_use"]

#: Family → what it is for.
FAMILIES = {
    "aead": "AES-GCM, seal and open",
    "cipher": "CBC, CTR and ECB",
    "wrap": "key wrap",
    "mac": "CMAC",
}

_warned: set[str] = set()


def check_family(key: Key, family: str) -> None:
    """``WrongKeyFamily`` unless ``key`` is kept to ``family``; a warning, once per key, for a key
    that is kept to none. Asks the device only for a key that was never listed."""
    kept = key.family_mark
    if not kept:
        if key.kid not in _warned:
            _warned.add(key.kid)
            warnings.warn(
                f"key {key.kid} ({key.label!r}) is kept to no mode family: using it for {FAMILIES[family]} "
                f"is safe only if no one uses it for other modes. Create keys with usage={{{family!r}}}",
                UnmarkedKeyWarning,
                stacklevel=4,  # the caller of the public class or function
            )
    elif family not in kept:
        allowed = ", ".join(f"{name!r} ({FAMILIES[name]})" for name in sorted(kept))
        raise WrongKeyFamily(
            f"key {key.kid} ({key.label!r}) is kept to the mode family {allowed}; this is {family!r} "
            f"({FAMILIES[family]}), which would weaken it. Create a key with usage={{{family!r}}}"
        )


def check_use(key: object, use: str, *mechanisms: str) -> None:
    """``KeyUseDenied`` where a device key's maker ruled out ``use`` (``encrypt`` …, "" for any) or all
    of ``mechanisms``. Keys of another kind have no limits. No I/O."""
    reason = getattr(key, "limits", NO_LIMITS).against(use, *mechanisms)
    if reason is not None:
        raise KeyUseDenied(f"{getattr(key, 'name', 'this key')}: {reason}")
