"""Initialisation of a factory-fresh device (device API §7)."""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import replace
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hem_provider.emulator import element, lifecycle, tls
from hem_provider.emulator.audit import Event
from hem_provider.emulator.call import Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.fields import (
    Field,
    Reader,
    boolean,
    integer,
    octets,
    parse_fields,
    text,
    text_matching,
)
from hem_provider.emulator.handlers.auth import issue_bearer, open_ejwt
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.nonces import LIFETIME
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.state import Config, new_instance_id

__all__ = ["FIELDS", "STORAGE_MODES", "challenge", "initialise", "make_csr", "user_label"]

STORAGE_MODES = (0x50, 0x51, 0x53, 0xA0, 0xA1, 0xA3)
_HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_TOKEN_SECONDS = 8 * 3600


user_label: Final = text(1, lambda switches: switches.number(Q.USER_LIMIT))
"""A user label of 1 to 64 (or 32, U17) characters."""

storage_mode: Final = integer(0, 0xFF, among=STORAGE_MODES)
"""One of the six storage modes (device API §8.2)."""

_ADDRESS_TEXT: Final = text(7, 18, description="an IPv4 address, with or without prefix length")


def _address(value: Any, switches: Switches) -> str:
    """An IPv4 address, with or without prefix length; 24 when absent."""
    string = str(_ADDRESS_TEXT(value, switches))
    return str(ipaddress.IPv4Interface(string if "/" in string else f"{string}/24"))


_COMMON: Final = (
    Field("user", user_label),
    Field("email", text(0, 128)),
    Field("masterkey", octets(32, 32)),
    Field("userkey", octets(32, 32)),
    Field("hostname", text_matching(_HOSTNAME)),
    Field("origin", text(1, 128)),
    Field("trusted_ts", boolean),
    Field("trusted_backend", boolean),
    Field("allow_keysearch", boolean),
    Field("ctx", integer(0, 0x7FFFFFFF), required=False),
    Field("gen_csr", boolean, required=False),
)
_MASS_STORAGE: Final = (
    Field("ip", Reader(_address, _ADDRESS_TEXT.schema), msc=True),
    Field("storage_mode", storage_mode, msc=True),
    Field("storage_disk0size", integer(2, 0x7FFFFFFF), msc=True),
    Field("dnsd", boolean, msc=True),
)
FIELDS: Final = (*_COMMON, *_MASS_STORAGE)
"""The claim ``cfg`` of an initialisation (device API §7.2)."""


def challenge(call: Call) -> Response:
    """GET auth/init."""
    device = call.device
    body: dict[str, object] = {
        "exp": device.now() + LIFETIME,
        "spk": to_b64(device.session_public),
        "jti": to_b64(device.new_nonce()),
    }
    if device.is_ppa:
        body["genuine"] = element.genuine(device.state.factory, device.now())
    return answer({**body, "eid": to_b64(device.eid)})


def _read_cfg(device: Device, cfg: object) -> dict[str, Any]:
    if not isinstance(cfg, dict):
        raise Refusal(400)
    fields = tuple(field for field in FIELDS if device.is_ppa or not field.msc)
    try:
        return parse_fields(fields, cfg, device.switches)
    except ValueError:
        raise Refusal(400) from None


def initialise(call: Call) -> Response:
    """POST auth/init: an eJWT by the master key carries the whole configuration."""
    device = call.device
    token, issuer = open_ejwt(call.get("init", str), device.boot.session_private)
    try:
        nonce = from_b64(token.text("jti"))
        if from_b64(token.text("aud")) != device.session_public or token.integer("exp") <= device.now():
            raise Refusal(401)
    except ValueError:
        raise Refusal(401) from None
    if not device.take_nonce(nonce):
        raise Refusal(401)
    cfg = _read_cfg(device, token.claims.get("cfg"))
    if not hmac.compare_digest(cfg["masterkey"], issuer):
        raise Refusal(401)
    _apply(device, cfg)
    device.log(Event.DEVICE_INITED, actor="M")
    body: dict[str, object] = {
        "instanceid": _instance(device),
        "token": issue_bearer(device, "system:config", "U", device.now() + _TOKEN_SECONDS),
    }
    if device.is_ppa:
        body["genuine"] = element.genuine(device.state.factory, device.now())
    if cfg.get("gen_csr"):
        body["csr"] = make_csr(device)
    if device.is_ppa and (cfg["dnsd"] or not cfg["ip"].startswith("192.168.7.1/")):
        body["reboot_required"] = True
    return answer(body)


def _instance(device: Device) -> str:
    return device.config.instance_id if device.config else ""


def _apply(device: Device, cfg: dict[str, Any]) -> None:
    now = device.now()
    seed = HKDF(hashes.SHA256(), 16, salt=None, info=b"instance").derive(device.eid + cfg["masterkey"])
    config = Config(
        user=cfg["user"],
        email=cfg["email"],
        hostname=cfg["hostname"],
        origin=cfg["origin"],
        trusted_ts=cfg["trusted_ts"],
        trusted_backend=cfg["trusted_backend"],
        allow_keysearch=cfg["allow_keysearch"],
        master_key=cfg["masterkey"],
        user_key=cfg["userkey"],
        instance_id=new_instance_id(seed),
        created=now,
        updated=now,
        ctx=cfg.get("ctx", 0),
    )
    if device.is_ppa:
        config = replace(
            config,
            ip=cfg["ip"],
            dnsd=cfg["dnsd"],
            storage_mode=cfg["storage_mode"],
            storage_disk0size=cfg["storage_disk0size"] - 1,
        )
        seconds = device.state.knobs.latency.get("format", 0.0)
        lifecycle.start_task(device, "format", seconds)
    device.state = replace(device.state, config=config)
    device.change_boot(disks=lifecycle.disks_at_boot(device))
    lifecycle.store_tls_records(device)


def make_csr(device: Device) -> str:
    """A fresh TLS key, kept until its certificate arrives, and its PEM certificate request."""
    config = device.config
    hostname = config.hostname if config else "my.ence.do"
    pem = tls.make_key()
    device.state = replace(device.state, csr_key=pem)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(tls.load_key(pem), hashes.SHA256())
    )
    return request.public_bytes(Encoding.PEM).decode()
