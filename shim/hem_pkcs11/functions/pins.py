"""PINs and initialising the token (5.5.7, 5.6.1, 5.6.2).

The user's PIN is the passphrase and can be changed; the security officer's is the master secret,
which a device never changes. Initialising destroys every key: on a device in use it takes
``allow_wipe = true`` in the configuration besides the master secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR, CKU
from hem_pkcs11.login import MAX_PIN, text_of
from hem_pkcs11.returns import Pkcs11Error
from hem_provider.errors import (
    HemAuthenticationError,
    HemConnectionError,
    HemNotInitialized,
    HemOutcomeUnknown,
)
from hem_provider.waiting import CLOCK

if TYPE_CHECKING:
    from hem_pkcs11.library import Library
    from hem_pkcs11.sessions import Session
    from hem_pkcs11.slots import Slot

__all__ = ["init_pin", "init_token", "set_pin"]

_CONFIG = "system:config"
#: For so long, in seconds, a wiped device may take to come back.
_RESTART = 60.0
_LOOK_EVERY = 0.25


def set_pin(session: Session, old: bytes | None, new: bytes | None) -> None:
    """Change the passphrase. The device proves the old one afresh, also when logged in.

    The verified PIN is forgotten however this ends. Where nobody can tell how it ended, nobody is logged in
    any more. Raises CKR_SESSION_READ_ONLY, CKR_ACTION_PROHIBITED for the security officer, CKR_PIN_INCORRECT
    for the old one, and CKR_PIN_LEN_RANGE or CKR_PIN_INVALID. A PIN that is not given is CKR_ARGUMENTS_BAD.
    """
    session.require_writable()
    slot = session.slot
    if slot.login.user == CKU.SO:
        raise Pkcs11Error(
            CKR.ACTION_PROHIBITED, "a device's master secret is set once, when it is initialised"
        )
    old_text, new_text = _pin("old", old), _pin("new", new)
    with slot.lock:
        try:
            slot.hem.login(old_text, scope=_CONFIG, by_device=True)
        except HemAuthenticationError as error:
            raise Pkcs11Error(
                CKR.PIN_INCORRECT, f"the device does not accept the old passphrase: {error}"
            ) from None
        try:
            _change(slot, new_text)
        finally:
            slot.login.changed(slot.hem)


def init_pin(session: Session, pin: bytes | None) -> None:
    """Give the user a new passphrase.

    Raises CKR_USER_NOT_LOGGED_IN unless the security officer is, CKR_PIN_LEN_RANGE or CKR_PIN_INVALID.
    CKR_ARGUMENTS_BAD for none.
    """
    slot = session.slot
    if slot.login.user != CKU.SO:
        raise Pkcs11Error(CKR.USER_NOT_LOGGED_IN, "log in as security officer (the master secret) first")
    text = _pin("new", pin)
    with slot.lock:
        _change(slot, text)


def _change(slot: Slot, text: str) -> None:
    try:
        slot.hem.admin.change_passphrase(text)
    except HemOutcomeUnknown:
        slot.login.forget(slot.hem)  # whichever passphrase is good now has to prove itself
        raise


def init_token(library: Library, number: int, pin: bytes | None, label: bytes) -> None:
    """Initialise a factory-fresh device, or wipe and initialise one in use where that is allowed.

    The user's passphrase is unknown until C_InitPIN. ``label`` becomes the device's user name. Raises
    CKR_SLOT_ID_INVALID, CKR_SESSION_EXISTS, CKR_TOKEN_WRITE_PROTECTED without ``allow_wipe``,
    CKR_ARGUMENTS_BAD for no PIN, CKR_PIN_LEN_RANGE, CKR_PIN_INVALID and CKR_PIN_INCORRECT,
    CKR_TOKEN_NOT_PRESENT, and CKR_DEVICE_ERROR where a wiped device does not come back.
    """
    slot = library.slot(number)
    if library.sessions.of(slot):
        raise Pkcs11Error(CKR.SESSION_EXISTS, "close all sessions first")
    master = _pin("security officer's", pin)
    name = label.rstrip(b" \0").decode("utf-8", "replace")
    with slot.lock:
        try:
            in_use = _in_use(slot)
        except HemConnectionError:
            slot.presence.require()
            raise
        if in_use:
            _wipe(slot, master)
        try:
            _initialize(slot, name or slot.name, master)
        finally:
            slot.forget_device()


def _in_use(slot: Slot) -> bool:
    try:
        slot.hem.probe()
    except HemNotInitialized:
        return False
    return True


def _wipe(slot: Slot, master: str) -> None:
    if not slot.config.allow_wipe:
        raise Pkcs11Error(
            CKR.TOKEN_WRITE_PROTECTED,
            f"{slot.name} is in use, and initialising it would destroy every key; if that is meant, set "
            "allow_wipe = true for this device in the configuration",
        )
    slot.login_officer(master)
    identity = slot.hem.identity or slot.hem.probe()
    try:
        slot.hem.admin.wipe(confirm=identity.eid)
    finally:
        slot.forget_device()
    if all(_still_in_use(slot) for _ in CLOCK.looks(_RESTART, _LOOK_EVERY)):
        raise Pkcs11Error(CKR.DEVICE_ERROR, f"{slot.name} was wiped and did not come back in {_RESTART:g} s")


def _still_in_use(slot: Slot) -> bool:
    try:
        return _in_use(slot)
    except HemConnectionError:
        return True  # restarting


def _initialize(slot: Slot, name: str, master: str) -> None:
    from hem_provider.device.administration import NewDevice

    new = NewDevice(user=name, hostname=_host(slot))
    unknown = os.urandom(32).hex()
    try:
        slot.hem.admin.initialize(new, passphrase=unknown, master=master)
    except ValueError as error:
        raise Pkcs11Error(CKR.PIN_INCORRECT, f"the master secret is not one: {error}") from None


def _host(slot: Slot) -> str:
    from urllib.parse import urlsplit

    return urlsplit(slot.config.url).hostname or "my.ence.do"


def _pin(which: str, pin: bytes | None) -> str:
    if pin is None:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD, f"the {which} PIN must be given")
    if not 0 < len(pin) <= MAX_PIN:
        raise Pkcs11Error(
            CKR.PIN_LEN_RANGE, f"the {which} PIN has {len(pin)} bytes; accepted are 1 to {MAX_PIN}"
        )
    return text_of(pin)
