"""What ``hem passphrase`` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hem_provider.cli.confirming import show
from hem_provider.cli.login import prove_owner
from hem_provider.cli.newpassphrase import new_passphrase
from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import DeviceConfig, load_config
from hem_provider.config.login_source import ask_hidden, can_ask
from hem_provider.config.passphrase import passphrase_from_file
from hem_provider.device.hem import Hem, Role
from hem_provider.errors import HemConfigError, HemError, HemLoginRequired

__all__ = ["change"]

_SCOPE = "system:config"


def change(options: Given) -> int:
    """``hem passphrase``: its exit status."""
    config = load_config().device(options.device)
    with Hem(config) as hem:
        if options.master or options.master_file is not None:
            _prove_master(hem, options.master_file)
            present = None
        else:
            present = prove_owner(hem, _SCOPE)
        identity = hem.identity
        new = new_passphrase(
            f"new passphrase of HEM {config.name}",
            file=options.new_file,
            option="--new-file",
            about=(config.name, identity.label if identity is not None else ""),
            weak=options.weak,
        )
        if new == present:
            raise HemConfigError(f"{config.name}: that is the present passphrase; nothing was changed")
        in_agent = hem.agent_ready
        hem.admin.change_passphrase(new)
    to_do = list(_to_do(config, new, options.new_file, in_agent=in_agent))
    if options.json:
        print_json({"device": config.name, "changed": True, "agent_locked": in_agent, "to_do": to_do})
        return 0
    show(f"{config.name}: the passphrase is changed.")
    for line in to_do:
        show(line)
    return 0


def _prove_master(hem: Hem, file: Path | None) -> None:
    """Log in by the master secret, which may give the user another passphrase."""
    if file is not None:
        secret = passphrase_from_file(file)
    elif can_ask():
        secret = ask_hidden(f"Master secret of HEM {hem.config.name} (24 words or a passphrase): ")
    else:
        raise UsageFault("there is no terminal to ask for the master secret on: give --master-file FILE")
    if not secret.strip():
        raise HemLoginRequired(f"{hem.config.name}: no master secret was typed")
    try:
        hem.login(secret.strip(), role=Role.MASTER, scope=_SCOPE)
    except ValueError as error:  # of words; it does not tell them
        raise HemConfigError(f"the master secret: {error}") from None


def _to_do(config: DeviceConfig, new: str, new_file: Path | None, *, in_agent: bool) -> Iterator[str]:
    """What is left to the owner, a sentence each."""
    if in_agent:
        yield "The agent has forgotten the former one: hem agent unlock"
    if config.passphrase_file is not None and not _holds(config.passphrase_file, new):
        instead = f", or set passphrase_file to {new_file.absolute()}" if new_file is not None else ""
        yield f"{config.passphrase_file} holds the former one still: write the new one into it{instead}."
    if config.passphrase_command is not None:
        yield f"See to it that passphrase_command ({config.passphrase_command[0]}) gives the new one."


def _holds(file: Path, passphrase: str) -> bool:
    try:
        return passphrase_from_file(file) == passphrase
    except HemError:
        return False
