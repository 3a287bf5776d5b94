"""What shells complete: names of devices and labels of keys. Nothing is asked of a device."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from hem_provider.errors import HemError

__all__ = ["device_names", "key_labels"]


def device_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of the configured devices; none where the configuration cannot be used."""
    from hem_provider.config import load_config

    try:
        devices = load_config().devices
    except (HemError, OSError):
        return []
    return [CompletionItem(each.name, help=each.url) for each in devices if each.name.startswith(incomplete)]


def key_labels(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of the keys that are remembered of the device of ``--device``, or of the only one."""
    from hem_provider.config import load_config
    from hem_provider.device.cache import DiskCache

    try:
        device = load_config().device(ctx.params.get("device"))
        listing = DiskCache(device.url).listing()
    except (HemError, OSError):
        return []
    records = () if listing is None else listing.records
    labels = {each.label: each.type for each in records if _typable(each.label)}
    return [
        CompletionItem(label, help=kind)
        for label, kind in sorted(labels.items())
        if label.startswith(incomplete)
    ]


def _typable(label: str) -> bool:
    """Whether the label names the key where it is typed: it is no option, and acts on no terminal."""
    return label.isprintable() and not label.startswith("-")
