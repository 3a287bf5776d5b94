"""Where a login comes from: decided here for key objects, module, keyring, engine and commands.

In this order, the first that there is:

1. what the caller gives: ``passphrase=``, ``login()``, the PIN of ``C_Login``, of an engine's URI or command;
2. the user's agent, where one runs that is unlocked for the device (``agent`` of the configuration);
3. with ``auth = "mobile"`` the approval on a paired phone: no passphrase is read or asked for then;
4. ``passphrase_file``;
5. ``passphrase_command`` (a configuration that has both is refused);
6. a person at the terminal, where the caller may ask: commands and the keyring do, libraries never.

A source that fails is an error; the next one is not tried, since a refused login costs the device's patience.
An agent that is locked, or that ends, is none.
"""

from __future__ import annotations

import sys
from enum import Enum

from hem_provider.config.model import DeviceConfig
from hem_provider.config.passphrase import passphrase_from_command, passphrase_from_file
from hem_provider.errors import HemConfigError, HemLoginRequired

__all__ = [
    "CONFIGURABLE",
    "LoginSource",
    "ask_hidden",
    "ask_passphrase",
    "can_ask",
    "login_source",
    "read_passphrase",
]

#: What a configuration can name, for messages; the engine's C code says the same.
CONFIGURABLE = 'passphrase_file, passphrase_command or auth = "mobile"'


class LoginSource(Enum):
    """The ways to a login."""

    GIVEN = "given"
    AGENT = "agent"
    PHONE = "phone"
    FILE = "file"
    COMMAND = "command"
    PROMPT = "prompt"


def login_source(
    device: DeviceConfig, *, given: bool = False, agent: bool = False, may_ask: bool = False
) -> LoginSource | None:
    """The source of the device's next login, or ``None`` where there is none. No I/O.

    ``given``: the caller has a secret. ``agent``: one is unlocked for the device, as
    ``LoginSession.agent_ready`` tells. ``may_ask``: the caller may ask a person, which is done only where
    there is a terminal.
    """
    sources = (
        (LoginSource.GIVEN, given),
        (LoginSource.AGENT, agent),
        (LoginSource.PHONE, device.auth == "mobile"),
        (LoginSource.FILE, device.passphrase_file is not None),
        (LoginSource.COMMAND, device.passphrase_command is not None),
        (LoginSource.PROMPT, may_ask and can_ask()),
    )
    return next((source for source, there in sources if there), None)


def read_passphrase(device: DeviceConfig) -> str | None:
    """The passphrase from the device's configured file or command, or ``None`` where neither is the
    source of its logins.

    Read afresh each time and never kept. One trailing line end is removed. Raises
    ``HemConfigError`` when the file or command fails, gives nothing, or others may write it.
    """
    source = login_source(device)
    if source is LoginSource.FILE and device.passphrase_file is not None:
        return passphrase_from_file(device.passphrase_file)
    if source is LoginSource.COMMAND and device.passphrase_command is not None:
        return passphrase_from_command(device.passphrase_command)
    return None


def ask_passphrase(device: DeviceConfig) -> str:
    """Ask the person at the terminal for the passphrase of a device, without echo.

    ``HemLoginRequired`` when there is no terminal to ask on, or nothing was typed.
    """
    if not can_ask():
        raise HemLoginRequired(
            f"{device.name}: no source of a login is configured (HEM_PASSPHRASE_FILE; {CONFIGURABLE}), "
            "and there is no terminal to ask on"
        )
    try:
        passphrase = ask_hidden(f"Passphrase of HEM {device.name} ({device.url}): ")
    except EOFError:
        passphrase = ""
    if not passphrase:
        raise HemLoginRequired(f"{device.name}: no passphrase was typed")
    return passphrase


def ask_hidden(prompt: str) -> str:
    """The line that a person types after ``prompt``, without echo. ``EOFError``; ``HemConfigError`` where it
    is no text in the terminal's encoding: nothing of it is told."""
    import getpass

    try:
        typed = getpass.getpass(prompt)
        typed.encode("utf-8")
    except UnicodeError:
        raise HemConfigError(
            "what was typed is no text in the encoding of this terminal; nothing was done with it"
        ) from None
    return typed


def can_ask() -> bool:
    """Whether a person is there: a program without a terminal gets an error instead of a prompt."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()
