"""The document of ``hem status --json``."""

from __future__ import annotations

import time
from typing import Any

from hem_provider.cli.status_facts import Facts, Inside

__all__ = ["document"]


def document(facts: Facts, inside: Inside | None, status: int, calls: int, logins: int) -> dict[str, Any]:
    """As ``docs/schemas/status.json`` says."""
    return {
        "device": facts.config.name,
        "url": facts.config.url,
        "status": status,
        "reached": facts.reached,
        "emulator": facts.emulator,
        "addresses": list(facts.address),
        "certificate": _certificate_document(facts),
        **_device_document(facts),
        "findings": [
            {"level": str(each.level), "name": each.name, "cause": each.cause, "advice": each.advice}
            for each in facts.findings
        ],
        "machine": _machine_document(facts),
        "login": None if inside is None else _inside_document(inside),
        "calls": calls,
        "logins": logins,
    }


def _certificate_document(facts: Facts) -> dict[str, Any] | None:
    seen = facts.certificate
    if seen is None:
        return None
    days = seen.days_left(time.time())
    return {
        "trust": str(seen.trust),
        "subject": seen.subject,
        "issuer": seen.issuer,
        "names": list(seen.names),
        "not_after": None if seen.not_after is None else int(seen.not_after),
        "days_left": None if days is None else round(days, 1),
        "pin_sha256": seen.pin,
    }


def _device_document(facts: Facts) -> dict[str, Any]:
    glance, version, identity = facts.glance, facts.version, facts.identity
    status = None if glance is None else glance.status
    return {
        "model": None if version is None else version.model,
        "hardware": None if version is None else version.hardware,
        "firmware": None if version is None else version.firmware,
        "bootloader": None if version is None else version.bootloader,
        "owner": None if identity is None else identity.label,
        "identity": None if identity is None else identity.eid,
        "initialised": None if status is None else status.initialized,
        "fail_state": None if status is None else status.fls_state,
        "fail_states": [] if status is None else list(status.faults),
        "uptime": None if status is None else status.uptime,
        "time": None if status is None else status.time,
        "host_time": int(time.time()),
        "drift": None if glance is None or glance.drift is None else round(glance.drift, 1),
        "temperature": None if status is None else status.temperature,
        "humidity": None if status is None else status.humidity,
        "storage": [] if status is None else list(status.storage),
    }


def _machine_document(facts: Facts) -> dict[str, Any]:
    here = facts.machine
    agent, module, vault, ssh = here.agent, here.module, here.keyring, here.ssh
    return {
        "last_check_in": None if here.checked_in is None else int(here.checked_in),
        "keys_remembered": here.remembered,
        "agent": {"running": agent.running, "state": agent.state},
        "pkcs11": {
            "module": None if module.path is None else str(module.path),
            "registered": module.is_registered,
        },
        "keyring": {"vault": None if vault.vault is None else str(vault.vault), "chosen": vault.chosen},
        "ssh": {"socket": ssh.socket, "shell": ssh.in_shell, "configured": ssh.configured},
    }


def _inside_document(inside: Inside) -> dict[str, Any]:
    found = inside.configuration
    return {
        "serial": found.device_id,
        "secure_element": found.genuine_id,
        "hostname": found.hostname,
        "address": found.address,
        "email": found.email,
        "created": found.created,
        "capacity_sectors": found.capacity_sectors,
        "trusted_time": found.trusted_time,
        "trusted_backend": found.trusted_backend,
        "anonymous_search": found.anonymous_search,
        "origin": found.origin,
        "keys": inside.keys,
        "log_files": inside.log_files,
    }
