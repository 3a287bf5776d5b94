"""The only part that touches C memory: it reads arguments, runs the call, writes results.

``install`` is what cffi's start code runs inside the library. Whatever goes wrong here leaves the
return value at CKR_GENERAL_ERROR, where the C layer put it.
"""

from __future__ import annotations

import atexit
import os
from functools import partial
from typing import Any

from hem_pkcs11.bridge.memory import Memory
from hem_pkcs11.calls import CALLS, ArgumentKind
from hem_pkcs11.constants import CKR
from hem_pkcs11.log import log
from hem_pkcs11.module import Module
from hem_pkcs11.returns import Pkcs11Error, return_value

__all__ = ["Bridge", "install"]

#: How long an ending Python waits for calls of other threads, in milliseconds.
_LEAVE = 1000


def install(ffi: Any, lib: Any) -> None:
    """Make ``hem_dispatch`` answer the C layer; once per process. ``lib``: what C offers us."""
    from hem_pkcs11.host import HostError, check_host

    define = ffi.def_extern(name="hem_dispatch", onerror=_report)
    module = Module()
    atexit.register(_end, lib, module)
    try:
        check_host()
    except HostError as error:
        log.error(str(error))
        define(partial(_refuse, ffi))
        return
    bridge = Bridge(ffi, module)
    # The C layer runs Python's fork hooks in hosts that are not Python.
    os.register_at_fork(after_in_child=module.abandon)
    define(bridge.dispatch)


def _end(lib: Any, module: Module) -> None:
    """The host's Python ends: nobody is let in any more, and what is open is closed.

    Not while a call is still busy: its thread holds locks, and has the host's end to fear anyway.
    """
    if lib.hem_python_leave(_LEAVE) and module.initialized_in == os.getpid():
        module.stop()


def _refuse(ffi: Any, rv: Any, function: Any, _words: Any) -> None:
    """For C_Initialize leaves the return value at CKR_GENERAL_ERROR."""
    if ffi.string(function) != b"C_Initialize":
        rv[0] = CKR.CRYPTOKI_NOT_INITIALIZED


def _report(kind: type[BaseException], _error: BaseException, _trace: object) -> None:
    log.error(f"internal error: {kind.__name__}")


class Bridge:
    """Between words of C and values of Python."""

    def __init__(self, ffi: Any, module: Module) -> None:
        self._ffi = ffi
        self._memory = Memory(ffi)
        self._module = module

    def dispatch(self, rv: Any, function: Any, words: Any) -> None:
        """Run the function named in C. ``words``: its arguments, one machine word each. ``rv`` says
        CKR_ARGUMENTS_BAD where the C layer has seen a NULL pointer that must not be one."""
        name = self._ffi.string(function).decode()
        readable = rv[0] != CKR.ARGUMENTS_BAD
        call = CALLS.get(name)
        kinds = call.kinds if call is not None else ()  # known to the C layer's lists, not served here
        memory = self._memory
        outputs: list[tuple[ArgumentKind, int]] = []

        def read() -> list[Any]:
            if not readable:
                raise Pkcs11Error(CKR.ARGUMENTS_BAD)
            arguments: list[Any] = []
            position = 0
            for kind in kinds:
                if reader := memory.readers.get(kind):
                    arguments.append(reader(words, position))
                if kind in memory.writers:
                    outputs.append((kind, position))
                position += kind.words
            return arguments

        try:
            code, result = self._module.serve(name, int(words[0]) if kinds else 0, read)
            rv[0] = memory.write(words, outputs, code, result)
        except Exception as error:
            rv[0] = return_value(error)
