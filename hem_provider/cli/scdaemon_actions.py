"""What ``hem scdaemon`` does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hem_provider import logs
from hem_provider.adapters.scdaemon import serve
from hem_provider.cli.gpg.programs import version
from hem_provider.cli.gpg.shelf import DeviceShelf
from hem_provider.cli.gpg.term import limits_of
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import DeviceConfig, load_config
from hem_provider.device.hem import Hem
from hem_provider.files import runtime_folder

__all__ = ["run"]


def run(options: Given) -> int:
    """``hem scdaemon``: its exit status."""
    if not options.server and not options.multi_server:
        raise UsageFault("gpg-agent starts this: give --multi-server, or --server for one conversation")
    config = load_config()
    devices = [config.device(options.device)] if options.device is not None else list(config.devices)
    devices = devices or [config.device()]  # says what to configure
    folder = runtime_folder() if options.multi_server else None
    with _log(options.log_file):
        _serve(options, devices, folder)
    return 0


def _serve(options: Given, devices: Sequence[DeviceConfig], folder: str | None) -> None:
    serve(
        DeviceShelf([Hem(each) for each in devices], options.prefer, lambda: limits_of(options.homedir)),
        sys.stdin.buffer,
        sys.stdout.buffer,
        version=version,
        folder=None if folder is None else Path(folder),
    )


@contextmanager
def _log(path: Path | None) -> Iterator[None]:
    """Messages go to the end of this file as long as the block lasts."""
    if path is None:
        yield
        return
    with path.open("a", encoding="utf-8", buffering=1) as file:

        def take(_: int, text: str) -> None:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")

        logs.send_to(take)
        try:
            yield
        finally:
            logs.send_to(None)
