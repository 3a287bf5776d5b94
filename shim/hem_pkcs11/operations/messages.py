"""Message-based operations (3.0): one init, many messages, each with parameters of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, Generic, TypeVar

from hem_pkcs11.constants import CKA, CKF, CKG, CKO, CKR
from hem_pkcs11.mechanisms import MechanismRow, invalid_parameter, mechanism_row, no_parameter
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations import Operation, deliver
from hem_pkcs11.operations.gcm import MAX_GCM, gcm_context, gcm_sizes
from hem_pkcs11.operations.ivs import IvSource
from hem_pkcs11.operations.key_checks import check_family, check_use
from hem_pkcs11.operations.sign import SignOperation
from hem_pkcs11.operations.verify import VerifyOperation
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Buffer, GcmMessageParameters, Mechanism

__all__ = ["MessageCipher", "MessageSign", "MessageVerify", "message_cipher"]

_OperationT = TypeVar("_OperationT", bound=Operation)


def _unfinished() -> Pkcs11Error:
    return Pkcs11Error(CKR.OPERATION_ACTIVE, "a message in parts is not finished")


def _not_begun() -> Pkcs11Error:
    return Pkcs11Error(CKR.OPERATION_NOT_INITIALIZED, "no message was begun")


class MessageCipher:
    """AES-GCM for many messages with one key, held until ``close``. The IV of a message is the caller's or
    made here, as its parameters say; made ones never repeat (``ivs``).

    Each method raises CKR_MECHANISM_PARAM_INVALID for parameters that are none of the mechanism,
    CKR_DATA_LEN_RANGE or CKR_ENCRYPTED_DATA_LEN_RANGE for too much, CKR_KEY_EXHAUSTED where no IV is left,
    and CKR_AEAD_DECRYPT_FAILED for a wrong tag.
    """

    def __init__(self, item: Pkcs11Object, row: MechanismRow, ivs: IvSource, *, encrypting: bool) -> None:
        self._item = item.held()
        self._ivs = ivs
        self._row = row
        self._encrypting = encrypting
        self._running: tuple[Any, GcmMessageParameters, bytearray] | None = None
        self._taken = 0  # bytes of it

    def whole(
        self, parameter: GcmMessageParameters | None, associated: Buffer, data: Buffer, room: int | None
    ) -> tuple[GcmMessageParameters | None, bytes | int]:
        """One message at once. Gives the parameters with IV and tag filled in, and the result or its size in
        bytes.

        Raises CKR_OPERATION_ACTIVE where a message in parts is not finished, and CKR_BUFFER_TOO_SMALL.
        """
        if self._running is not None:
            raise _unfinished()
        given = self._checked(parameter)
        self._check_length(len(data))
        if not deliver(len(data), room):
            return None, len(data)
        used = self._with_iv(given)
        context = self._context(used, bytes(associated))
        if self._encrypting:
            result = bytes(context.update(bytes(data)) + context.finalize())
            return used.with_tag(bytes(context.tag)), result
        return used, self._verified(context, bytes(data), given.tag)

    def begin(self, parameter: GcmMessageParameters | None, associated: Buffer) -> GcmMessageParameters:
        """Start a message in parts: its parameters with the IV. Raises CKR_OPERATION_ACTIVE where one is
        not finished."""
        if self._running is not None:
            raise _unfinished()
        used = self._with_iv(self._checked(parameter))
        self._running = (self._context(used, bytes(associated)), used, bytearray())
        return used

    def next(
        self, parameter: GcmMessageParameters | None, part: Buffer, room: int | None, *, last: bool
    ) -> tuple[GcmMessageParameters | None, bytes | int]:
        """A part; the last one brings, or is checked by, the tag. Plaintext comes with it only.

        Raises CKR_OPERATION_NOT_INITIALIZED where no message was begun, and CKR_BUFFER_TOO_SMALL.
        """
        if self._running is None:
            raise _not_begun()
        context, used, collected = self._running
        self._check_length(self._taken + len(part))
        tag = self._tag_of_last(parameter, used) if last else b""
        size = len(part) if self._encrypting else (len(collected) + len(part) if last else 0)
        if not deliver(size, room):
            return None, size
        if self._encrypting:
            result = bytes(context.update(bytes(part)))
            if last:
                result += bytes(context.finalize())
                used = used.with_tag(bytes(context.tag))
        else:
            collected += part
            result = self._verified(context, bytes(collected), tag) if last else b""
        self._taken += len(part)
        if last:
            self.end_message()
        return (used if last and self._encrypting else None), result

    def _tag_of_last(self, parameter: GcmMessageParameters | None, begun: GcmMessageParameters) -> bytes:
        """What the last part brings. Its buffers are as large as those the message was begun with: IV and
        tag of that size go there."""
        given = self._checked(parameter)
        for what, last, first in (
            ("IV", 8 * len(given.iv), 8 * len(begun.iv)),
            ("tag", given.tag_bits, begun.tag_bits),
        ):
            if last != first:
                raise invalid_parameter(
                    self._row, f"with a message begun with {first} bits of {what}, at its end with {last}"
                )
        return given.tag

    def _context(self, used: GcmMessageParameters, associated: bytes) -> Any:
        return gcm_context(self._item, used.iv, associated, used.tag_bits // 8, encrypting=self._encrypting)

    def _checked(self, parameter: GcmMessageParameters | None) -> GcmMessageParameters:
        if parameter is None:
            raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, "a message takes CK_GCM_MESSAGE_PARAMS")
        gcm_sizes(self._row, len(parameter.iv), parameter.tag_bits)
        return parameter

    def _with_iv(self, given: GcmMessageParameters) -> GcmMessageParameters:
        if not self._encrypting or given.generator == CKG.NO_GENERATE:
            return given
        return given.with_iv(self._ivs.next(self._item, given))

    def _verified(self, context: Any, ciphertext: bytes, tag: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(context.update(ciphertext) + context.finalize_with_tag(tag))
        except InvalidTag:
            raise Pkcs11Error(CKR.AEAD_DECRYPT_FAILED, "the tag does not match") from None

    def _check_length(self, size: int) -> None:
        if size > MAX_GCM:
            raise Pkcs11Error(
                CKR.DATA_LEN_RANGE if self._encrypting else CKR.ENCRYPTED_DATA_LEN_RANGE,
                f"{size} bytes; GCM takes {MAX_GCM} at most",
            )

    def end_message(self) -> None:
        """Forget the message in parts, if there is one."""
        self._running = None
        self._taken = 0

    def close(self) -> None:
        """Let go of the message in parts and of the key."""
        self.end_message()
        self._item.close()


def message_cipher(
    item: Pkcs11Object, mechanism: Mechanism, ivs: IvSource, *, encrypting: bool
) -> MessageCipher:
    """The operation for ``C_MessageEncryptInit`` or ``C_MessageDecryptInit``. Raises as ``cipher`` does;
    the mechanism takes no parameter, since each message brings its own."""
    row = mechanism_row(mechanism.type, CKF.MESSAGE_ENCRYPT if encrypting else CKF.MESSAGE_DECRYPT)
    no_parameter(row, mechanism)  # each message brings its own
    check_use(item, row, CKO.SECRET_KEY, CKA.ENCRYPT if encrypting else CKA.DECRYPT)
    check_family(item, row)
    return MessageCipher(item, row, ivs, encrypting=encrypting)


class _ManyMessages(Generic[_OperationT]):
    """One operation after the other with one key, held until ``close``; ``make`` begins one."""

    def __init__(self, item: Pkcs11Object, make: Callable[[Pkcs11Object], _OperationT]) -> None:
        self._running: _OperationT | None = None
        make(item).close()  # tells at once what key or mechanism rules out
        self._item = item.held()
        self._make = make

    def begin(self) -> None:
        """Start a message in parts. Raises CKR_OPERATION_ACTIVE where one is not finished."""
        self._running = self._one()

    def end_message(self) -> None:
        """Forget the message in parts, if there is one."""
        if self._running is not None:
            self._running.close()
        self._running = None

    def close(self) -> None:
        """Let go of the message in parts and of the key."""
        self.end_message()
        self._item.close()

    def _one(self) -> _OperationT:
        if self._running is not None:
            raise _unfinished()
        return self._make(self._item)

    def _begun(self) -> _OperationT:
        if self._running is None:
            raise _not_begun()
        return self._running

    def _taken(self) -> _OperationT:
        """What was begun, which ends with the part that is coming."""
        running, self._running = self._begun(), None
        return running


class MessageSign(_ManyMessages[SignOperation]):
    """Signatures over many messages."""

    def whole(self, data: Buffer, room: int | None) -> bytes | int:
        """The signature of one message; its size in bytes when only that is asked. Raises
        CKR_OPERATION_ACTIVE where a message in parts is not finished, and as C_Sign does."""
        with closing(self._one()) as operation:
            return operation.finish(data, room)

    def next(self, part: Buffer, room: int | None, *, last: bool) -> bytes | int | None:
        """``None`` while parts follow. A size query takes nothing in.

        Raises CKR_OPERATION_NOT_INITIALIZED where no message was begun.
        """
        running = self._begun()
        if not last:
            running.update(part)
            return None
        size = running.finish(None, None)
        assert isinstance(size, int)  # noqa: S101 - the answer to a size query
        if not deliver(size, room):
            return size
        with closing(self._taken()) as ending:
            ending.update(part)
            return ending.finish(None, room)


class MessageVerify(_ManyMessages[VerifyOperation]):
    """Checks of the signatures of many messages."""

    def whole(self, data: Buffer, signature: Buffer) -> None:
        """One message. Raises CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID."""
        with closing(self._one()) as operation:
            operation.finish(data, signature)

    def next(self, part: Buffer, signature: Buffer) -> None:
        """A part; a signature, and with it the answer, comes with the last one.

        Raises CKR_OPERATION_NOT_INITIALIZED where no message was begun, and as ``whole`` does.
        """
        if len(signature) == 0:
            self._begun().update(part)
            return
        with closing(self._taken()) as ending:
            ending.finish(part, signature)
