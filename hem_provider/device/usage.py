"""What a key may be made for: usages per family, and how the device is told."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.device.description import DENIABLE, MECHANISMS, MODE_FAMILIES, Limits
from hem_provider.keytypes import USAGE_TOKENS, Family, KeyAttributes, KeyType

__all__ = ["USAGES", "check_limits", "default_usage", "device_mode", "mode_families", "usages_of"]

#: Usages each family offers. Symmetric usages are mode families: design and limits are in the
#: documentation of symmetric keys.
USAGES: Mapping[Family, frozenset[str]] = {
    **{family: frozenset(tokens) for family, tokens in USAGE_TOKENS.items()},
    Family.HMAC: frozenset({"mac"}),
    Family.AES: frozenset(MODE_FAMILIES),
}


def default_usage(key_type: KeyType) -> frozenset[str]:
    """All a type can do; for AES ``aead`` alone, since one mode family can undo another."""
    return frozenset({"aead"}) if key_type.family is Family.AES else USAGES[key_type.family]


def device_mode(key_type: KeyType, usage: frozenset[str]) -> str | None:
    """The device's ``mode`` field, ``None`` where a type has no choice (device API §11.3).

    Raises ``ValueError`` for a usage the type does not offer, or none at all.
    """
    possible = USAGES[key_type.family]
    if not usage or not usage <= possible:
        raise ValueError(
            f"usage: {', '.join(sorted(usage)) or 'none'} for {key_type.name}; accepted: one or more of "
            f"{', '.join(sorted(possible))}"
        )
    if key_type.family is not Family.EC:
        return None
    return ",".join(token for each, token in USAGE_TOKENS[Family.EC].items() if each in usage)


def usages_of(
    key_type: KeyType, attributes: KeyAttributes, families: frozenset[str] | None
) -> frozenset[str]:
    """What a stored key may be used for; nothing for a public half alone. ``families``: the mode families
    that it is kept to, where that is recorded."""
    if not attributes.usable:
        return frozenset()
    if key_type.family is Family.EC:
        tokens = USAGE_TOKENS[Family.EC].items()
        return frozenset(usage for usage, token in tokens if token in attributes.tokens)
    return (families if key_type.family is Family.AES else None) or USAGES[key_type.family]


def mode_families(key_type: KeyType, usage: frozenset[str]) -> frozenset[str]:
    """The families recorded with the key: for AES what was asked, else none."""
    return usage if key_type.family is Family.AES else frozenset()


#: What binds the PKCS#11 module with every key.
_HANDLING = frozenset({"modify", "copy", "destroy"})
_AGREEING = frozenset({"ecdh", "device-derive"})
#: What can be denied to keys of a family, and which mechanisms they can be kept to.
_LIMITABLE: Mapping[Family, tuple[frozenset[str], frozenset[str]]] = {
    Family.EC: (
        frozenset({"sign", "verify"}),
        _AGREEING | {each for each in MECHANISMS if each.startswith("ecdsa-")},
    ),
    Family.EDWARDS: (frozenset({"sign", "verify"}), frozenset()),
    Family.MONTGOMERY: (frozenset(), _AGREEING),
    Family.HMAC: (frozenset({"sign", "verify"}), frozenset({"hmac", "hmac-general"})),
    Family.AES: (
        frozenset(DENIABLE) - {"encapsulate", "decapsulate"},
        frozenset({"ecb", "cbc", "cbc-pad", "ctr", "gcm", "cmac", "key-wrap", "key-wrap-pad"}),
    ),
    Family.MLKEM: (frozenset({"encapsulate", "decapsulate"}), frozenset()),
    Family.MLDSA: (frozenset({"sign", "verify"}), frozenset()),
}


def check_limits(key_type: KeyType, limits: Limits) -> None:
    """``ValueError`` for a limit that means nothing to keys of the type, ``TypeError`` for no limits."""
    if not isinstance(limits, Limits):
        raise TypeError(
            f"limits: {type(limits).__name__}; accepted: Limits of hem_provider.device.description"
        )
    denied, mechanisms = _LIMITABLE[key_type.family]
    for what, given, possible in (
        ("denied", limits.denied, denied | _HANDLING),
        ("mechanisms", limits.mechanisms, mechanisms),
    ):
        if not given <= possible:
            raise ValueError(
                f"limits: {what} {sorted(given - possible)} for {key_type.name}; "
                f"accepted: {', '.join(sorted(possible)) or 'none'}"
            )
