"""The one way of all commands to a device that is logged in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.config import load_config
from hem_provider.device.asking import log_in
from hem_provider.device.hem import Hem
from hem_provider.records import replace

__all__ = ["logged_in"]


@contextmanager
def logged_in(
    name: str | None, *, mobile: bool = False, agent: bool = True, scope: str = "keymgmt:list"
) -> Iterator[Hem]:
    """The device called ``name``, or the only one, as long as the block lasts.

    ``scope``: what the command needs first; a passphrase that is typed is proven with it, which saves a
    login.

    The login comes from where ``config.login_source`` says, a person at the terminal being asked last;
    with ``mobile`` from a phone alone, past agent, file and command; without ``agent`` it goes its own way.
    ``HemConfigError``, ``HemLoginRequired``, and what a login raises.
    """
    config = load_config().device(name)
    if mobile or not agent:
        config = replace(config, agent="never")
    if mobile:
        config = replace(config, auth="mobile")
    with Hem(config) as hem:
        log_in(hem, scope=scope)
        yield hem
