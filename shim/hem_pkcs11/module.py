"""How calls run.

``Module.call`` is the one way in: it finds the function in the table, the session by its handle,
lets one call at a time into a session, writes the log and turns every exception into a return
value. It takes and gives plain Python values, so that everything below can be used without C.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hem_pkcs11.calls import CALLS
from hem_pkcs11.constants import CKA, CKM, CKR, name_of
from hem_pkcs11.functions.failures import end_failed
from hem_pkcs11.functions.sessions import end_login
from hem_pkcs11.library import Library
from hem_pkcs11.log import Level, log
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error, return_value
from hem_pkcs11.sessions import Session
from hem_provider.errors import HemAuthenticationError, HemError, HemLoginRequired, HemOutcomeUnknown

__all__ = ["Module"]


class Module(Library):
    """The library with its functions."""

    def call(self, name: str, *arguments: Any) -> tuple[CKR, Any]:
        """Run one function of Cryptoki.

        Returns the return value and what the function gives: with CKR_BUFFER_TOO_SMALL the size
        that is needed, ``None`` with other errors.
        """
        return self.serve(name, arguments[0] if arguments else 0, lambda: arguments)

    def serve(self, name: str, handle: int, read: Callable[[], Sequence[Any]]) -> tuple[CKR, Any]:
        """The same for arguments that ``read`` gives or refuses. They are not looked at before the module
        is initialised and the session (``handle``) is found and free: CKR_CRYPTOKI_NOT_INITIALIZED,
        CKR_FUNCTION_NOT_SUPPORTED and CKR_SESSION_HANDLE_INVALID come first."""
        started = time.monotonic()
        if self.initialized_in is not None and self.initialized_in != os.getpid():
            self.abandon()
        for slot in self.slots.values():
            slot.expire_login()
        asked = self._device_calls() if log.enabled(Level.DEBUG) else 0
        session: Session | None = None
        result: Any = None
        arguments: Sequence[Any] = ()
        row = CALLS.get(name)
        try:
            if self.initialized_in is None and name != "C_Initialize":
                raise Pkcs11Error(CKR.CRYPTOKI_NOT_INITIALIZED)
            if row is None:
                raise Pkcs11Error(CKR.FUNCTION_NOT_SUPPORTED)
            if not row.session:
                arguments = read()
                rv, result = CKR.OK, row.function(self, *arguments)
            else:
                session = self.sessions.get(handle)
                with session.turn():
                    try:
                        arguments = read()
                        rv, result = CKR.OK, row.function(session, *arguments[1:])
                    except BaseException as error:
                        end_failed(session, name, error)
                        raise
        except BufferTooSmall as error:
            rv, result = error.rv, error.size
        except Exception as error:
            rv = return_value(error)
            _explain(name, rv, error, session)
        if log.enabled(Level.DEBUG):
            calls = max(0, self._device_calls() - asked)
            _trace(name, arguments, rv, result, took=time.monotonic() - started, calls=calls)
        return rv, result

    def _device_calls(self) -> int:
        """Calls to all devices so far; other threads' are among them."""
        return sum(each.device_calls for each in self.slots.values())


#: Calls that ask whether something is possible, and the answers that say no: nothing went wrong.
_ANSWERS: Mapping[str, frozenset[CKR]] = MappingProxyType(
    {
        "C_GetMechanismInfo": frozenset({CKR.MECHANISM_INVALID}),
        "C_GetOperationState": frozenset({CKR.STATE_UNSAVEABLE}),
    }
)


def _explain(name: str, rv: CKR, error: Exception, session: Session | None) -> None:
    """Say in words what the host shows as a number."""
    refused = isinstance(error, HemAuthenticationError) and not isinstance(error, HemLoginRequired)
    if refused and session is not None:
        with session.slot.lock:
            session.slot.refused()
            end_login(session.table, session.slot)
    if isinstance(error, HemOutcomeUnknown) and session is not None:
        session.slot.doubt()
    if isinstance(error, Pkcs11Error):
        if error.text:
            level = Level.INFO if rv in _ANSWERS.get(name, ()) else Level.ERROR
            log.write(level, f"{name}: CKR_{rv.name}: {error.text}")
    elif isinstance(error, HemError | MemoryError):
        code = getattr(error, "code", "")
        more = f" (hem help {code})" if code.startswith("E-") else ""
        log.error(f"{name}: CKR_{rv.name}: {error}{more}")
    else:
        log.error(f"{name}: CKR_{rv.name}: unexpected {type(error).__name__}{_place(error)}")


def _place(error: Exception) -> str:
    """Where it happened; not the message, which may quote what the host passed in."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" in {os.path.basename(trace.tb_frame.f_code.co_filename)} line {trace.tb_lineno}"  # noqa: PTH119


def _trace(name: str, arguments: Sequence[Any], rv: CKR, result: Any, *, took: float, calls: int) -> None:
    shapes = ", ".join(map(_shape, arguments))
    asked = f", {calls} device call{'s' if calls > 1 else ''}" if calls else ""
    log.debug(f"{name}({shapes}) -> CKR_{rv.name} {_shape(result)} in {1000 * took:.1f} ms{asked}")


def _shape(value: Any) -> str:
    """What kind of value, never its content."""
    if value is None or isinstance(value, int):
        return str(value)
    if isinstance(value, bytes | memoryview | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple):
        if all(isinstance(each, tuple) and len(each) == 2 for each in value):
            return "{" + ", ".join(name_of(CKA, kind) for kind, _ in value) + "}"
        return f"<{len(value)} items>"
    return name_of(CKM, int(value.type)) if hasattr(value, "type") else type(value).__name__
