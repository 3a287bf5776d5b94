"""A login for programs that have a person at the terminal: commands and the keyring."""

from __future__ import annotations

from hem_provider.config import login_source
from hem_provider.config.login_source import ask_passphrase
from hem_provider.device.hem import Hem

__all__ = ["log_in"]


def log_in(hem: Hem, *, scope: str = "keymgmt:list") -> None:
    """See to it that the device's next call finds a login, in the order of ``config.login_source``.

    A person is asked, and the passphrase proven with ``scope``, only where nothing else is there; what else
    there is logs in by itself when it is needed. ``HemLoginRequired`` where nobody can be asked comes with
    that, too. ``HemAuthenticationError`` for a passphrase that the device does not accept.
    """
    if hem.next_login is None and login_source.can_ask():
        hem.login(ask_passphrase(hem.config), scope=scope)
