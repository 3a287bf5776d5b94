"""ML-DSA (FIPS 204) and ML-KEM (FIPS 203) classes of whatever ``cryptography`` is installed.

They came with version 47; ML-KEM-512 is in none. What is missing is ``None`` here, and refused
with the reason where it would be needed.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

__all__ = ["native_class"]

_MODULE = {"MLDSA": "mldsa", "MLKEM": "mlkem"}


def native_class(name: str, half: str) -> Any:
    """``native_class("MLDSA65", "PublicKey")`` is ``mldsa.MLDSA65PublicKey``, or ``None``."""
    family = re.sub(r"\d+$", "", name)
    if family not in _MODULE:
        return None
    try:
        module = importlib.import_module(f"cryptography.hazmat.primitives.asymmetric.{_MODULE[family]}")
    except ImportError:
        return None
    return getattr(module, f"{name}{half}", None)
