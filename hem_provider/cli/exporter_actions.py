"""What ``hem exporter`` does: serve the page, or print it."""

from __future__ import annotations

import sys
import threading

from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, UsageFault
from hem_provider.cli.stopping import signalled
from hem_provider.config import DeviceConfig, load_config

__all__ = ["serve"]

#: Seconds that the one page of ``--once`` is waited for: a device's first answers, with a login.
_ONCE = 120.0


def serve(options: Given) -> int:
    """``hem exporter``: its exit status."""
    from hem_provider.exporter.page import page
    from hem_provider.exporter.serving import Server, parse_address
    from hem_provider.exporter.watching import Watch

    try:
        address = parse_address(options.listen, network=options.network)
    except ValueError as error:
        raise UsageFault(f"--listen: {error}") from None
    watch = Watch(
        _devices(options),
        interval=options.interval,
        self_test=options.self_test,
        labels=options.labels,
    )
    try:
        if options.once:
            sys.stdout.write(page(watch.samples(_ONCE))[1].decode())
            return DONE
        server = Server(address, lambda within, accepted: page(watch.samples(within), accepted))
        serving = threading.Thread(target=server.serve, name="hem exporter", daemon=True)
        serving.start()
        with signalled() as wait:
            print(server.url, flush=True)
            wait()
            server.stop()
        serving.join()
    finally:
        watch.close()
    return DONE


def _devices(options: Given) -> tuple[DeviceConfig, ...]:
    config = load_config()
    chosen = tuple(config.device(name) for name in dict.fromkeys(options.device))
    if not chosen and not config.devices:
        config.device(None)  # says what is missing
    return chosen or config.devices
