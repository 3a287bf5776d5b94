"""Initialising, finalising and describing the module (5.4)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKR
from hem_pkcs11.functions.sessions import destroy_session_objects
from hem_pkcs11.kept_code import keep_code
from hem_pkcs11.log import log
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.slots import make_slots
from hem_pkcs11.values import InitializeArguments
from hem_provider._version import __version__
from hem_provider.config.ahead import forget, keep
from hem_provider.files import read_file
from hem_provider.threads import allow_threads

if TYPE_CHECKING:
    from hem_pkcs11.library import Library
    from hem_provider.config import Config

__all__ = ["CRYPTOKI_VERSION", "LIBRARY_VERSION", "finalize", "get_info", "initialize"]

#: The newest interface offered; the list of C_GetFunctionList is 2.40's.
CRYPTOKI_VERSION = (3, 2)
#: Most bytes of a CA file that is kept: ten times the system's own.
_MAX_CA_FILE = 2 * 1024 * 1024
LIBRARY_VERSION = (int(__version__.split(".")[0]), int(__version__.split(".")[1]))


def initialize(library: Library, arguments: InitializeArguments | None) -> None:
    """Read the configuration, and all code and files that later calls may need; no device is asked for
    anything. Afterwards the host may change its root directory or give up its rights.

    A configuration that is wrong or may be written by others gives CKR_GENERAL_ERROR: hosts such as p11-kit
    then leave the module out and go on, where success without slots would hide the mistake. The log says it
    in words. Raises CKR_ARGUMENTS_BAD for some of the mutex functions only, CKR_CANT_LOCK for a host that
    insists on its own, and CKR_CRYPTOKI_ALREADY_INITIALIZED.
    """
    if arguments is not None:
        if arguments.reserved or arguments.mutex_functions not in (0, 4):
            raise Pkcs11Error(CKR.ARGUMENTS_BAD, "all four mutex functions or none, and pReserved NULL")
        # Locks are the operating system's, whatever the host says about its threads; a host that
        # insists on its own functions alone cannot be served.
        if arguments.mutex_functions and not arguments.flags & CKF.OS_LOCKING_OK:
            raise Pkcs11Error(CKR.CANT_LOCK, "the module locks by the operating system's means only")
    from hem_provider.trust import ignored_variables, privileges_raised

    with library.turning:
        if library.initialized_in is not None:
            raise Pkcs11Error(CKR.CRYPTOKI_ALREADY_INITIALIZED)
        log.configure(os.environ, trusted=not privileges_raised())
        allow_threads(arguments is None or not arguments.flags & CKF.LIBRARY_CANT_CREATE_OS_THREADS)
        if ignored := ignored_variables():
            from hem_pkcs11.forward import forward

            forward(log)  # which says it too, of the configuration
            log.error(f"raised privileges: the environment is ignored ({', '.join(ignored)})")
        config = library.load_config()
        if config.passed_over:
            log.error(f"no HEM is configured: {config.passed_over}")
        keep_code(config)
        _read_ahead(config)
        library.start(config, make_slots(config, library.open_device))


def _read_ahead(config: Config) -> None:
    """The files that devices need later. Passphrases only in a process that has root's rights to give up."""
    from hem_provider.config.login_source import LoginSource, login_source
    from hem_provider.config.passphrase import passphrase_from_file

    for device in config.devices:
        for authorities in (device.ca_file, device.cloud_ca_file):
            if authorities is not None:
                keep(authorities, lambda path: read_file(path, "the CA file", limit=_MAX_CA_FILE))
        passphrase_file = device.passphrase_file if login_source(device) is LoginSource.FILE else None
        if passphrase_file is not None and os.geteuid() == 0:
            keep(passphrase_file, lambda path: passphrase_from_file(path).encode())


def finalize(library: Library, reserved: bool) -> None:
    """End all sessions with their objects, and all logins, and close the connections. Python itself stays.

    Raises CKR_ARGUMENTS_BAD for an argument, and CKR_CRYPTOKI_NOT_INITIALIZED when another thread was faster.
    """
    if reserved:
        raise Pkcs11Error(CKR.ARGUMENTS_BAD)
    with library.turning:
        if library.initialized_in is None:  # another thread was faster
            raise Pkcs11Error(CKR.CRYPTOKI_NOT_INITIALIZED)
        for slot in library.slots.values():
            for session in library.sessions.of(slot):
                session.tell(session.shut)
                destroy_session_objects(session)
        library.stop()
        forget()


def get_info(_: Library) -> tuple[tuple[int, int], str, str, tuple[int, int]]:
    """Cryptoki version, manufacturer, description and version of the library (CK_INFO)."""
    return CRYPTOKI_VERSION, "hem-provider", "Encedo HEM keys", LIBRARY_VERSION
