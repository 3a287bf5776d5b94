"""The one way of all commands to a device that is logged in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.config import DeviceConfig, load_config, read_passphrase
from hem_provider.config.login_source import CONFIGURABLE, LoginSource, ask_passphrase, login_source
from hem_provider.device.asking import log_in
from hem_provider.device.hem import Hem
from hem_provider.errors import HemLoginRequired
from hem_provider.records import replace

__all__ = ["logged_in", "login_at_hand", "prove_owner"]


@contextmanager
def logged_in(
    name: str | None, *, mobile: bool = False, agent: bool = True, scope: str = "keymgmt:list"
) -> Iterator[Hem]:
    """The device called ``name``, or the only one, as long as the block lasts.

    ``scope``: what the command needs first; a passphrase that is typed is proven with it, which saves a
    login.

    The login comes from where ``config.login_source`` says, a person at the terminal being asked last;
    with ``mobile`` from a phone alone, past agent, file and command; without ``agent`` it goes its own way.
    ``HemConfigError``, what a login raises, and ``HemLoginRequired``, which says what a person can do about
    it where there is no terminal.
    """
    with Hem(_configured(name, mobile=mobile, agent=agent)) as hem:
        log_in(hem, scope=scope)
        with _told_to_people(hem):
            yield hem


@contextmanager
def login_at_hand(name: str | None, *, mobile: bool = False) -> Iterator[Hem]:
    """As ``logged_in`` without the agent, but nothing is proven to the device yet: for what has to come
    before that, as with a device whose certificate has expired. ``HemConfigError``, ``HemLoginRequired``."""
    config = _configured(name, mobile=mobile, agent=False)
    source = login_source(config, may_ask=True)
    ask = source in (None, LoginSource.PROMPT)
    with Hem(config, passphrase=ask_passphrase(config) if ask else None) as hem:
        yield hem


def _configured(name: str | None, *, mobile: bool, agent: bool) -> DeviceConfig:
    config = load_config().device(name)
    if mobile or not agent:
        config = replace(config, agent="never")
    return replace(config, auth="mobile") if mobile else config


def prove_owner(hem: Hem, scope: str) -> str:
    """Log in to the device itself by the passphrase, for what it lets neither a phone nor an agent do; the
    passphrase.

    It is the configured one, else a person at the terminal is asked. Raises what a login raises.
    """
    config = replace(hem.config, auth="passphrase")
    there = login_source(config) in (LoginSource.FILE, LoginSource.COMMAND)
    passphrase = read_passphrase(config) if there else None
    if passphrase is None:
        passphrase = ask_passphrase(config)
    hem.login(passphrase, scope=scope, by_device=True)
    return passphrase


@contextmanager
def _told_to_people(hem: Hem) -> Iterator[None]:
    """Of a login that has no source the library tells what a program can do about it; here, a person."""
    try:
        yield
    except HemLoginRequired:
        if login_source(hem.config, agent=hem.agent_ready, may_ask=True) is not None:
            raise
        raise HemLoginRequired(
            f"{hem.config.name}: a login is needed, and there is no terminal to ask on; give --mobile, "
            f"run 'hem agent unlock', or configure a source (HEM_PASSPHRASE_FILE; {CONFIGURABLE})"
        ) from None
