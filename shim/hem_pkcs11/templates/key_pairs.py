"""What C_GenerateKeyPair asks for, in the terms of the device layer."""

from __future__ import annotations

from collections.abc import Sequence

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, name_of
from hem_pkcs11.keykinds import KINDS, KeyKind, curve_of
from hem_pkcs11.mechanisms import MechanismRow
from hem_pkcs11.templates.plans import PlannedKey, check_plan, mechanisms_kept
from hem_pkcs11.templates.rules import Column
from hem_pkcs11.templates.template import Template, check_template, identifier_of, label_of
from hem_pkcs11.values import Attribute
from hem_provider.device.description import NO_LIMITS, Limits
from hem_provider.keytypes import USAGE_TOKENS, Family

__all__ = ["pair_plan"]

#: A word of the device layer, and each flag of the private and the public half that speaks of it with
#: what `Limits` call that half of it.
_Word = tuple[str, tuple[CKA, str], tuple[CKA, str]]
_SIGN: _Word = ("sign", (CKA.SIGN, "sign"), (CKA.VERIFY, "verify"))
_AGREE: tuple[_Word, ...] = (_SIGN, ("derive", (CKA.DERIVE, ""), (CKA.DERIVE, "")))
_ENCAPSULATE: tuple[_Word, ...] = (
    _SIGN,
    ("derive", (CKA.DECAPSULATE, "decapsulate"), (CKA.ENCAPSULATE, "encapsulate")),
)
_WITH_SETS = frozenset({CKK.ML_KEM, CKK.ML_DSA})
#: What either half says of the whole key.
_HANDLING = ((CKA.MODIFIABLE, "modify"), (CKA.COPYABLE, "copy"), (CKA.DESTROYABLE, "destroy"))


def pair_plan(row: MechanismRow, public: Sequence[Attribute], private: Sequence[Attribute]) -> PlannedKey:
    """Read the two templates of C_GenerateKeyPair for the generation mechanism ``row``.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID or CKR_CURVE_NOT_SUPPORTED, naming the attribute.
    """
    halves = (Template("public key", public), Template("private key", private))
    check_template(halves[0], Column.PUBLIC)
    check_template(halves[1], Column.PRIVATE)
    kind = _kind(row, halves)
    usage, denied = _usage(halves, kind)
    plan = PlannedKey(
        kind=kind,
        label=label_of(halves[0], _agreed(halves, CKA.LABEL), kind.type.name),
        identifier=identifier_of(halves[0], _agreed(halves, CKA.ID)),
        usage=usage,
        token=_token(halves),
        limits=NO_LIMITS,
    )
    if plan.token:
        denied.discard("copy")  # there is never a second one
    kept = {kept for half in halves if (kept := mechanisms_kept(half, plan)) is not None}
    if len(kept) > 1:
        raise halves[1].error(
            CKR.TEMPLATE_INCONSISTENT,
            CKA.ALLOWED_MECHANISMS,
            "differ from the public key's; a pair has one list",
        )
    plan = plan.limited(Limits(frozenset(denied), kept.pop() if kept else frozenset()))
    check_plan(halves[0], CKO.PUBLIC_KEY, plan)
    check_plan(halves[1], CKO.PRIVATE_KEY, plan)
    return plan


def _kind(row: MechanismRow, halves: tuple[Template, Template]) -> KeyKind:
    kind = _parameter_set(row, halves) if row.key_types <= _WITH_SETS else _curve(row, halves)
    for half in halves:
        named = half.number(CKA.KEY_TYPE)
        if named is not None and named != kind.key_type:
            raise half.error(
                CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"{name_of(CKK, named)} has no {kind.type.name}"
            )
    return kind


def _curve(row: MechanismRow, halves: tuple[Template, Template]) -> KeyKind:
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


def _parameter_set(row: MechanismRow, halves: tuple[Template, Template]) -> KeyKind:
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


def _usage(halves: tuple[Template, Template], kind: KeyKind) -> tuple[frozenset[str] | None, set[str]]:
    """What is asked for by name, ``None`` (all the type can do) when no template says a word; and
    what is denied besides."""
    possible = frozenset(USAGE_TOKENS[kind.type.family])
    public, private = halves
    asked, denied = set(), set()
    verbs: dict[str, set[str]] = {}
    for word, of_private, of_public in _ENCAPSULATE if kind.type.family is Family.MLKEM else _AGREE:
        said = [half.flag(flag) for half, (flag, _) in ((private, of_private), (public, of_public))]
        if True in said:
            asked.add(word)
        elif False in said:
            denied.add(word)
        names = (of_private[1], of_public[1])
        verbs[word] = {verb for verb, flag in zip(names, said, strict=True) if flag is False and verb}
    # pkcs11-tool asks for signing and derivation at once, whatever the curve.
    usage = asked & possible if asked else possible - denied
    if not usage:
        raise private.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.SIGN,
            f"nothing is left that a {kind.type.name} key can do ({', '.join(sorted(possible))})",
        )  # fmt: skip
    limits = {verb for word in usage for verb in verbs[word]}
    for attribute, verb in _HANDLING:
        _agreed(halves, attribute)
        if False in (half.flag(attribute) for half in halves):
            limits.add(verb)
    return frozenset(usage) if asked or denied else None, limits


def _token(halves: tuple[Template, Template]) -> bool:
    said = {half.flag(CKA.TOKEN) or False for half in halves}
    if len(said) > 1:
        raise halves[1].error(
            CKR.TEMPLATE_INCONSISTENT, CKA.TOKEN, "differs from the public key's; both halves are one key"
        )
    return said.pop()
