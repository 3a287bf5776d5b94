"""The modules of this package, each loaded when one of its functions is called for the first time.

A program uses a few of them, and all together take as long to load as everything else.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ciphers",
    "create",
    "digests",
    "dual",
    "general",
    "kem",
    "keys",
    "messages",
    "objects",
    "pins",
    "random",
    "sessions",
    "signatures",
    "states",
    "tokens",
]


def ciphers() -> Any:
    """Functions of ``ciphers``."""
    from hem_pkcs11.functions import ciphers

    return ciphers


def create() -> Any:
    """Functions of ``create``."""
    from hem_pkcs11.functions import create

    return create


def digests() -> Any:
    """Functions of ``digests``."""
    from hem_pkcs11.functions import digests

    return digests


def dual() -> Any:
    """Functions of ``dual``."""
    from hem_pkcs11.functions import dual

    return dual


def general() -> Any:
    """Functions of ``general``."""
    from hem_pkcs11.functions import general

    return general


def kem() -> Any:
    """Functions of ``kem``."""
    from hem_pkcs11.functions import kem

    return kem


def keys() -> Any:
    """Functions of ``keys``."""
    from hem_pkcs11.functions import keys

    return keys


def messages() -> Any:
    """Functions of ``messages``."""
    from hem_pkcs11.functions import messages

    return messages


def objects() -> Any:
    """Functions of ``objects``."""
    from hem_pkcs11.functions import objects

    return objects


def pins() -> Any:
    """Functions of ``pins``."""
    from hem_pkcs11.functions import pins

    return pins


def random() -> Any:
    """Functions of ``random``."""
    from hem_pkcs11.functions import random

    return random


def sessions() -> Any:
    """Functions of ``sessions``."""
    from hem_pkcs11.functions import sessions

    return sessions


def signatures() -> Any:
    """Functions of ``signatures``."""
    from hem_pkcs11.functions import signatures

    return signatures


def states() -> Any:
    """Functions of ``states``."""
    from hem_pkcs11.functions import states

    return states


def tokens() -> Any:
    """Functions of ``tokens``."""
    from hem_pkcs11.functions import tokens

    return tokens
