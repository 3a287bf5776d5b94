"""Whether a host is asked over a connection of ours, or needs more than that (``rest/http.py``)."""

from __future__ import annotations

from urllib.parse import urlsplit

from hem_provider.config.model import DeviceConfig

__all__ = ["all_direct", "is_direct"]


def is_direct(url: str, proxy: str | None) -> bool:
    """Neither by a proxy nor by a name that is not ASCII.

    >>> is_direct("https://my.ence.do", None), is_direct("https://straße.example", None)
    (True, False)
    """
    return proxy is None and (urlsplit(url).hostname or "").isascii()


def all_direct(config: DeviceConfig) -> bool:
    """Whether that holds for a device and its cloud service."""
    return is_direct(config.url, None) and is_direct(config.cloud_url, config.cloud_proxy)
