"""The checks of what this machine has around a device: module, p11-kit, OpenSSL, keyring, agent, caches."""

from __future__ import annotations

import platform
import shutil
import ssl
from collections.abc import Iterator

from hem_provider._version import __version__
from hem_provider.cli import machine
from hem_provider.cli.built import MODULE, module_path
from hem_provider.cli.doctor.checking import Patient, Result, State
from hem_provider.cli.doctor.loading import load_module
from hem_provider.cli.ownpython import own_python
from hem_provider.device import health
from hem_provider.device.cache import DiskCache
from hem_provider.device.health import Finding, Level
from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import cache_home
from hem_provider.installation import install_command, outdated, update_command

__all__ = ["agent", "caches", "firmware", "keyring", "module", "p11kit"]

_BACKEND = "hem_provider.adapters.keyring.HemKeyring"
_FIX = "hem doctor --fix"


def module(patient: Patient) -> Result:
    """The module is built, loads, and shows the device as a token."""
    try:
        path = module_path()
    except HemConfigError as error:
        return Result("not built", (Finding(Level.WARNING, "module-missing", str(error), "make setup"),))
    reached = patient.glance is not None
    loaded = load_module(path, ask=reached)
    if loaded.problem:
        advice = "hem pkcs11 test; HEM_PKCS11_LOG=debug tells more"
        return Result("it does not load", (Finding(Level.FAULT, "module-unusable", loaded.problem, advice),))
    own = own_python(path)
    if own.problem:
        advice = "install what is named; hem pkcs11 info shows what is found"
        finding = Finding(Level.FAULT, "module-without-python", own.problem, advice)
        return Result("programs other than Python cannot use it", (finding,))
    slots = f"{len(loaded.slots)} slot{'s' if len(loaded.slots) != 1 else ''}"
    if not reached or patient.config is None:
        return Result(f"it loads, with {slots}; tokens were not asked for")
    labels = [label for label, _ in loaded.slots]
    wrong = [problem for _, problem in loaded.slots if problem]
    if all(each is None for each in labels) and patient.config is not None:
        cause = wrong[0] if wrong else "it has no slots: another configuration may apply to it"
        return Result("it shows no token", (Finding(Level.FAULT, "token-missing", cause, "hem pkcs11 info"),))
    return Result(f"it loads and lists {', '.join(each for each in labels if each)}")


def p11kit(_: Patient) -> Result:
    """p11-kit, and so GnuTLS, ssh and others, know the module."""
    seen = machine.module()
    for each in seen.registered:
        if not each.module.is_file():
            cause = f"{each.file} names {each.module}, which is not there"
            finding = Finding(Level.FAULT, "registered-module-missing", cause, _FIX, fix="register")
            return Result("a module is registered that is not there", (finding,))
    if seen.is_registered:
        files = ", ".join(str(each.file) for each in seen.registered)
        return Result(f"the module is registered ({files})")
    if seen.registered:
        first = seen.registered[0]
        cause = f"{first.file} names another module: {first.module}"
        finding = Finding(Level.WARNING, "registered-other-module", cause, "hem pkcs11 install --force")
        return Result("another module is registered", (finding,))
    if shutil.which("p11-kit") is None:
        return Result("p11-kit is not installed", state=State.NOT_USED)
    cause = f"programs that go by p11-kit do not know {MODULE}"
    finding = Finding(
        Level.WARNING, "module-not-registered", cause, f"hem pkcs11 install, or: {_FIX}", "register"
    )
    return Result("the module is not registered", (finding,))


def keyring(_: Patient) -> Result:
    """Where there is a vault, ``keyring`` uses it."""
    seen = machine.keyring()
    if seen.vault is None:
        return Result("no vault on this machine", state=State.NOT_USED)
    if not seen.installed:
        cause = f"there is a vault ({seen.vault}), and the package keyring is not installed"
        finding = Finding(Level.WARNING, "keyring-missing", cause, install_command("keyring"))
        return Result("keyring is not installed", (finding,))
    if not seen.chosen:
        cause = f"there is a vault ({seen.vault}), and keyring keeps passwords elsewhere"
        finding = Finding(
            Level.WARNING, "keyring-not-chosen", cause, f"export PYTHON_KEYRING_BACKEND={_BACKEND}"
        )
        return Result("keyring uses another backend", (finding,))
    return Result(f"keyring uses {seen.vault}")


def agent(patient: Patient) -> Result:
    """An agent that runs is of this version, unlocked for the device, and closed to others."""
    device = patient.device
    seen = machine.agent(device)
    if not seen.running:
        if device.agent != "always":
            return Result("none runs", state=State.NOT_USED)
        finding = Finding(Level.FAULT, "agent-away", f'agent = "always", and {seen.away}', "hem agent start")
        return Result("none runs", (finding,))
    findings = []
    if seen.version != __version__:
        cause = f"the agent is of version {seen.version}, and this is {__version__}"
        findings.append(Finding(Level.WARNING, "agent-old", cause, "hem agent stop; hem agent start"))
    if not seen.memory_hidden:
        cause = "other processes of this user may read the agent's memory"
        findings.append(Finding(Level.WARNING, "agent-memory-open", cause, "hem agent status"))
    if seen.state is None:
        cause = f"the agent does not serve {device.url}"
        findings.append(Finding(Level.WARNING, "agent-of-others", cause, "hem agent stop; hem agent start"))
    if seen.state == "locked":
        cause = f"the agent is locked{f': {seen.reason}' if seen.reason else ''}"
        findings.append(Finding(Level.WARNING, "agent-locked", cause, "hem agent unlock"))
    return Result(f"process {seen.pid}, {seen.state or 'not for this device'}", tuple(findings))


def caches(patient: Patient) -> Result:
    """What is remembered of the device is of this very device."""
    place = cache_home()
    if place is None:
        return Result("no place for them", state=State.NOT_USED)
    cache = DiskCache(patient.device.url)
    listing = cache.listing()
    if listing is None:
        if not cache.has_listing:
            return Result("nothing is remembered", state=State.NOT_USED)
        cause = f"the list of keys in {place / 'hem'} cannot be read"
        return Result("damaged", (Finding(Level.WARNING, "cache-damaged", cause, _FIX, "forget-cache"),))
    eid = _identity(patient)
    if eid is not None and eid != listing.eid:
        cause = "what is remembered is of another device, or of this one before it was wiped"
        return Result(
            "of another device", (Finding(Level.WARNING, "cache-of-another", cause, _FIX, "forget-cache"),)
        )
    return Result(f"{len(listing.records)} records are remembered in {place / 'hem'}")


def _identity(patient: Patient) -> str | None:
    if patient.glance is None:
        return None
    try:
        identity = patient.hem.identity or patient.hem.probe()
    except HemError:
        return None
    return identity.eid


def firmware(patient: Patient) -> Result:
    """Nothing here is of a version that is known to be faulty, or too old."""
    ours = f"hem-provider {__version__}, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    old = tuple(_outdated())
    if patient.glance is None:
        return Result(f"{ours}; the firmware was not asked for", old)
    version = patient.hem.version()
    release = ".".join(map(str, health.release_of(version.firmware)))
    known = health.WORKED_AROUND.get(release, ())
    defects = f" ({len(known)} known defects, which this software makes good)" if known else ""
    return Result(f"{version.firmware}{defects}; {ours}", (*health.of_version(version), *old))


def _outdated() -> Iterator[Finding]:
    for name, found, needed in outdated():
        cause = f"{name} {found} is installed, and hem-provider needs {needed} or newer"
        yield Finding(Level.WARNING, "package-old", cause, update_command([f"{name}>={needed}"]))
