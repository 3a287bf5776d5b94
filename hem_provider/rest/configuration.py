"""The device's own configuration: ``/api/system/config`` (device API §8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hem_provider.errors import HemDeviceFault, HemOperationFailed, HemProtocolError, HemRequestRefused
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.status import Meanings

__all__ = ["Attestation", "Configuration", "ConfigurationApi", "ConfigurationChange"]

_PATH = "/api/system/config"
_WRITE: Meanings = {
    400: (HemRequestRefused, "a setting is not acceptable; nothing was changed"),
    406: (HemOperationFailed, "the device refuses the change, or the role may not make it"),
}
_ATTEST: Meanings = {500: (HemDeviceFault, "the secure element failed")}


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """What a write did. ``csr`` and ``genuine`` come with a requested certificate."""

    updated: bool
    reboot_required: bool
    csr: str | None
    genuine: str | None


@dataclass(frozen=True, slots=True)
class Attestation:
    """The secure element's identity: its certificate (DER), or, on a chip that was not
    provisioned yet, its request (PEM) and public key (DER). ``genuine``: a signed time stamp."""

    certificate: bytes | None
    csr: str | None
    public_key: bytes | None
    genuine: str | None


class ConfigurationApi(EndpointGroup):
    """Reading takes ``system:config``, ``logger:get`` or ``auth:ext:pair``; writing
    ``system:config`` as user or master."""

    def read(self, *, token: str) -> Configuration:
        """``GET``."""
        answer = self._channel.call("GET", _PATH, token=token)
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

    def write(self, changes: Mapping[str, Any], *, token: str | None) -> ConfigurationChange:
        """``POST``: only the device's own field names; unknown ones are ignored by it. Not to be
        repeated blindly. ``token`` is ``None`` on a factory-fresh device, for ``tls`` only."""
        answer = self._channel.call("POST", _PATH, body=changes, token=token, meanings=_WRITE)
        if token is not None and answer.optional_flag("updated") is None:
            raise HemProtocolError(f"{self._channel.config.name}: the answer does not say what was changed")
        return ConfigurationChange(
            updated=bool(answer.optional_flag("updated")),
            reboot_required=bool(answer.optional_flag("reboot_required")),
            csr=answer.optional_text("csr"),
            genuine=answer.optional_text("genuine"),
        )

    def wipe(self, *, token: str) -> None:
        """``POST`` with ``wipeout``: destroys every key and restarts. The device answers and closes
        before it acts."""
        self._channel.call("POST", _PATH, body={"wipeout": True}, token=token, meanings=_WRITE)

    def attestation(self, *, token: str | None) -> Attestation:
        """``GET …/attestation``; any token, none on a factory-fresh device. USB devices only."""
        answer = self._channel.call("GET", f"{_PATH}/attestation", token=token, meanings=_ATTEST)
        return Attestation(
            certificate=answer.optional_data("crt"),
            csr=answer.optional_text("csr"),
            public_key=answer.optional_data("key"),
            genuine=answer.optional_text("genuine"),
        )

    def provision(self, *, genuine: str, certificate: str) -> None:
        """``POST …/provisioning``: the factory's way to store the element's certificate (base64
        DER). ``HemScopeDenied`` once the device is initialised."""
        body = {"genuine": genuine, "crt": certificate}
        self._channel.call("POST", f"{_PATH}/provisioning", body=body)
