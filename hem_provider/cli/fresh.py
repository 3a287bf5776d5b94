"""The way of commands to a device that may be factory-fresh, which does some things without a login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hem_provider.cli.login import logged_in
from hem_provider.config import load_config
from hem_provider.device.hem import Hem
from hem_provider.records import replace

__all__ = ["fresh_or_logged_in"]


@contextmanager
def fresh_or_logged_in(name: str | None, *, mobile: bool = False, scope: str) -> Iterator[Hem]:
    """As ``login.logged_in``, but nobody is asked to log in to a device that is factory-fresh. To find that
    out costs a call."""
    config = load_config().device(name)
    with Hem(config) as hem:
        fresh = not hem.status().initialized
    if not fresh:
        with logged_in(name, mobile=mobile, scope=scope) as hem:
            yield hem
        return
    without = replace(config, auth="passphrase", passphrase_file=None, passphrase_command=None, agent="never")
    with Hem(without) as hem:
        yield hem
