"""Reading arguments from and writing results to C memory, one method for each kind of argument.

The C layer has checked that pointers which must not be NULL are not. Lengths are checked here
before anything is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hem_pkcs11.bridge.parameters import read_message, read_no_message, read_parameter, write_message
from hem_pkcs11.calls import ArgumentKind
from hem_pkcs11.constants import ARRAY_ATTRIBUTE, CKA, CKR, INFINITE, UNAVAILABLE, VENDOR
from hem_pkcs11.functions.objects import Query
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import (
    Attribute,
    InitializeArguments,
    Mechanism,
    MechanismInfo,
    SessionInfo,
    SlotInfo,
    TokenInfo,
)

__all__ = ["Memory"]

#: A length above this is a mistake, not data: more than any address space holds.
MAX_LENGTH = 2**47
MAX_ATTRIBUTES = 1024
MAX_ATTRIBUTE_BYTES = 2**20
MAX_PIN_BYTES = 4096


class Memory:
    """Readers and writers by kind. ``words`` is the C array of arguments."""

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self.readers: Mapping[ArgumentKind, Callable[[Any, int], Any]] = {
            ArgumentKind.SESSION: self._number,
            ArgumentKind.NUMBER: self._number,
            ArgumentKind.FLAG: lambda words, at: bool(words[at] & 0xFF),
            ArgumentKind.POINTER: lambda words, at: bool(words[at]),
            ArgumentKind.BYTES: self._bytes,
            ArgumentKind.SECRET: self._secret,
            ArgumentKind.TEXT32: lambda words, at: bytes(self._view(words[at], 32)),
            ArgumentKind.MECHANISM: self._mechanism,
            ArgumentKind.TEMPLATE: self._template,
            ArgumentKind.QUERY: self._query,
            ArgumentKind.OUTPUT: self._room,
            ArgumentKind.NUMBERS: self._room,
            ArgumentKind.FOUND: lambda words, at: int(words[at + 1]),
            ArgumentKind.FILL: lambda words, at: int(words[at + 1]),
            ArgumentKind.INITIALIZE: self._initialize,
            ArgumentKind.LAST_OUTPUT: lambda words, at: self._room(words, at) if words[at + 1] else False,
            ArgumentKind.MESSAGE: lambda words, at: read_message(
                self._ffi, self._view, words[at], words[at + 1]
            ),
            ArgumentKind.NO_MESSAGE: lambda words, at: read_no_message(words[at + 1]),
        }
        self.writers: Mapping[ArgumentKind, Callable[[Any, int, Any], None]] = {
            ArgumentKind.QUERY: self._write_query,
            ArgumentKind.OUTPUT: self._write_output,
            ArgumentKind.NUMBERS: self._write_numbers,
            ArgumentKind.LAST_OUTPUT: self._write_output,
            ArgumentKind.MESSAGE: lambda words, at, value: write_message(self._ffi, words[at], value),
            ArgumentKind.FOUND: self._write_found,
            ArgumentKind.FILL: self._write_fill,
            ArgumentKind.RESULT: self._write_result,
            ArgumentKind.INFO: self._write_info,
            ArgumentKind.SLOT_INFO: self._write_slot_info,
            ArgumentKind.TOKEN_INFO: self._write_token_info,
            ArgumentKind.SESSION_INFO: self._write_session_info,
            ArgumentKind.MECHANISM_INFO: self._write_mechanism_info,
        }

    # --- reading ----------------------------------------------------------------------------

    def _cast(self, kind: str, word: int) -> Any:
        return self._ffi.cast(kind, word)

    def _view(self, address: int, length: int) -> memoryview:
        """The caller's bytes in place; nothing is copied. Raises CKR_ARGUMENTS_BAD."""
        if length == 0:
            return memoryview(b"")
        if address == 0 or length > MAX_LENGTH:
            raise Pkcs11Error(CKR.ARGUMENTS_BAD)
        return memoryview(self._ffi.buffer(self._cast("unsigned char *", address), length))

    def _number(self, words: Any, at: int) -> int:
        return int(words[at])

    def _bytes(self, words: Any, at: int) -> memoryview:
        return self._view(words[at], words[at + 1])

    def _secret(self, words: Any, at: int) -> bytes | None:
        if words[at] == 0:
            return None
        if words[at + 1] > MAX_PIN_BYTES:
            raise Pkcs11Error(CKR.PIN_LEN_RANGE)
        return bytes(self._view(words[at], words[at + 1]))

    def _mechanism(self, words: Any, at: int) -> Mechanism | None:
        if words[at] == 0:
            return None
        mechanism = self._cast("CK_MECHANISM *", words[at])
        parameter = read_parameter(self._ffi, self._view, mechanism)
        return Mechanism(int(mechanism.mechanism), parameter)

    def _attributes(self, words: Any, at: int) -> Any:
        if words[at + 1] > MAX_ATTRIBUTES:
            raise Pkcs11Error(CKR.ARGUMENTS_BAD)
        rows = self._cast("CK_ATTRIBUTE *", words[at])
        return (rows[index] for index in range(words[at + 1]))

    def _template(self, words: Any, at: int) -> list[Attribute]:
        template = []
        for row in self._attributes(words, at):
            address, length = int(self._cast("uintptr_t", row.pValue)), int(row.ulValueLen)
            if (address == 0 and length) or length > MAX_ATTRIBUTE_BYTES:
                raise Pkcs11Error(CKR.ATTRIBUTE_VALUE_INVALID)
            # Templates within templates; vendors' numbers have that bit by chance.
            nested = row.type & (ARRAY_ATTRIBUTE | VENDOR) == ARRAY_ATTRIBUTE
            if nested and row.type != CKA.ALLOWED_MECHANISMS:
                raise Pkcs11Error(CKR.ATTRIBUTE_TYPE_INVALID)
            template.append((int(row.type), bytes(self._view(address, length))))
        return template

    def _query(self, words: Any, at: int) -> list[tuple[int, int | None]]:
        return [
            (int(row.type), int(row.ulValueLen) if row.pValue != self._ffi.NULL else None)
            for row in self._attributes(words, at)
        ]

    def _room(self, words: Any, at: int) -> int | None:
        if words[at] == 0:
            return None
        return int(self._cast("unsigned long *", words[at + 1])[0])

    def _initialize(self, words: Any, at: int) -> InitializeArguments | None:
        if words[at] == 0:
            return None
        given = self._cast("CK_C_INITIALIZE_ARGS *", words[at])
        functions = (given.CreateMutex, given.DestroyMutex, given.LockMutex, given.UnlockMutex)
        return InitializeArguments(
            mutex_functions=sum(each != self._ffi.NULL for each in functions),
            flags=int(given.flags),
            reserved=given.pReserved != self._ffi.NULL,
        )

    # --- writing ----------------------------------------------------------------------------

    def write(self, words: Any, outputs: list[tuple[ArgumentKind, int]], rv: CKR, result: Any) -> CKR:
        """Give the caller the ``result`` of a call with ``rv``; the return value of the whole.

        ``outputs``: the arguments for that, each with its place in ``words``. With CKR_BUFFER_TOO_SMALL
        ``result`` is the size that is needed, in bytes or records.
        """
        if rv == CKR.BUFFER_TOO_SMALL:
            for kind, at in outputs:
                if kind in (ArgumentKind.OUTPUT, ArgumentKind.LAST_OUTPUT, ArgumentKind.NUMBERS):
                    self._cast("unsigned long *", words[at + 1])[0] = result
        if rv != CKR.OK:
            return rv
        results = result if len(outputs) > 1 else (result,)
        for (kind, at), value in zip(outputs, results, strict=False):
            self.writers[kind](words, at, value)
        return result.rv if isinstance(result, Query) else rv

    def _write_output(self, words: Any, at: int, value: bytes | int | None) -> None:
        if value is None:
            return
        if isinstance(value, int):
            self._cast("unsigned long *", words[at + 1])[0] = value
            return
        length = self._cast("unsigned long *", words[at + 1])
        if len(value) > length[0]:  # a mistake of ours must not become a write beyond the buffer
            raise Pkcs11Error(CKR.GENERAL_ERROR, f"a result of {len(value)} bytes for {length[0]}")
        self._copy(words[at], value)
        length[0] = len(value)

    def _copy(self, address: int, value: bytes) -> None:
        if value:
            self._ffi.memmove(self._cast("unsigned char *", address), value, len(value))

    def _write_numbers(self, words: Any, at: int, value: list[int] | int) -> None:
        count = self._cast("unsigned long *", words[at + 1])
        if isinstance(value, int):
            count[0] = value
            return
        self._write_array(words[at], value)
        count[0] = len(value)

    def _write_array(self, address: int, values: list[int]) -> None:
        place = self._cast("unsigned long *", address)
        for index, number in enumerate(values):
            place[index] = number

    def _write_found(self, words: Any, at: int, value: list[int]) -> None:
        self._write_array(words[at], value)
        self._cast("unsigned long *", words[at + 2])[0] = len(value)

    def _write_fill(self, words: Any, at: int, value: bytes) -> None:
        self._copy(words[at], value)

    def _write_result(self, words: Any, at: int, value: int | None) -> None:
        if words[at] and value is not None:  # a size query makes no object
            self._cast("unsigned long *", words[at])[0] = value

    def _write_query(self, words: Any, at: int, query: Query) -> None:
        for row, value in zip(self._attributes(words, at), query.values, strict=True):
            if value is None:
                row.ulValueLen = UNAVAILABLE
            elif isinstance(value, int):
                row.ulValueLen = value
            else:
                self._copy(int(self._cast("uintptr_t", row.pValue)), value)
                row.ulValueLen = len(value)

    # --- structures -------------------------------------------------------------------------

    def _text(self, field: Any, text: str) -> None:
        """Blank padded, cut at a character's border."""
        size = len(field)
        raw = text.encode()[:size].decode(errors="ignore").encode()
        self._ffi.memmove(field, raw.ljust(size), size)

    def _version(self, field: Any, version: tuple[int, int]) -> None:
        field.major, field.minor = version

    def _write_info(self, words: Any, at: int, value: tuple[Any, str, str, Any]) -> None:
        info = self._cast("CK_INFO *", words[at])
        cryptoki, manufacturer, description, library = value
        self._version(info.cryptokiVersion, cryptoki)
        self._text(info.manufacturerID, manufacturer)
        info.flags = 0
        self._text(info.libraryDescription, description)
        self._version(info.libraryVersion, library)

    def _write_slot_info(self, words: Any, at: int, value: SlotInfo) -> None:
        info = self._cast("CK_SLOT_INFO *", words[at])
        self._text(info.slotDescription, value.description)
        self._text(info.manufacturerID, value.manufacturer)
        info.flags = value.flags
        self._version(info.hardwareVersion, value.hardware)
        self._version(info.firmwareVersion, value.firmware)

    def _write_token_info(self, words: Any, at: int, value: TokenInfo) -> None:
        info = self._cast("CK_TOKEN_INFO *", words[at])
        self._text(info.label, value.label)
        self._text(info.manufacturerID, value.manufacturer)
        self._text(info.model, value.model)
        self._text(info.serialNumber, value.serial)
        info.flags = value.flags
        info.ulMaxSessionCount = info.ulMaxRwSessionCount = INFINITE
        info.ulSessionCount, info.ulRwSessionCount = value.sessions, value.rw_sessions
        info.ulMaxPinLen, info.ulMinPinLen = value.pin_max, value.pin_min
        info.ulTotalPublicMemory = info.ulFreePublicMemory = UNAVAILABLE
        info.ulTotalPrivateMemory = info.ulFreePrivateMemory = UNAVAILABLE
        self._version(info.hardwareVersion, value.hardware)
        self._version(info.firmwareVersion, value.firmware)
        self._text(info.utcTime, "")

    def _write_session_info(self, words: Any, at: int, value: SessionInfo) -> None:
        info = self._cast("CK_SESSION_INFO *", words[at])
        info.slotID, info.state = value.slot, value.state
        info.flags, info.ulDeviceError = value.flags, value.device_error

    def _write_mechanism_info(self, words: Any, at: int, value: MechanismInfo) -> None:
        info = self._cast("CK_MECHANISM_INFO *", words[at])
        info.ulMinKeySize, info.ulMaxKeySize = value.min_key_size, value.max_key_size
        info.flags = value.flags
