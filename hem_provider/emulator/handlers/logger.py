"""The audit log through the API (device API §14.1)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.fields import PATH
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.quirks import Q

__all__ = ["key", "listing", "read", "signing_public"]

_PAGE: Final = 128


def _signing_key(device: Device) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(device.state.identity.log_key)


def signing_public(device: Device) -> bytes:
    """The Ed25519 public key that vouches for the log's MAC keys (``eid_sign``)."""
    return _signing_key(device).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key(call: Call) -> Response:
    """GET logger/key: the key, and a nonce signed with it."""
    device = call.device
    nonce = device.new_nonce()
    signed = _signing_key(device).sign(nonce)
    return answer(
        {"key": to_b64(signing_public(device)), "nonce": to_b64(nonce), "nonce_signed": to_b64(signed)}
    )


def listing(call: Call) -> Response:
    """GET logger/list[/offset]: up to 128 ids, oldest first."""
    try:
        text = PATH["offset"](call.path.get("offset", "0"), call.device.switches)
    except ValueError:
        raise Refusal(406) from None
    files = call.device.log_files.files()
    return answer({"total": len(files), "id": files[int(text) : int(text) + _PAGE]})


def read(call: Call) -> Response:
    """GET logger/{id}: the text of a finished file."""
    device, wanted = call.device, call.path["id"]
    try:
        PATH["id"](wanted, device.switches)
    except ValueError:
        raise Refusal(404) from None
    if wanted.lower() == device.boot.log_file and device.switches.on(Q.CURRENT_LOG_406):
        raise Refusal(406)
    content = device.log_files.read(wanted.lower())
    if content is None:
        raise Refusal(404)
    return Response(200, content, "text/plain")
