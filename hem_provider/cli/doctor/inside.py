"""The checks that need a login: rights, self-test, secure element, log."""

from __future__ import annotations

import sys
from collections.abc import Callable

from hem_provider.cli.doctor.checking import Patient, Result, State
from hem_provider.config.login_source import LoginSource, login_source
from hem_provider.device import health
from hem_provider.device.asking import log_in
from hem_provider.device.health import Finding, Level, of_error
from hem_provider.device.hem import Hem
from hem_provider.errors import HemConfigError, HemDeviceFault, HemError, HemRequestRefused

__all__ = ["log", "login", "scopes", "secure_element", "selftest"]

_SCOPE = "keymgmt:list"
_SOURCES = {
    LoginSource.PHONE: "a paired phone",
    LoginSource.FILE: "the passphrase file",
    LoginSource.COMMAND: "the passphrase command",
    LoginSource.PROMPT: "the passphrase that was typed",
}


def login(patient: Patient) -> Result:
    """The device accepts what the settings name."""
    if patient.options.no_login:
        return Result("left out, as --no-login says", state=State.NOT_TRIED)
    if patient.is_behind_agent:
        return Result("behind an agent: run hem doctor where that runs", state=State.NOT_TRIED)
    hem = patient.hem
    source = login_source(hem.config, may_ask=True)
    if source is None:
        told = "no passphrase file or command is configured, and there is no terminal to ask on"
        return Result(told, state=State.NOT_TRIED)
    if source is LoginSource.PHONE:
        print("Approve the login on the phone.", file=sys.stderr, flush=True)
    try:
        log_in(hem, scope=_SCOPE)
        if source is not LoginSource.PROMPT:  # which has been proven
            hem.login(scope=_SCOPE)
    except HemConfigError as error:
        finding = Finding(Level.FAULT, "login-source-unusable", str(error), "hem config check")
        return Result(str(error), (finding,))
    return Result(f"accepted, by {_SOURCES[source]}")


def _by_phone(patient: Patient) -> Result | None:
    """What would ask on the phone once more for each right is not tried."""
    if patient.hem.config.auth != "mobile":
        return None
    return Result("the phone would be asked again for each right", state=State.NOT_TRIED)


#: Right → what it is for, and a call that takes it.
_RIGHTS: tuple[tuple[str, str, Callable[[Hem], object]], ...] = (
    (_SCOPE, "list keys", lambda hem: len(list(hem.keys))),
    ("system:config", "look after the device", lambda hem: hem.admin.configuration()),
    ("logger:get", "read the log", lambda hem: hem.audit.key()),
)


def scopes(patient: Patient) -> Result:
    """The login has the rights that an owner needs."""
    by_phone = _by_phone(patient)
    if by_phone is not None:
        return by_phone
    findings, had = [], []
    for scope, purpose, use in _RIGHTS:
        try:
            patient.hem.session.bearer((scope,))
            use(patient.hem)
        except HemError as error:
            findings.append(of_error(error))
        else:
            had.append(purpose)
    return Result(f"it may {', '.join(had)}" if had else "it may do nothing", tuple(findings))


def selftest(patient: Patient) -> Result:
    """The device's own tests pass, and it has room for keys."""
    test = patient.hem.admin.selftest()
    stats = test.repository
    room = "" if stats is None else f"; {stats.total} records, {stats.free} slots free"
    busy = "; known-answer tests go on" if test.busy else ""
    words = "passed" if not test.fls_state else "failed"
    return Result(f"{words}{room}{busy}", tuple(health.of_selftest(test)))


def secure_element(patient: Patient) -> Result:
    """The secure element proves that the device is genuine."""
    try:
        attestation = patient.hem.admin.attestation()
    except HemRequestRefused:
        return Result("this model has none", state=State.NOT_USED)
    except HemDeviceFault as error:
        if error.status == 409:
            cause = "an installation of firmware or dashboard is in progress"
            advice = "wait; if it does not end: hem device reboot"
            return Result(cause, (Finding(Level.WARNING, "installation-in-progress", cause, advice),))
        finding = Finding(
            Level.FAULT, "secure-element-failed", str(error), "hem device reboot; then ask the vendor"
        )
        return Result("it failed", (finding,))
    findings = tuple(health.of_attestation(attestation))
    return Result("it has no certificate yet" if findings else "it has its certificate", findings)


def log(patient: Patient) -> Result:
    """The newest file of the log that is finished is whole and genuine."""
    by_phone = _by_phone(patient)
    if by_phone is not None:
        return by_phone
    audit = patient.hem.audit
    try:
        files = audit.files()
    except HemRequestRefused:
        return Result("this model keeps no files", state=State.NOT_USED)
    if len(files) < 2:
        return Result("no file is finished yet: the first is being written", state=State.NOT_USED)
    newest = files[-2]
    report = audit.verify(newest)
    findings = tuple(health.of_log(newest, report.problems, [each.number for each in report.records]))
    return Result(
        f"{len(files)} files; {newest} has {len(report.records)} records, all genuine"
        if not findings
        else f"log {newest} is not as it was written",
        findings,
    )
