"""The device's own configuration: ``/api/system/config`` (device API §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hem_provider.errors import HemDeviceFault, HemOperationFailed, HemProtocolError, HemRequestRefused
from hem_provider.records import frozen
from hem_provider.rest.agreements import MAX_CERTIFICATE
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call, done
from hem_provider.rest.fields import Field, Shape, data, flag, integer, text
from hem_provider.rest.sharedfields import B32, CSR, GENUINE, HEX, NUMBER, SIZE, TIME
from hem_provider.rest.status import Meanings
from hem_provider.rest.system import ANY_SCOPE

__all__ = [
    "Attestation",
    "Configuration",
    "ConfigurationChange",
    "attestation",
    "provision",
    "read",
    "rotate",
    "wipe",
    "write",
]

T = TypeVar("T")

_PATH = "/api/system/config"
_CONFIG = ("system:config",)
_WRITE: Meanings = {
    400: (HemRequestRefused, "a setting is not acceptable; nothing was changed"),
    406: (HemOperationFailed, "the device refuses the change, or the role may not make it"),
}
_ATTEST: Meanings = {500: (HemDeviceFault, "the secure element failed")}

_CONFIGURATION = Shape(
    (
        Field("eid", B32),
        Field("spk", B32),
        Field("nonce", B32),
        *(Field(name, text(0, 255), needed=False) for name in ("user", "email", "hostname", "origin")),
        *(Field(name, text(0, 64), needed=False) for name in ("ip", "instanceid")),
        *(Field(name, HEX, needed=False) for name in ("devid", "genuine_id")),
        Field("iat", TIME, needed=False),
        Field("uts", TIME, needed=False),
        Field("ctx", NUMBER, needed=False),
        *(
            Field(name, flag, needed=False)
            for name in ("trusted_ts", "trusted_backend", "allow_keysearch", "http_option_hsts", "dnsd")
        ),
        Field("http_option_dosprot_mode", integer(0, 4), needed=False),
        Field("eid_sign", data(32), needed=False),
        Field("storage_mode", integer(0, 0xFF), needed=False),
        Field("storage_disk0size", SIZE, needed=False),
        Field("storage_capacity", SIZE, needed=False),
    )
)
_CHANGED = Shape(
    (
        Field("updated", flag, needed=False),
        Field("reboot_required", flag, needed=False),
        Field("csr", CSR, needed=False),
        Field("genuine", GENUINE, needed=False),
    )
)
_ATTESTATION = Shape(
    (
        Field("crt", data(most=MAX_CERTIFICATE), needed=False),
        Field("csr", CSR, needed=False),
        Field("key", data(most=512), needed=False),
        Field("genuine", GENUINE, needed=False),
    )
)


@frozen
class Configuration:
    """What the device is configured with. ``spk`` and ``nonce`` serve a passphrase change; sizes
    are in sectors of 512 bytes; fields of USB devices are ``None`` on others."""

    eid: str
    user: str
    email: str
    hostname: str
    origin: str
    address: str | None
    device_id: str | None
    instance_id: str | None
    created: int
    updated: int
    context: int
    trusted_time: bool
    trusted_backend: bool
    anonymous_search: bool
    hsts: bool
    request_deadline: int
    log_key: bytes | None
    genuine_id: str | None
    storage_mode: int | None
    disk0_sectors: int | None
    capacity_sectors: int | None
    dns_server: bool | None
    spk: str
    nonce: str


@frozen
class ConfigurationChange:
    """What a write did. ``csr`` and ``genuine`` come with a requested certificate."""

    updated: bool
    reboot_required: bool
    csr: str | None
    genuine: str | None


@frozen
class Attestation:
    """The secure element's identity: its certificate (DER), or, on a chip that was not
    provisioned yet, its request (PEM) and public key (DER). ``genuine``: a signed time stamp."""

    certificate: bytes | None
    csr: str | None
    public_key: bytes | None
    genuine: str | None


def _configuration(answer: Answer) -> Configuration:
    return Configuration(
        eid=answer.text("eid"),
        user=answer.optional_text("user") or "",
        email=answer.optional_text("email") or "",
        hostname=answer.optional_text("hostname") or "",
        origin=answer.optional_text("origin") or "",
        address=answer.optional_text("ip"),
        device_id=answer.optional_text("devid"),
        instance_id=answer.optional_text("instanceid"),
        created=answer.optional_integer("iat") or 0,
        updated=answer.optional_integer("uts") or 0,
        context=answer.optional_integer("ctx") or 0,
        trusted_time=bool(answer.optional_flag("trusted_ts")),
        trusted_backend=bool(answer.optional_flag("trusted_backend")),
        anonymous_search=bool(answer.optional_flag("allow_keysearch")),
        hsts=bool(answer.optional_flag("http_option_hsts")),
        request_deadline=answer.optional_integer("http_option_dosprot_mode") or 0,
        log_key=answer.optional_data("eid_sign"),
        genuine_id=answer.optional_text("genuine_id"),
        storage_mode=answer.optional_integer("storage_mode"),
        disk0_sectors=answer.optional_integer("storage_disk0size"),
        capacity_sectors=answer.optional_integer("storage_capacity"),
        dns_server=answer.optional_flag("dnsd"),
        spk=answer.text("spk"),
        nonce=answer.text("nonce"),
    )


def _changed(answer: Answer) -> ConfigurationChange:
    if answer.optional_flag("updated") is None:
        raise HemProtocolError(f"{answer.where}: the answer does not say what was changed")
    return ConfigurationChange(
        updated=bool(answer.optional_flag("updated")),
        reboot_required=bool(answer.optional_flag("reboot_required")),
        csr=answer.optional_text("csr"),
        genuine=answer.optional_text("genuine"),
    )


def _rotated(answer: Answer) -> None:
    if not _changed(answer).updated:
        raise HemProtocolError(f"{answer.where}: the device says that it changed nothing")


def _attestation(answer: Answer) -> Attestation:
    return Attestation(
        certificate=answer.optional_data("crt"),
        csr=answer.optional_text("csr"),
        public_key=answer.optional_data("key"),
        genuine=answer.optional_text("genuine"),
    )


def read() -> Call[Configuration]:
    """``GET``."""
    scopes = ("system:config", "logger:get", "auth:ext:pair")
    return Call("GET", _PATH, _configuration, answer=_CONFIGURATION, scopes=scopes, repeatable=True)


def write(changes: Mapping[str, Any]) -> Call[ConfigurationChange]:
    """``POST`` as user or master: only the device's own field names; unknown ones are ignored by it. Not
    to be repeated blindly."""
    return _writing(_changed, changes)


def rotate(fields: Mapping[str, Any]) -> Call[None]:
    """``POST`` of ``rotation_fields``: a new user key. ``HemProtocolError`` where nothing was changed."""
    return _writing(_rotated, fields)


def wipe() -> Call[None]:
    """``POST`` with ``wipeout``: destroys every key and restarts. The device answers and closes
    before it acts."""
    return _writing(done, {"wipeout": True})


def attestation() -> Call[Attestation]:
    """``GET …/attestation``; any token, none on a factory-fresh device. USB devices only."""
    path = f"{_PATH}/attestation"
    return Call(
        "GET",
        path,
        _attestation,
        answer=_ATTESTATION,
        scopes=ANY_SCOPE,
        repeatable=True,
        meanings=_ATTEST,
    )


def provision(*, genuine: str, certificate: str) -> Call[None]:
    """``POST …/provisioning``: the factory's way to store the element's certificate (base64
    DER). ``HemScopeDenied`` once the device is initialised."""
    return Call("POST", f"{_PATH}/provisioning", done, {"genuine": genuine, "crt": certificate})


def _writing(read: Callable[[Answer], T], fields: Mapping[str, Any]) -> Call[T]:
    return Call("POST", _PATH, read, dict(fields), answer=_CHANGED, scopes=_CONFIG, meanings=_WRITE)
