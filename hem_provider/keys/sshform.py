"""What SSH libraries want of a key: its public half and its signatures in SSH's form (RFC 4253 §6.6, RFC 5656
§3.1, RFC 8709 §4, §6)."""

from __future__ import annotations

from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed
from hem_provider.keys.signing import algorithm_of, check_signs, native, sign
from hem_provider.keytypes import Family
from hem_provider.publickeys import SSH_NAMES, ssh_blob
from hem_provider.sshwire import ssh_from_der, string

__all__ = ["check_ssh", "ssh_inner", "ssh_public"]


def check_ssh(key: Key) -> str:
    """SSH's name of the key's type, which is that of its signatures too. ``HemOperationFailed`` for a type
    that SSH does not have, and for a key that is known not to sign. No I/O for a key whose type is known."""
    kind = key.type
    if kind.name not in SSH_NAMES:
        raise HemOperationFailed(
            f"key {key.kid} is {kind.name}, which SSH does not have; accepted: {', '.join(SSH_NAMES)}"
        )
    check_signs(key, algorithm_of(kind))
    return SSH_NAMES[kind.name]


def ssh_public(key: Key) -> bytes:
    """The public key's blob, which begins with the name of its type. One call where it is not known yet."""
    check_ssh(key)
    return ssh_blob(native(key))


def ssh_inner(key: Key, data: bytes) -> bytes:
    """A signature of 1…``limits.message`` bytes, without the name and the length before it; one call.

    Raises as ``signing.sign``, and ``MessageTooLong``.
    """
    made = sign(key, data, algorithm_of(key.type))
    return string(ssh_from_der(made) if key.type.family is Family.EC else made)
