"""What C_GenerateKeyPair asks for, in the terms of the device layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, name_of
from hem_pkcs11.kinds import KINDS, Kind, curve_of
from hem_pkcs11.mechanisms import Row
from hem_pkcs11.templates import Template, check_fixed, identifier_of, label_of
from hem_pkcs11.values import Attribute, pack_bool, pack_ulong
from hem_provider.keytypes import Family

__all__ = ["PairRequest", "pair_request"]


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
        CKA.DESTROYABLE, CKA.ALLOWED_MECHANISMS, CKA.ENCAPSULATE, CKA.DECAPSULATE,
    }
)  # fmt: skip
#: Usage word of the device layer → attribute of each half that asks for it.
_SIGN = ("sign", CKA.SIGN, CKA.VERIFY)
_AGREE = (_SIGN, ("derive", CKA.DERIVE, None))
_ENCAPSULATE = (_SIGN, ("derive", CKA.DECAPSULATE, CKA.ENCAPSULATE))
_WITH_SETS = frozenset({CKK.ML_KEM, CKK.ML_DSA})
_POSSIBLE: Mapping[Family, frozenset[str]] = {
    Family.EC: frozenset({"sign", "derive"}),
    Family.EDWARDS: frozenset({"sign"}),
    Family.MONTGOMERY: frozenset({"derive"}),
    Family.MLDSA: frozenset({"sign"}),
    Family.MLKEM: frozenset({"derive"}),
}


def pair_request(row: Row, public: Sequence[Attribute], private: Sequence[Attribute]) -> PairRequest:
    """Read the two templates of C_GenerateKeyPair for the generation mechanism ``row``.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID or CKR_CURVE_NOT_SUPPORTED, naming the attribute.
    """
    halves = (Template("public key", public), Template("private key", private))
    for half in halves:
        check_fixed(half, _FIXED[half.name], _HANDLED)
    kind = _kind(row, halves)
    return PairRequest(
        kind=kind,
        label=label_of(halves[0], _agreed(halves, CKA.LABEL), kind.type.name),
        identifier=identifier_of(halves[0], _agreed(halves, CKA.ID)),
        usage=_usage(halves, kind),
        token=_token(halves),
    )


def _kind(row: Row, halves: tuple[Template, Template]) -> Kind:
    kind = _parameter_set(row, halves) if row.key_types <= _WITH_SETS else _curve(row, halves)
    for half in halves:
        named = half.number(CKA.KEY_TYPE)
        if named is not None and named != kind.key_type:
            raise half.error(
                CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"{name_of(CKK, named)} has no {kind.type.name}"
            )
    return kind


def _curve(row: Row, halves: tuple[Template, Template]) -> Kind:
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
    return kind


def _parameter_set(row: Row, halves: tuple[Template, Template]) -> Kind:
    _agreed(halves, CKA.PARAMETER_SET)
    wanted = halves[0].number(CKA.PARAMETER_SET) or halves[1].number(CKA.PARAMETER_SET)
    possible = {kind.parameter_set: kind for kind in KINDS.values() if kind.key_type in row.key_types}
    if wanted is None:
        raise halves[0].error(CKR.TEMPLATE_INCOMPLETE, CKA.PARAMETER_SET, "missing")
    if wanted not in possible:
        raise halves[0].error(
            CKR.PARAMETER_SET_NOT_SUPPORTED,
            CKA.PARAMETER_SET,
            f"{wanted}; accepted: {sorted(map(str, possible))}",
        )
    return possible[wanted]


def _agreed(halves: tuple[Template, Template], kind: int) -> bytes | None:
    """What the halves say together; they are one key and may not differ."""
    said = {value for value in (half.raw(kind) for half in halves) if value is not None}
    if len(said) > 1:
        raise halves[1].error(
            CKR.TEMPLATE_INCONSISTENT, kind, "differs from the public key's; a pair has one"
        )
    return said.pop() if said else None


def _usage(halves: tuple[Template, Template], kind: Kind) -> frozenset[str] | None:
    """What is asked for by name; ``None`` (all the type can do) when no template says a word."""
    possible = _POSSIBLE[kind.type.family]
    public, private = halves
    asked, denied = set(), set()
    for word, private_flag, public_flag in _ENCAPSULATE if kind.type.family is Family.MLKEM else _AGREE:
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
