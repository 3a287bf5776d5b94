"""Configuration: reading, partial update, passphrase change, TLS import, wipe-out (device API §8)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hem_provider.emulator import element, lifecycle
from hem_provider.emulator.audit import Event, Result
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device, x25519_secret
from hem_provider.emulator.encodings import compact_json, from_b64, to_b64
from hem_provider.emulator.fields import Field, body, boolean, integer, octets, text
from hem_provider.emulator.handlers.init import make_csr, storage_mode, user_label
from hem_provider.emulator.handlers.logger import signing_public
from hem_provider.emulator.handlers.system import CARD_SECTORS
from hem_provider.emulator.handlers.tlsimport import BUNDLE, import_bundle
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.state import Config

__all__ = ["FIELDS", "read", "write"]

_SETTABLE: Final = (
    Field("user", user_label, required=False),
    Field("email", text(0, 128), required=False),
    Field("origin", text(1, 128), required=False),
    Field("trusted_ts", boolean, required=False),
    Field("trusted_backend", boolean, required=False),
    Field("allow_keysearch", boolean, required=False),
    Field("ctx", integer(0, 0x7FFFFFFF), required=False),
    Field("http_option_hsts", boolean, required=False),
    Field("http_option_dosprot_mode", integer(0, 4), required=False),
    Field("dnsd", boolean, required=False, msc=True),
    Field("storage_mode", storage_mode, required=False, msc=True),
    Field("storage_disk0size", integer(2, CARD_SECTORS), required=False, msc=True),
)
#: Body field → attribute of ``Config``, where it has another name.
_ATTRIBUTES: Final = {"http_option_hsts": "hsts", "http_option_dosprot_mode": "dosprot"}
_USER_KEY: Final = octets(32, 32)
_PROOF: Final = octets(1, body)
FIELDS: Final = (
    *_SETTABLE,
    Field("userkey", _USER_KEY, required=False),
    Field("userkey_nonce", _PROOF, required=False),
    Field("userkey_hmac", _PROOF, required=False),
    Field("gen_csr", boolean, required=False),
    Field("tls", BUNDLE, required=False),
    Field("wipeout", boolean, required=False),
)
"""What a write may have; what is missing stays, and one good field is enough (device API §8.2)."""


def read(call: Call) -> Response:
    """GET system/config."""
    device, config = call.device, call.device.config
    if config is None:  # unreachable without a bearer, which a fresh device never issues
        raise Refusal(401)
    factory = device.state.factory
    told: dict[str, Any] = {
        "iat": config.created,
        "uts": config.updated,
        "devid": factory.serial.hex(),
        "instanceid": config.instance_id,
        "eid": to_b64(device.eid),
        "eid_sign": to_b64(signing_public(device)),
        "user": config.user,
        "email": config.email,
        "hostname": config.hostname,
        "dnsd": config.dnsd,
        "trusted_ts": config.trusted_ts,
        "trusted_backend": config.trusted_backend,
        "allow_keysearch": config.allow_keysearch,
        "origin": config.origin,
        "ctx": config.ctx,
        "http_option_hsts": config.hsts,
        "http_option_dosprot_mode": config.dosprot,
        "ip": config.ip,
    }
    if device.is_ppa:
        told["genuine_id"] = factory.element_serial.hex()
        told["storage_mode"] = config.storage_mode
        told["storage_disk0size"] = config.storage_disk0size
        told["storage_capacity"] = CARD_SECTORS
    told["spk"] = to_b64(device.session_public)
    told["nonce"] = to_b64(device.new_nonce())
    return answer(told)


def write(call: Call) -> Response:
    """POST system/config: partial; what is unknown is ignored."""
    device, config = call.device, call.device.config
    if config is None:
        return _write_fresh(call)
    if "wipeout" in call.body:
        return _wipe_out(call)
    try:
        answered = _update(call, config)
    except Refusal:
        device.log(Event.CONFIG_UPDATED, Result.FAILED, actor=call.actor)
        raise
    device.log(Event.CONFIG_UPDATED, actor=call.actor)
    return answered


def _write_fresh(call: Call) -> Response:
    """Factory-fresh: only TLS material is taken, and used at once."""
    if not isinstance(call.body.get("tls"), dict):
        raise Refusal(406)
    device = call.device
    try:
        lifecycle.install_tls(device, import_bundle(device, call.body["tls"]))
    except ValueError:
        raise Refusal(400) from None
    device.change_boot(tls=device.state.tls)
    return Response()


def _wipe_out(call: Call) -> Response:
    """Answers first, then erases everything and restarts."""
    if call.body["wipeout"] is not True:
        raise Refusal(406)
    lifecycle.wipe(call.device)
    return Response(close=True)


def _update(call: Call, config: Config) -> Response:
    device = call.device
    changes, faulty = _plain_changes(call)
    special: dict[str, Any] = {}
    for name, apply in _SPECIAL.items():
        if name in call.body:
            try:
                special.update(apply(call, changes))
            except ValueError:
                faulty = True
    updated = replace(config, **changes)
    changed = updated != config or bool(special)
    if faulty and not changed:
        told = compact_json({"updated": False}).encode() if device.switches.on(Q.ANSWER_FIRST) else b""
        raise Refusal(400, body=told)
    if changed:
        _reformat(device, config, updated)
        device.state = replace(device.state, config=replace(updated, updated=device.now()))
    order = ("csr", "genuine", "updated", "reboot_required")
    found = {**special, "updated": changed}
    return answer({name: found[name] for name in order if name in found})


def _plain_changes(call: Call) -> tuple[dict[str, Any], bool]:
    """The values of ordinary fields, and whether one of them was unacceptable."""
    changes: dict[str, Any] = {}
    faulty = False
    for field in _SETTABLE:
        if field.name in call.body and (call.device.is_ppa or not field.msc):
            attribute = _ATTRIBUTES.get(field.name, field.name)
            try:
                changes[attribute] = field.read(call.body[field.name], call.device.switches)
            except ValueError:
                faulty = True
    return changes, faulty


def _reformat(device: Device, old: Config, new: Config) -> None:
    if (old.storage_mode, old.storage_disk0size) != (new.storage_mode, new.storage_disk0size):
        lifecycle.start_task(device, "format", device.state.knobs.latency.get("format", 0.0))


def _import_tls(call: Call, _changes: dict[str, Any]) -> dict[str, Any]:
    lifecycle.install_tls(call.device, import_bundle(call.device, call.body["tls"]))
    return {"reboot_required": True}


def _request_certificate(call: Call, _changes: dict[str, Any]) -> dict[str, Any]:
    if not boolean(call.body["gen_csr"], call.device.switches):
        return {}
    made: dict[str, Any] = {"csr": make_csr(call.device)}
    if call.device.is_ppa:
        made["genuine"] = element.genuine(call.device.state.factory, call.device.now())
    return made


def _rotate_user_key(call: Call, changes: dict[str, Any]) -> dict[str, Any]:
    """The new key proves itself by a MAC over a fresh nonce under X25519(new private, session key) (§8.3)."""
    device, failure = call.device, call.device.switches.number(Q.ROTATION_FAILURE_STATUS)
    try:
        public = _USER_KEY(call.body["userkey"], device.switches)
        nonce = from_b64(str(call.body.get("userkey_nonce", "")))
        mac = from_b64(str(call.body.get("userkey_hmac", "")))
        secret = x25519_secret(device.boot.session_private, public)
        if not hmac.compare_digest(hmac.digest(secret, nonce, hashlib.sha256), mac):
            raise ValueError("the new key is not proven")
        if not device.take_nonce(nonce):
            raise ValueError("the nonce is stale")
    except ValueError:
        if failure == 406:
            raise Refusal(406) from None
        raise
    changes["user_key"] = public
    return {}


_SPECIAL: Final[dict[str, Callable[[Call, dict[str, Any]], dict[str, Any]]]] = {
    "userkey": _rotate_user_key,
    "tls": _import_tls,
    "gen_csr": _request_certificate,
}
