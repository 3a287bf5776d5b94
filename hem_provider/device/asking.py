"""A login for programs that have a person at the terminal: commands and the keyring."""

from __future__ import annotations

from hem_provider.config.login_source import LoginSource, ask_passphrase, login_source
from hem_provider.device.hem import Hem

__all__ = ["log_in"]


def log_in(hem: Hem, *, scope: str = "keymgmt:list") -> None:
    """See to it that the device's next call finds a login, in the order of ``config.login_source``.

    A person is asked, and the passphrase proven with ``scope``, only where nothing else is there; what else
    there is logs in by itself when it is needed. ``HemLoginRequired`` where nobody can be asked comes with
    that, too. ``HemAuthenticationError`` for a passphrase that the device does not accept.
    """
    given = hem.session.has_credential  # an agent that was relied on may be locked by now
    source = login_source(hem.config, given=given, agent=not given and hem.agent_ready, may_ask=True)
    if source is LoginSource.PROMPT:
        hem.login(ask_passphrase(hem.config), scope=scope)
