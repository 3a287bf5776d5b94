"""Key agreement with an exportable result (device API §13.6)."""

from __future__ import annotations

import hashlib
from typing import Final

from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.handlers.peers import lookup, peer_secret
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import DIGESTS
from hem_provider.emulator.quirks import Q

__all__ = ["ecdh"]

_CUT: Final = 32


def ecdh(call: Call) -> Response:
    """POST crypto/ecdh: the raw secret cut to 32 bytes (Q11), or a digest of all of it."""
    own = lookup(call.device, call.get("kid", bytes))
    secret = peer_secret(call, own)
    if secret is None:
        raise Refusal(406)
    algorithm = call.find("alg", str)
    if algorithm:
        return answer({"ecdh": to_b64(hashlib.new(DIGESTS[algorithm], secret).digest())})
    return answer({"ecdh": to_b64(secret[:_CUT] if call.device.switches.on(Q.ECDH_CUT) else secret)})
