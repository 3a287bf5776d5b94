"""``hem pkcs11 test``: the configured device through the compiled module, from login to deletion."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from hem_pkcs11.constants import CKA, CKF, CKM, CKR, CKU
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.slots import make_slots
from hem_pkcs11.values import pack_bool

from hem_provider.cli.cryptoki import CryptokiError, Library
from hem_provider.cli.statuses import DONE, FAILED, NOT_REACHED, REFUSED
from hem_provider.cli.steps import StepFailedError, Steps
from hem_provider.config import DeviceConfig, load_config
from hem_provider.config.login_source import ask_passphrase, login_source
from hem_provider.device.hem import Hem

__all__ = ["self_test"]

_KIND = KINDS["SECP256R1"]
_MESSAGE = b"hem pkcs11 test"
#: What a function of the module answers → exit status; any other is ``FAILED``.
_STATUSES: dict[int, int] = {
    CKR.TOKEN_NOT_PRESENT: NOT_REACHED,
    CKR.DEVICE_REMOVED: NOT_REACHED,
    CKR.PIN_INCORRECT: REFUSED,
    CKR.PIN_LOCKED: REFUSED,
    CKR.USER_NOT_LOGGED_IN: REFUSED,
    CKR.ACTION_PROHIBITED: REFUSED,
}


def self_test(module: Path, name: str | None) -> int:
    """Run it with the device called ``name``, or the only one; returns the exit status.

    Raises ``HemConfigError`` when there is no such device, or no way to its passphrase.
    """
    config = load_config()
    device = config.device(name)
    slot = next(number for number, each in make_slots(config, Hem).items() if each.config is device)
    pin = _pin(device)
    steps = Steps(lambda: (0, 0))
    if pin is not None or login_source(device) is not None:
        # Keys are made, to which an agent may have no right; it is asked where there is no other login.
        os.environ["HEM_AGENT"] = "never"
    try:
        _with_module(steps, module, slot, pin)
    except (StepFailedError, CryptokiError) as error:
        print(f"hem pkcs11 test: {error}", file=sys.stderr)
        return _status(error)
    steps.say(f"The module works with {device.name} at {device.url}. Nothing was left on the device.")
    return DONE


def _status(error: Exception) -> int:
    return _STATUSES.get(error.rv, FAILED) if isinstance(error, CryptokiError) else FAILED


def _pin(device: DeviceConfig) -> str | None:
    """``None`` where the module gets it by itself."""
    if login_source(device) is not None or Hem(device).agent_ready:
        return None
    return ask_passphrase(device)


def _with_module(steps: Steps, module: Path, slot: int, pin: str | None) -> None:
    with steps.step(f"load {module.name} and initialise it"):
        library = Library(module)
        library.call("C_Initialize", None)
    try:
        with steps.step(f"find slot {slot} and its token"):
            if slot not in library.slots():
                raise StepFailedError(f"there is no slot {slot}; there are: {library.slots()}")
            label = library.token_label(slot)
        steps.detail(label)
        with steps.step("open a session"):
            session = library.open_session(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION)
        try:
            _with_session(steps, library, session, pin)
        finally:
            library.call("C_CloseSession", session)  # which deletes the pair if it is still there
    finally:
        library.call("C_Finalize", None)


def _with_session(steps: Steps, library: Library, session: int, pin: str | None) -> None:
    with steps.step("log in"):
        library.login(session, CKU.USER, pin)
    label: dict[int, bytes] = {CKA.LABEL: f"hem-pkcs11-test-{secrets.token_hex(4)}".encode()}
    both: dict[int, bytes] = {CKA.TOKEN: pack_bool(False), **label}
    with steps.step("make an EC key pair for the session (P-256)"):
        public, private = library.generate_pair(
            session, _KIND.generation, {**both, CKA.EC_PARAMS: _KIND.ec_params or b""}, both
        )
    with steps.step("sign in the device (CKM_ECDSA_SHA256)"):
        signature = library.sign(session, CKM.ECDSA_SHA256, private, _MESSAGE)
    with steps.step("verify the signature"):
        library.verify(session, CKM.ECDSA_SHA256, public, _MESSAGE, signature)
    with steps.step("reject it for another message"):
        _expect_rejected(library, session, public, signature)
    with steps.step("delete the pair"):
        library.call("C_DestroyObject", session, private)
    with steps.step("find it no more"):
        if library.find(session, label):
            raise StepFailedError(f"{label[CKA.LABEL].decode()} is still there")


def _expect_rejected(library: Library, session: int, public: int, signature: bytes) -> None:
    try:
        library.verify(session, CKM.ECDSA_SHA256, public, _MESSAGE + b"!", signature)
    except CryptokiError as error:
        if error.rv == CKR.SIGNATURE_INVALID:
            return
        raise
    raise StepFailedError("the module accepts a signature of another message")
