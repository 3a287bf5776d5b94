"""What the device can do with which key, as one table: ``(family, operation, algorithm)`` to the
device's parameter.

``algorithm`` is the name ``cryptography`` gives it. What is not in the table is refused before any
request, and never replaced by something near it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from hem_provider.device.key import Key
from hem_provider.keytypes import DIGESTS, ECDSA, KEY_TYPES, Family

__all__ = ["CAPABILITIES", "check_limits", "check_usage", "device_parameter", "hash_parameter"]

CAPABILITIES: Mapping[tuple[Family, str, str], str] = {
    **{(Family.EC, "sign", name): literal for name, literal in ECDSA.items()},
    **{
        (Family.EDWARDS, "sign", literal.lower()): literal
        for kind in KEY_TYPES.values()
        if kind.family is Family.EDWARDS
        for literal in kind.sign_algorithms
    },
    **{
        (family, "exchange_hashed", name): literal
        for family in (Family.EC, Family.MONTGOMERY)
        for name, literal in DIGESTS.items()
    },
}


def hash_parameter(key: Key, operation: str, algorithm: hashes.HashAlgorithm) -> str:
    """``device_parameter`` of a hash. ``TypeError`` for anything else."""
    if not isinstance(algorithm, hashes.HashAlgorithm):
        raise TypeError(
            f"algorithm: {type(algorithm).__name__}; accepted: a hash algorithm, such as hashes.SHA256()"
        )
    return device_parameter(key, operation, algorithm.name)


def device_parameter(key: Key, operation: str, algorithm: str) -> str:
    """The device's literal. ``UnsupportedAlgorithm`` names what is possible instead."""
    family = key.type.family
    try:
        literal = CAPABILITIES[family, operation, algorithm]
    except KeyError:
        possible = [name for (kin, what, name) in CAPABILITIES if (kin, what) == (family, operation)]
        raise UnsupportedAlgorithm(
            f"{operation} with {algorithm}: the device does not do that with a {key.type.name} key; "
            f"possible: {', '.join(possible)}"
        ) from None
    if (family, operation) == (Family.EC, "sign"):
        check_limits(key, "sign", f"ecdsa-{algorithm}")
    return literal


def check_limits(key: Key, use: str, *mechanisms: str) -> None:
    """Refuse a use that the key's maker is known to have ruled out: ``UnsupportedAlgorithm``. No I/O."""
    reason = key.known_limits.against(use, *mechanisms)
    if reason is not None:
        raise UnsupportedAlgorithm(f"key {key.kid} ({key.type.name}): {reason}")


def check_usage(key: Key, usage: str) -> None:
    """Refuse a key that is known not to be made for ``usage`` (``sign`` or ``derive``):
    ``UnsupportedAlgorithm``. No I/O.

    What is not known yet (a key fetched by KID alone) is left to the device.
    """
    check_limits(key, usage, *(("ecdh",) if usage == "derive" else ()))
    known = key.known_attributes
    if known is None or known.key_type is None:
        return
    if not known.usable:
        raise UnsupportedAlgorithm(f"key {key.kid} has no private half on the device")
    permitted = {Family.EC: known.exdsa if usage == "sign" else known.ecdh}
    if not permitted.get(known.key_type.family, True):
        raise UnsupportedAlgorithm(
            f"key {key.kid} ({known.key_type.name}) was not made for {usage!r}; "
            f"make one with usage={{{usage!r}}}"
        )
