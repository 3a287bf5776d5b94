"""What a firmware takes at most, as one value that everything asks which checks or states a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hem_provider.keytypes import MAX_CONTEXT, MAX_DERIVATION_CONTEXT, MAX_DESCR, MAX_LABEL, MAX_MESSAGE

__all__ = ["FIRMWARE_1_2_2", "FirmwareLimits"]


@dataclass(frozen=True, slots=True)
class FirmwareLimits:
    """Sizes in bytes, ``label`` in characters; what is not given is firmware 1.2.2's.

    ``message``: of one operation, 1 at least (device API §13.1); decrypting takes ``padding`` more and
    unwrapping ``integrity`` more (§13.4, §13.5). ``context``: of RFC 8032 and FIPS 204;
    ``derivation_context``: of a key derived from an agreement (§13.7). ``label`` and ``descr``: of a key
    (§11.3). ``body``: of a whole JSON request (§1.5). ``scope``: of one login (§5.3).
    """

    message: int = MAX_MESSAGE
    padding: int = 16
    integrity: int = 8
    context: int = MAX_CONTEXT
    derivation_context: int = MAX_DERIVATION_CONTEXT
    label: int = MAX_LABEL
    descr: int = MAX_DESCR
    body: int = 7300
    scope: int = 127


FIRMWARE_1_2_2: Final = FirmwareLimits()
