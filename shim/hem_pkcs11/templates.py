"""Templates of new keys: what a host wants, checked against what the device makes.

An attribute the device cannot give is refused, never dropped: a host that asks for an extractable
private key must not get one that is not.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, name_of
from hem_pkcs11.kinds import KINDS, Kind, curve_of
from hem_pkcs11.mechanisms import Row
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Attribute, pack_bool, pack_ulong
from hem_provider.keytypes import MAX_LABEL, Family

__all__ = ["MAX_IDENTIFIER", "PairRequest", "Template", "pair_request"]

#: Longest CKA_ID of an application's own choice, in bytes: what fits beside the mark in ``descr``.
MAX_IDENTIFIER = 40


class Template:
    """Attributes by type, each once. ``name`` says which template, for messages."""

    def __init__(self, name: str, attributes: Sequence[Attribute]) -> None:
        self.name = name
        self._values: dict[int, bytes] = {}
        for kind, value in attributes:
            if self._values.get(kind, value) != value:
                raise self.error(CKR.TEMPLATE_INCONSISTENT, kind, "given twice with different values")
            self._values[kind] = value

    def error(self, rv: CKR, kind: int, text: str) -> Pkcs11Error:
        return Pkcs11Error(rv, f"{self.name} template: {name_of(CKA, kind)}: {text}")

    def __contains__(self, kind: int) -> bool:
        return kind in self._values

    def kinds(self) -> list[int]:
        return list(self._values)

    def raw(self, kind: int) -> bytes | None:
        return self._values.get(kind)

    def flag(self, kind: int) -> bool | None:
        """A CK_BBOOL. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        if value not in (b"\x00", b"\x01"):
            raise self.error(CKR.ATTRIBUTE_VALUE_INVALID, kind, "not CK_TRUE or CK_FALSE, one byte")
        return value == b"\x01"

    def number(self, kind: int) -> int | None:
        """A CK_ULONG. Raises CKR_ATTRIBUTE_VALUE_INVALID."""
        value = self._values.get(kind)
        if value is None:
            return None
        if len(value) != struct.calcsize("L"):
            raise self.error(CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(value)} bytes are no CK_ULONG")
        return int(struct.unpack("L", value)[0])


@dataclass(frozen=True, slots=True)
class PairRequest:
    """A key pair to be made: in the terms of the device layer."""

    kind: Kind
    label: str
    identifier: bytes
    usage: frozenset[str] | None
    token: bool


_TRUE, _FALSE = pack_bool(True), pack_bool(False)
#: What each half always is; a template may say so and may not say otherwise.
_FIXED: Mapping[str, Mapping[int, bytes]] = MappingProxyType(
    {
        "public key": {
            CKA.CLASS: pack_ulong(CKO.PUBLIC_KEY),
            CKA.PRIVATE: _FALSE,
            CKA.TRUSTED: _FALSE,
            CKA.ENCRYPT: _FALSE,
            CKA.WRAP: _FALSE,
            CKA.VERIFY_RECOVER: _FALSE,
        },
        "private key": {
            CKA.CLASS: pack_ulong(CKO.PRIVATE_KEY),
            CKA.PRIVATE: _TRUE,
            CKA.SENSITIVE: _TRUE,
            CKA.EXTRACTABLE: _FALSE,
            CKA.DECRYPT: _FALSE,
            CKA.UNWRAP: _FALSE,
            CKA.SIGN_RECOVER: _FALSE,
            CKA.ALWAYS_AUTHENTICATE: _FALSE,
            CKA.WRAP_WITH_TRUSTED: _FALSE,
        },
    }
)
#: Read by `pair_request`, or without meaning here whatever their value.
_HANDLED = frozenset(
    {
        CKA.TOKEN, CKA.LABEL, CKA.ID, CKA.KEY_TYPE, CKA.EC_PARAMS, CKA.SIGN, CKA.VERIFY, CKA.DERIVE,
        CKA.PARAMETER_SET, CKA.SUBJECT, CKA.START_DATE, CKA.END_DATE, CKA.MODIFIABLE, CKA.COPYABLE,
        CKA.DESTROYABLE, CKA.ALLOWED_MECHANISMS,
    }
)  # fmt: skip
#: Usage word of the device layer → attribute of each half that asks for it.
_USAGES = (("sign", CKA.SIGN, CKA.VERIFY), ("derive", CKA.DERIVE, None))
_POSSIBLE: Mapping[Family, frozenset[str]] = {
    Family.EC: frozenset({"sign", "derive"}),
    Family.EDWARDS: frozenset({"sign"}),
    Family.MONTGOMERY: frozenset({"derive"}),
}


def pair_request(row: Row, public: Sequence[Attribute], private: Sequence[Attribute]) -> PairRequest:
    """Read the two templates of C_GenerateKeyPair for the generation mechanism ``row``.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID or CKR_CURVE_NOT_SUPPORTED, naming the attribute.
    """
    halves = (Template("public key", public), Template("private key", private))
    for half in halves:
        _check_fixed(half)
    kind = _kind(row, halves)
    return PairRequest(
        kind=kind,
        label=_label(halves, kind),
        identifier=_identifier(halves),
        usage=_usage(halves, kind),
        token=_token(halves),
    )


def _check_fixed(half: Template) -> None:
    fixed = _FIXED[half.name]
    for kind in half.kinds():
        if kind in fixed:
            if half.raw(kind) != fixed[kind]:
                raise half.error(
                    CKR.TEMPLATE_INCONSISTENT, kind, f"the device makes keys with {fixed[kind].hex()} only"
                )
        elif kind not in _HANDLED:
            raise half.error(CKR.ATTRIBUTE_TYPE_INVALID, kind, "not for making a key pair")


def _kind(row: Row, halves: tuple[Template, Template]) -> Kind:
    params = _agreed(halves, CKA.EC_PARAMS)
    if params is None:
        raise halves[0].error(CKR.TEMPLATE_INCOMPLETE, CKA.EC_PARAMS, "missing: it names the curve")
    kind = curve_of(params)
    if kind is None:
        curves = ", ".join(each.curve_name for each in KINDS.values() if each.curve_name)
        raise halves[0].error(
            CKR.CURVE_NOT_SUPPORTED, CKA.EC_PARAMS, f"no curve of the device; it has {curves}, by OID or name"
        )
    if kind.key_type not in row.key_types:
        raise halves[0].error(
            CKR.CURVE_NOT_SUPPORTED, CKA.EC_PARAMS,
            f"{kind.curve_name} keys are made by CKM_{kind.generation.name}, not CKM_{row.type.name}",
        )  # fmt: skip
    for half in halves:
        named = half.number(CKA.KEY_TYPE)
        if named is not None and named != kind.key_type:
            raise half.error(
                CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"{name_of(CKK, named)} has no {kind.curve_name}"
            )
    return kind


def _agreed(halves: tuple[Template, Template], kind: int) -> bytes | None:
    """What the halves say together; they are one key and may not differ."""
    said = {value for value in (half.raw(kind) for half in halves) if value is not None}
    if len(said) > 1:
        raise halves[1].error(
            CKR.TEMPLATE_INCONSISTENT, kind, "differs from the public key's; a pair has one"
        )
    return said.pop() if said else None


def _label(halves: tuple[Template, Template], kind: Kind) -> str:
    raw = _agreed(halves, CKA.LABEL)
    if not raw:
        return kind.type.name  # the device wants one
    text = raw.decode("ascii", "replace")
    if len(raw) > MAX_LABEL or not raw.isascii() or not text.isprintable():
        raise halves[0].error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.LABEL,
            f"{len(raw)} bytes; the device takes 1 to {MAX_LABEL} printable ASCII characters",
        )  # fmt: skip
    return text


def _identifier(halves: tuple[Template, Template]) -> bytes:
    raw = _agreed(halves, CKA.ID) or b""
    if len(raw) > MAX_IDENTIFIER:
        raise halves[0].error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.ID, f"{len(raw)} bytes; at most {MAX_IDENTIFIER} can be kept"
        )
    return raw


def _usage(halves: tuple[Template, Template], kind: Kind) -> frozenset[str] | None:
    """What is asked for by name; ``None`` (all the type can do) when no template says a word."""
    possible = _POSSIBLE[kind.type.family]
    public, private = halves
    asked, denied = set(), set()
    for word, private_flag, public_flag in _USAGES:
        said = {private.flag(private_flag), public.flag(public_flag) if public_flag is not None else None}
        if True in said:
            asked.add(word)
        elif False in said:
            denied.add(word)
    # pkcs11-tool asks for signing and derivation at once, whatever the curve.
    usage = asked & possible if asked else possible - denied
    if not usage:
        raise private.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.SIGN,
            f"nothing is left that a {kind.type.name} key can do ({', '.join(sorted(possible))})",
        )  # fmt: skip
    return frozenset(usage) if asked or denied else None


def _token(halves: tuple[Template, Template]) -> bool:
    said = {half.flag(CKA.TOKEN) or False for half in halves}
    if len(said) > 1:
        raise halves[1].error(
            CKR.TEMPLATE_INCONSISTENT, CKA.TOKEN, "differs from the public key's; both halves are one key"
        )
    return said.pop()
