"""What ``hem status`` does: one screen, or one document."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from hem_provider.cli import statuses
from hem_provider.cli.login import logged_in
from hem_provider.cli.marks import Marks, folded
from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.status_document import document
from hem_provider.cli.status_facts import Facts, Inside, gather, look_inside
from hem_provider.cli.wording import (
    ago,
    certificate_line,
    clock_line,
    disks,
    moment,
    size,
    state_line,
    version_line,
)
from hem_provider.config import load_config
from hem_provider.device.health import Level
from hem_provider.device.hem import Hem

__all__ = ["show"]

_TITLE = 13
_NARROW = 60
#: Title of a line → names of findings that make it stand out begin so.
_ABOUT = {
    "certificate": ("certificate", "tls"),
    "clock": ("clock",),
    "firmware": ("firmware",),
    "reached": ("answers", "unreachable", "no-answer", "connection", "answer", "device"),
}

_MODELS = {"PPA": "USB device", "EPA": "rack device"}

#: A line: its title, what it says, and how that is.
Line = tuple[str, str, str]


def show(options: Given) -> int:
    """``hem status``: its exit status."""
    config = load_config().device(options.device)
    with Hem(config) as hem:
        facts = gather(hem)
        calls, logins = hem.statistics.calls, hem.statistics.logins
    inside = None
    if options.login and facts.away is None:
        with logged_in(options.device, mobile=options.mobile, agent=False) as hem:
            inside = look_inside(hem)
            calls, logins = calls + hem.statistics.calls, logins + hem.statistics.logins
    away = statuses.FAILED if facts.reached else statuses.NOT_REACHED
    status = statuses.DONE if facts.away is None else away
    if options.json:
        print_json(document(facts, inside, status, calls, logins))
    else:
        _print(facts, inside)
    return status


def _print(facts: Facts, inside: Inside | None) -> None:
    marks = Marks(sys.stdout)
    kind = "the emulator, which protects nothing" if facts.emulator else "Encedo HEM"
    print(marks.paint(marks.text(f"{facts.config.name}: {kind}"), "1"))
    _write(marks, [*_of_device(facts), *(_of_inside(inside) if inside is not None else ())])
    print()
    print(marks.paint("This machine", "1"))
    _write(marks, list(_of_machine(facts)))
    if facts.findings:
        print()
    indent = marks.width + 1
    for finding in facts.findings:
        lines = folded(marks.text(finding.cause), f"{marks.sign(finding.level)} ", marks.columns, indent)
        if finding.advice:
            arrow = marks.text("→")
            lines += folded(
                marks.text(finding.advice), f"{' ' * indent}{arrow} ", marks.columns, indent + len(arrow) + 1
            )
        print("\n".join(lines))
    if facts.findings:
        print("hem doctor looks further.")


def _write(marks: Marks, lines: list[Line]) -> None:
    for title, text, state in lines:
        sign = marks.sign(state) if state else " " * marks.width
        start, indent = f"{sign} {title:{_TITLE}}", marks.width + 1 + _TITLE
        if marks.columns < _NARROW:
            print(f"{sign} {title}".rstrip())
            start, indent = " " * (marks.width + 3), marks.width + 3
        print("\n".join(folded(marks.text(text), start, marks.columns, indent)))


def _state_of(facts: Facts, title: str) -> str:
    """The worst finding that is about a line."""
    about = _ABOUT.get(title, ())
    levels = [each.level for each in facts.findings if each.name.startswith(about)] if about else []
    return next((str(each) for each in (Level.FAULT, Level.WARNING) if each in levels), "ok")


def _of_device(facts: Facts) -> Iterator[Line]:
    seen, now = facts.certificate, time.time()
    address = f" ({', '.join(facts.address)})" if facts.address else ""
    yield "address", f"{facts.config.url}{address}", ""
    if seen is not None:
        yield "certificate", certificate_line(seen, now), _state_of(facts, "certificate")
    if facts.away is not None or facts.glance is None:
        yield "reached", "yes, but it does not answer as a HEM" if facts.reached else "no", "fault"
        return
    status = facts.glance.status
    if facts.version is not None:
        yield "model", f"{_MODELS[facts.version.model]} ({facts.version.hardware})", ""
        yield "firmware", version_line(facts.version), _state_of(facts, "firmware")
    if facts.identity is not None:
        yield "owner", facts.identity.label or "no name given", ""
        yield "identity", facts.identity.eid, ""
    yield "state", state_line(status), _worst_of_state(facts)
    yield "clock", clock_line(facts.glance), _state_of(facts, "clock")
    yield "check-in", _check_in_line(status.time is not None, facts.machine.checked_in, now), ""
    if status.storage:
        yield "storage", disks(status.storage), ""


def _worst_of_state(facts: Facts) -> str:
    apart = tuple(name for names in _ABOUT.values() for name in names)
    levels = [each.level for each in facts.findings if not each.name.startswith(apart)]
    return next((str(each) for each in (Level.FAULT, Level.WARNING) if each in levels), "ok")


def _check_in_line(is_set: bool, last: float | None, now: float) -> str:
    told = "none from this machine" if last is None else f"from here {ago(now - last)}"
    return f"{'done' if is_set else 'none'} since its last start; {told}"


def _of_inside(inside: Inside) -> Iterator[Line]:
    found = inside.configuration
    yield "serial", found.device_id or "not told", ""
    if found.genuine_id:
        yield "element", f"secure element {found.genuine_id}", ""
    yield "host name", f"{found.hostname}{f' ({found.address})' if found.address else ''}", ""
    yield "e-mail", found.email or "not given", ""
    yield "in use since", moment(found.created), ""
    if found.capacity_sectors:
        yield "card", size(found.capacity_sectors), ""
    flags = {
        "trusted time": found.trusted_time,
        "obeys the cloud": found.trusted_backend,
        "anonymous search": found.anonymous_search,
    }
    yield "settings", ", ".join(f"{name} {'on' if value else 'off'}" for name, value in flags.items()), ""
    yield "origins", found.origin or "none", ""
    total = sum(inside.keys.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in inside.keys.items())
    yield "keys", f"{total}{f': {kinds}' if kinds else ''}", ""
    if inside.log_files is not None:
        yield "log", f"{inside.log_files} file{'s' if inside.log_files != 1 else ''}", ""


_AGENT_STATES = {None: "not for this device", "waiting": "unlocked when it is wanted"}


def _of_machine(facts: Facts) -> Iterator[Line]:
    here = facts.machine
    agent, module, vault, ssh = here.agent, here.module, here.keyring, here.ssh
    state = _AGENT_STATES.get(agent.state, agent.state)
    yield "agent", f"runs (process {agent.pid}), {state}" if agent.running else "none runs", ""
    if module.path is None:
        yield "PKCS#11", "the module is not built", ""
    else:
        known = "known to p11-kit" if module.is_registered else "not known to p11-kit"
        yield "PKCS#11", f"{module.path}, {known}", ""
    if here.remembered is not None:
        told = f"{here.remembered} record{'s' if here.remembered != 1 else ''} of the device's keys"
        yield "remembered", told, ""
    chosen = "keyring uses it" if vault.chosen else "keyring does not use it"
    yield "keyring", f"{vault.vault}, {chosen}" if vault.vault is not None else "no vault", ""
    uses = [text for on, text in ((ssh.in_shell, "this shell"), (ssh.configured, "~/.ssh/config")) if on]
    told = f"by {' and '.join(uses)}" if uses else "the agent is ready, and not used by this shell"
    yield "ssh", told if ssh.socket else "no agent for ssh", ""
