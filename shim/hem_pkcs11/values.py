"""What crosses the border to C, as Python values: a class for each structure, as alike as those are."""

from __future__ import annotations

import struct
from typing import TypeAlias

from hem_provider.records import field, frozen, replace

__all__ = [
    "Attribute",
    "Buffer",
    "CtrParameters",
    "EcdhParameters",
    "EddsaParameters",
    "GcmMessageParameters",
    "GcmParameters",
    "InitializeArguments",
    "Mechanism",
    "MechanismInfo",
    "Parameters",
    "SessionInfo",
    "SignContext",
    "SlotInfo",
    "TokenInfo",
    "pack_bool",
    "pack_ulong",
    "pack_ulongs",
    "unpack_ulongs",
]

#: Input of the caller, valid only during the call: check its length before copying it.
Buffer: TypeAlias = memoryview | bytes
#: A template's row; ``None`` where a host gave no value.
Attribute: TypeAlias = tuple[int, bytes]


@frozen
class EddsaParameters:
    """CK_EDDSA_PARAMS."""

    prehash: bool
    context: bytes


@frozen
class EcdhParameters:
    """CK_ECDH1_DERIVE_PARAMS."""

    kdf: int
    shared_data: bytes
    public_data: bytes


@frozen
class CtrParameters:
    """CK_AES_CTR_PARAMS."""

    counter_bits: int
    block: bytes


@frozen
class GcmParameters:
    """CK_GCM_PARAMS. ``tag_bits`` counts bits."""

    iv: bytes
    associated_data: bytes = field(repr=False)
    tag_bits: int


@frozen
class GcmMessageParameters:
    """CK_GCM_MESSAGE_PARAMS of one message: read before it, written after it.

    ``iv`` has the length of the caller's buffer; ``generator`` (CKG_*) says who makes it beyond the
    first ``fixed_bits``. ``tag`` is the caller's when decrypting.
    """

    iv: bytes
    fixed_bits: int
    generator: int
    tag: bytes
    tag_bits: int

    def with_iv(self, iv: bytes) -> GcmMessageParameters:
        """The same with ``iv``, of the length that the caller's buffer has."""
        return replace(self, iv=iv)

    def with_tag(self, tag: bytes) -> GcmMessageParameters:
        """``tag``: the whole one; so many bytes of it as ``tag_bits`` says."""
        return replace(self, tag=tag[: self.tag_bits // 8])


@frozen
class SignContext:
    """CK_SIGN_ADDITIONAL_CONTEXT."""

    hedge: int
    context: bytes


Parameters: TypeAlias = (
    bytes | EddsaParameters | EcdhParameters | CtrParameters | GcmParameters | SignContext | None
)


@frozen
class Mechanism:
    """CK_MECHANISM with its parameter read; ``None`` for none, ``bytes`` where it has no structure."""

    type: int
    parameter: Parameters = None


@frozen
class InitializeArguments:
    """CK_C_INITIALIZE_ARGS: how many of the four mutex functions were given, and the rest."""

    mutex_functions: int
    flags: int
    reserved: bool


@frozen
class MechanismInfo:
    """CK_MECHANISM_INFO."""

    min_key_size: int
    max_key_size: int
    flags: int


@frozen
class SessionInfo:
    """CK_SESSION_INFO."""

    slot: int
    state: int
    flags: int
    device_error: int = 0


@frozen
class SlotInfo:
    """CK_SLOT_INFO. Texts are cut and padded by the bridge."""

    description: str
    manufacturer: str
    flags: int
    hardware: tuple[int, int] = (0, 0)
    firmware: tuple[int, int] = (0, 0)


@frozen
class TokenInfo:
    """CK_TOKEN_INFO without what the module does not know (memory) or have (clock)."""

    label: str
    manufacturer: str
    model: str
    serial: str
    flags: int
    sessions: int
    rw_sessions: int
    pin_min: int
    pin_max: int
    hardware: tuple[int, int] = (0, 0)
    firmware: tuple[int, int] = (0, 0)


def pack_bool(value: bool) -> bytes:
    """CK_BBOOL."""
    return b"\x01" if value else b"\x00"


def pack_ulong(value: int) -> bytes:
    """CK_ULONG in the host's byte order."""
    return struct.pack("L", value)


def pack_ulongs(values: tuple[int, ...]) -> bytes:
    """An array of CK_ULONG."""
    return struct.pack(f"{len(values)}L", *values)


def unpack_ulongs(value: bytes) -> tuple[int, ...]:
    """The numbers of an array of CK_ULONG; the length is whole."""
    return tuple(number for (number,) in struct.iter_unpack("L", value))
