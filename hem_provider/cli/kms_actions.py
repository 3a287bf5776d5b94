"""What ``hem kms serve`` does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hem_provider.agent.listeners import remove_dead
from hem_provider.cli.choosing import device_of, named_key
from hem_provider.cli.login import logged_in
from hem_provider.cli.shape import Given
from hem_provider.cli.stopping import signalled
from hem_provider.config.login_source import CONFIGURABLE
from hem_provider.device.hem import Hem
from hem_provider.errors import HemLoginRequired

__all__ = ["serve"]

#: Seconds that requests have to end when it is stopped.
_GRACE = 2.0


def serve(options: Given) -> int:
    """``hem kms serve``: its exit status, once it is told to stop."""
    from hem_provider.adapters.kms import service  # what is missing for it is told before anybody logs in
    from hem_provider.adapters.kms.envelope import Envelopes

    path: Path = options.socket.absolute()
    with logged_in(device_of(options.device, *options.keys), mobile=options.mobile) as hem:
        keys = [named_key(hem, each) for each in options.keys]
        envelopes = Envelopes(hem, keys)
        remove_dead(path, "stop what serves there, or give another --socket")
        with signalled() as wait:
            server = service.serve(envelopes, path, lambda: _check_login(hem))
            try:
                print(f"key {envelopes.key_id} ({keys[0].label}) serves on {path}", flush=True)
                wait()
            finally:
                server.stop(_GRACE).wait()
                with suppress(FileNotFoundError):
                    path.unlink()
    return 0


def _check_login(hem: Hem) -> None:
    if not hem.session.has_any_login:  # an agent that was relied on may be locked by now
        raise HemLoginRequired(
            f"{hem.config.name}: no login is at hand; run 'hem agent unlock', or configure {CONFIGURABLE}"
        )
