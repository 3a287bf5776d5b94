"""The checks from this machine's settings to the device's status, clock and cloud. No login, and nothing is
changed on the device."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from hem_provider.cli.doctor.checking import Patient, Result, State
from hem_provider.cli.wording import certificate_line, clock_line, state_line
from hem_provider.config import load_config
from hem_provider.config.places import config_path, is_there
from hem_provider.device import checkin, contact, health
from hem_provider.device.cache import DiskCache
from hem_provider.device.contact import Trust
from hem_provider.device.health import Finding, Level
from hem_provider.errors import HemConfigError, HemConnectionError, HemError, HemUnreachable
from hem_provider.records import replace
from hem_provider.trust import check_not_writable_by_others

__all__ = ["certificate", "clock", "cloud", "configuration", "connection", "name", "state", "status"]

_INSIDE = Result("the device is in this process", state=State.NOT_USED)
_NONE = "not-configured", "no device is configured", "hem init, or set HEM_URL: docs/configuration.md"
_UNNAMED = "device-unnamed", "which of the devices?", "hem doctor --device NAME"
_BEHIND = Result("the device is behind an agent", state=State.NOT_USED)


def configuration(patient: Patient) -> Result:
    """Settings are there, can be used, and nobody else may change them."""
    try:
        config = load_config()
    except HemConfigError as error:
        return Result("the settings cannot be used", (_unusable(patient, error),))
    try:
        device = config.device(patient.options.device)
    except HemConfigError as error:
        name, told, advice = _UNNAMED if config.devices else _NONE
        return Result(told, (Finding(Level.FAULT, name, str(error), advice),))
    patient.config = device
    findings = (*_unsafe(patient), *_careless(patient))
    told = f"{config.source}; {device.name} is {device.url}"
    return Result(told, findings, usable=True)


def _unusable(patient: Patient, error: HemConfigError) -> Finding:
    path = config_path()
    if path is not None and is_there(path) and _note_loose(patient, path, secret=False):
        return Finding(Level.FAULT, "files-unsafe", str(error), "hem doctor --fix", fix="permissions")
    return Finding(Level.FAULT, "configuration-wrong", str(error), "hem config check")


def _unsafe(patient: Patient) -> Iterator[Finding]:
    """Files that the settings name, and others may change or read."""
    device = patient.device
    files = (
        (device.passphrase_file, "the passphrase file", True),
        (device.ca_file, "the CA file", False),
        (device.cloud_ca_file, "the cloud's CA file", False),
    )
    for path, what, secret in files:
        if path is None:
            continue
        try:
            check_not_writable_by_others(path, what, secret=secret)
        except HemConfigError as error:
            fix = "permissions" if _note_loose(patient, path, secret=secret) else ""
            advice = "hem doctor --fix" if fix else "put it where you alone may write"
            yield Finding(Level.FAULT, "files-unsafe", str(error), advice, fix)
        except OSError as error:
            yield Finding(
                Level.FAULT,
                "files-missing",
                f"{path}: {what} cannot be read: {error.strerror}",
                "make it, or name another: hem config set",
            )


def _note_loose(patient: Patient, path: Path, *, secret: bool) -> bool:
    """Whether the file's own mode is what is wrong, and can be mended by us."""
    real = Path(os.path.realpath(path))
    try:
        seen = real.stat()
    except OSError:
        return False
    mode = stat.S_IMODE(seen.st_mode)
    wanted = mode & ~(0o077 if secret else 0o022)
    if not stat.S_ISREG(seen.st_mode) or mode == wanted or seen.st_uid != os.geteuid():
        return False
    patient.loose[real] = wanted
    return True


def _careless(patient: Patient) -> Iterator[Finding]:
    device = patient.device
    if device.insecure:
        yield Finding(
            Level.WARNING,
            "verification-off",
            "the device's certificate is not verified: anybody may be answering, and get the login",
            "take insecure (HEM_INSECURE) out of the settings; give ca_file or pin_sha256 where it is needed",
        )
    if device.url.startswith("http://"):
        yield Finding(
            Level.WARNING,
            "plain-http",
            "plain HTTP: whoever listens reads along, and no key is used",
            "https://",
        )


def _elsewhere(patient: Patient) -> Result | None:
    """Of a device without an address."""
    if patient.device.url.startswith(("https:", "http:")):
        return None
    return _BEHIND if patient.is_behind_agent else _INSIDE


def name(patient: Patient) -> Result:
    """The host's name leads to an address."""
    elsewhere = _elsewhere(patient)
    if elsewhere is not None:
        return elsewhere
    try:
        found = contact.addresses(patient.device)
    except HemUnreachable as error:
        advice = "check the name (hem config show) and this machine's network; is the device plugged in?"
        return Result(str(error), (Finding(Level.FAULT, "name-unknown", str(error), advice),))
    patient.host = ", ".join(found)
    return Result(patient.host)


def connection(patient: Patient) -> Result:
    """Somebody takes a TCP connection there."""
    elsewhere = _elsewhere(patient)
    if elsewhere is not None:
        return elsewhere
    try:
        address, port = contact.connect(patient.device)
    except HemUnreachable as error:
        if _answers_plainly(patient):
            name, cause, advice, _ = health.TRUSTS[Trust.NONE]
            told = f"{cause} (its plain HTTP port answers)"
            return Result(told, (Finding(Level.FAULT, name, told, advice),))
        advice = "is it plugged in and switched on, and does a firewall stand between?"
        return Result(str(error), (Finding(Level.FAULT, "unreachable", str(error), advice),))
    return Result(f"{address} port {port} answers")


def _answers_plainly(patient: Patient) -> bool:
    """A device without a certificate has its HTTP port alone."""
    if contact.place(patient.device)[1] != 443:
        return False
    try:
        contact.connect(patient.device, port=80)
    except HemUnreachable:
        return False
    return True


def certificate(patient: Patient) -> Result:
    """TLS shows a certificate that is trusted, and not about to end."""
    if not patient.device.url.startswith("https:"):
        told = _elsewhere(patient) or Result("plain HTTP has none", state=State.NOT_USED)
        return replace(told, state=State.NOT_USED)
    seen = contact.certificate(patient.device)
    findings = tuple(health.of_certificate(seen, time.time()))
    return Result(certificate_line(seen, time.time()), findings, usable=seen.trust is Trust.GOOD)


def status(patient: Patient) -> Result:
    """The device answers, in good time, and as a HEM does."""
    glance = contact.glance(patient.hem)
    patient.glance = glance
    findings = health.of_answer_time(glance.seconds)
    kind = "the emulator" if patient.hem.is_emulator else "a device"
    return Result(f"{kind} answers after {glance.seconds:.2f} s", tuple(findings), usable=True)


def state(patient: Patient) -> Result:
    """Initialised, no failure latched, not too hot."""
    glance = _seen(patient)
    findings = [each for each in health.of_status(glance.status) if each.name != "clock-unset"]
    return Result(state_line(glance.status), tuple(findings))


def clock(patient: Patient) -> Result:
    """The clock is set, and right."""
    glance = _seen(patient)
    since = DiskCache(patient.device.url).checked_in()
    age = None if since is None else time.time() - since
    if age is not None and age > glance.status.uptime:  # it has restarted since, and was set by others
        age = None
    findings = [each for each in health.of_status(glance.status) if each.name == "clock-unset"]
    if glance.drift is not None:
        findings += health.of_drift(glance.drift, age)
    unset = any(each.level is Level.FAULT and each.name == "clock-unset" for each in findings)
    return Result(clock_line(glance), tuple(findings), usable=not unset)


def _seen(patient: Patient) -> contact.Glance:
    assert patient.glance is not None  # noqa: S101 - the status is what these need
    return patient.glance


def cloud(patient: Patient) -> Result:
    """The device proves itself to the cloud, and is answered; the answer is not handed to it."""
    if patient.is_behind_agent:
        return _BEHIND
    proof = checkin.prove(patient.hem.session)
    try:
        answer = checkin.ask_cloud(patient.hem.session, proof)
    except HemConnectionError as error:
        cause = str(error) if "cloud" in str(error) else f"check-in needs the cloud service: {error}"
        advice = (
            "look at this machine's way to the internet, and cloud_proxy; a device works on until it restarts"
        )
        return Result(cause, (Finding(Level.FAULT, "cloud-unreachable", cause, advice),))
    except HemError as error:
        advice = "ask whoever manages the device at the cloud service"
        return Result(str(error), (Finding(Level.FAULT, "cloud-refuses", str(error), advice),))
    patient.offers_certificate = bool(answer.jwt("checked").claims["newcrt"])
    offered = "; it offers a new certificate" if patient.offers_certificate else ""
    return Result(f"{patient.device.cloud_url} answers the device{offered}")
