"""What a firmware takes at most, as one value that everything asks which checks or states a size.

No device tells its limits. They are those of firmware 1.2.2 unless the setting ``firmware_limits`` says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hem_provider.keytypes import MAX_CONTEXT, MAX_DERIVATION_CONTEXT, MAX_DESCR, MAX_LABEL, MAX_MESSAGE
from hem_provider.records import frozen

__all__ = ["ACCEPTED", "FIRMWARE_1_2_2", "FirmwareLimits", "limits_from"]


@frozen
class FirmwareLimits:
    """Sizes in bytes, ``label`` in characters; the defaults are firmware 1.2.2's.

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

#: What the setting may say, and from where to where. The largest answers are read whole up to 1 MiB.
ACCEPTED: Final[Mapping[str, range]] = {
    "message": range(64, 2**19 + 1),
    "context": range(1, MAX_CONTEXT + 1),
    "derivation_context": range(1, 1025),
    "descr": range(MAX_DESCR, 129),
    "body": range(FIRMWARE_1_2_2.body, 2**20 + 1),
}


def limits_from(given: Mapping[str, int]) -> FirmwareLimits:
    """The limits with what is given in the place of firmware 1.2.2's. ``ValueError`` says what is accepted.

    ``body``, where it is not given, has as much room beside the message as on 1.2.2.
    """
    for name, value in given.items():
        accepted = ACCEPTED.get(name, range(0))
        if isinstance(value, bool) or not isinstance(value, int) or value not in accepted:
            raise ValueError(
                ", ".join(f"{each} {sizes[0]} to {sizes[-1]}" for each, sizes in ACCEPTED.items())
            )
    body = FIRMWARE_1_2_2.body
    if "message" in given:
        body = max(body, body + _encoded(given["message"]) - _encoded(FIRMWARE_1_2_2.message))
    return FirmwareLimits(**{"body": body, **given})


def _encoded(size: int) -> int:
    """Characters of base64."""
    return -(-size // 3) * 4
