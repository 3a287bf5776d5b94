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
from hem_provider.emulator.fields import Reader, boolean, integer, octets, text
from hem_provider.emulator.handlers.init import make_csr, storage_mode, user_label
from hem_provider.emulator.handlers.logger import signing_public
from hem_provider.emulator.handlers.system import CARD_SECTORS
from hem_provider.emulator.handlers.tlsimport import import_bundle
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.state import Config

__all__ = ["read", "write"]

# Body field → (attribute of Config, reader).
_SETTABLE: Final[dict[str, tuple[str, Reader]]] = {
    "user": ("user", user_label),
    "email": ("email", text(0, 128)),
    "origin": ("origin", text(1, 128)),
    "trusted_ts": ("trusted_ts", boolean),
    "trusted_backend": ("trusted_backend", boolean),
    "allow_keysearch": ("allow_keysearch", boolean),
    "ctx": ("ctx", integer(0, 0x7FFFFFFF)),
    "http_option_hsts": ("hsts", boolean),
    "http_option_dosprot_mode": ("dosprot", integer(0, 4)),
}
_SETTABLE_PPA: Final[dict[str, tuple[str, Reader]]] = {
    "dnsd": ("dnsd", boolean),
    "storage_mode": ("storage_mode", storage_mode),
    "storage_disk0size": ("storage_disk0size", integer(2, CARD_SECTORS)),
}


def read(call: Call) -> Response:
    """GET system/config."""
    device, config = call.device, call.device.config
    if config is None:  # unreachable without a bearer, which a fresh device never issues
        raise Refusal(401)
    factory = device.state.factory
    body: dict[str, Any] = {
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
        body["genuine_id"] = factory.element_serial.hex()
        body["storage_mode"] = config.storage_mode
        body["storage_disk0size"] = config.storage_disk0size
        body["storage_capacity"] = CARD_SECTORS
    body["spk"] = to_b64(device.session_public)
    body["nonce"] = to_b64(device.new_nonce())
    return answer(body)


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
        body = compact_json({"updated": False}).encode() if device.switches.on(Q.ANSWER_FIRST) else b""
        raise Refusal(400, body=body)
    if changed:
        _reformat(device, config, updated)
        device.state = replace(device.state, config=replace(updated, updated=device.now()))
    order = ("csr", "genuine", "updated", "reboot_required")
    found = {**special, "updated": changed}
    return answer({name: found[name] for name in order if name in found})


def _plain_changes(call: Call) -> tuple[dict[str, Any], bool]:
    """The values of ordinary fields, and whether one of them was unacceptable."""
    table = {**_SETTABLE, **_SETTABLE_PPA} if call.device.is_ppa else _SETTABLE
    changes: dict[str, Any] = {}
    faulty = False
    for name, (attribute, reader) in table.items():
        if name in call.body:
            try:
                changes[attribute] = reader(call.body[name], call.device.switches)
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
        public = octets(32, 32)(call.body["userkey"], device.switches)
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
