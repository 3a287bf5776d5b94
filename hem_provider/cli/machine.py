"""What this machine has of a device: agent, PKCS#11 module, keyring, ssh. The device is not asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hem_provider.adapters.p11kit import Registration, registrations
from hem_provider.cli.built import MODULE, module_path
from hem_provider.config import DeviceConfig
from hem_provider.config.settings import same_url
from hem_provider.device.cache import DiskCache
from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import home
from hem_provider.records import frozen

__all__ = [
    "AgentSeen",
    "KeyringSeen",
    "Machine",
    "ModuleSeen",
    "SshSeen",
    "agent",
    "keyring",
    "look",
    "module",
    "ssh",
]

#: ssh's own configuration is looked through so far, in bytes.
_MOST_CONFIG = 256 * 1024


@frozen
class AgentSeen:
    """``state``: of the device there, ``None`` where the agent does not serve it; ``reason``: why it is
    locked; ``away``: why no agent is to be had."""

    running: bool
    away: str = ""
    pid: int = 0
    version: str = ""
    state: str | None = None
    reason: str = ""
    memory_hidden: bool = True
    ssh_socket: str | None = None


@frozen
class ModuleSeen:
    """``path``: ``None`` where it is not built. ``registered``: who names a module of ours to p11-kit."""

    path: Path | None
    registered: tuple[Registration, ...]

    @property
    def is_registered(self) -> bool:
        """Whether p11-kit is told of this very module."""
        return any(self.path is not None and _same(each.module, self.path) for each in self.registered)


@frozen
class KeyringSeen:
    """``vault``: ``None`` where there is none. ``installed``: whether ``keyring`` is; ``chosen``: whether it
    keeps passwords in the vault."""

    vault: Path | None
    installed: bool = False
    chosen: bool = False


@frozen
class SshSeen:
    """``in_shell``: whether ssh in this shell asks the agent; ``configured``: whether ``~/.ssh/config`` names
    its socket."""

    socket: str | None
    in_shell: bool
    configured: bool


@frozen
class Machine:
    """All of it. ``checked_in``: Unix seconds of the last check-in from here; ``remembered``: how many
    records of the device's keys are."""

    agent: AgentSeen
    module: ModuleSeen
    keyring: KeyringSeen
    ssh: SshSeen
    checked_in: float | None
    remembered: int | None


def look(config: DeviceConfig) -> Machine:
    """What is here of the device."""
    seen, cache = agent(config), DiskCache(config.url)
    listing = cache.listing()
    remembered = None if listing is None else len(listing.records)
    return Machine(seen, module(), keyring(), ssh(seen.ssh_socket), cache.checked_in(), remembered)


def agent(config: DeviceConfig) -> AgentSeen:
    """The user's agent, by its socket: no call to the device."""
    from hem_provider.agent.calls import AgentCalls

    try:
        told = AgentCalls().status()
    except HemError as error:
        return AgentSeen(running=False, away=str(error))
    served: dict[str, Any] = next((each for each in told["devices"] if same_url(each["url"], config.url)), {})
    return AgentSeen(
        running=True,
        pid=told["pid"],
        version=told["version"],
        state=served.get("state"),
        reason=served.get("reason", ""),
        memory_hidden=told["memory_hidden"],
        ssh_socket=told["ssh_socket"],
    )


def module() -> ModuleSeen:
    """The PKCS#11 module, and what p11-kit is told of it."""
    try:
        path: Path | None = module_path()
    except HemConfigError:
        path = None
    return ModuleSeen(path, tuple(registrations(MODULE)))


def keyring() -> KeyringSeen:
    """Whether a vault is there, and whether ``keyring`` uses it."""
    from importlib.util import find_spec

    from hem_provider.adapters.keyring.vault.store import default_path, is_vault

    try:
        path = default_path()
    except HemConfigError:
        return KeyringSeen(None)
    if not is_vault(path):
        return KeyringSeen(None)
    if find_spec("keyring") is None:
        return KeyringSeen(path)
    from hem_provider.cli.keyring_actions import keyring_uses_us

    return KeyringSeen(path, installed=True, chosen=keyring_uses_us())


def ssh(socket: str | None) -> SshSeen:
    """Who asks the agent's socket for SSH."""
    if socket is None:
        return SshSeen(None, in_shell=False, configured=False)
    place = Path(socket)
    named = os.environ.get("SSH_AUTH_SOCK", "")
    return SshSeen(socket, bool(named) and _same(Path(named), place), _configured(place))


def _configured(socket: Path) -> bool:
    place = home()
    if place is None:
        return False
    try:
        with (place / ".ssh" / "config").open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_CONFIG)
    except OSError:
        return False
    words = [line.strip().partition(" ") for line in text.split("\n")]
    return any(
        word.lower() == "identityagent" and value.strip().strip('"').replace("%%", "%") == str(socket)
        for word, _, value in words
    )


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
