"""Finding keys, and the ECDH secret of an operation that names a peer (device API §13.1)."""

from __future__ import annotations

from hem_provider.emulator import keys
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.http import Refusal
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.repository import Record

__all__ = ["lookup", "peer_secret", "unknown_kid"]


def unknown_kid(switches: Switches) -> int:
    """The status for a key id that is not there (Q30)."""
    return 406 if switches.on(Q.UNKNOWN_KID_406) else 404


def lookup(device: Device, kid: bytes) -> Record:
    """The record of a key id; 406 when there is none (Q30)."""
    record = device.repository.find(kid)
    if record is None:
        raise Refusal(unknown_kid(device.switches))
    return record


def peer_secret(call: Call, own: Record) -> bytes | None:
    """The raw ECDH secret of ``own`` and the peer of the request; ``None`` without a peer.

    ``ext_kid`` wins over ``pubkey``. 406 when ``own`` is no private ECDH key, or the peer is of another
    family.
    """
    ext_kid, public = call.find("ext_kid", bytes), call.find("pubkey", bytes)
    if ext_kid is None and public is None:
        return None
    kind = own.kind
    if kind is None or not kind.agrees or not own.private or "ECDH" not in own.modes:
        raise Refusal(406)
    if ext_kid is not None:
        peer = lookup(call.device, ext_kid)
        if peer.type != own.type:
            raise Refusal(406)
        public = peer.public
    try:
        return keys.agree(kind, own.secret, public or b"")
    except ValueError:
        raise Refusal(406) from None
