"""The scope that a login made ahead of any need is best made for, so that no other has to follow."""

from __future__ import annotations

from collections.abc import Callable

from hem_provider.device.key import Key
from hem_provider.device.listing import Listing
from hem_provider.errors import HemAuthenticationError, HemDeviceFault, HemOperationFailed
from hem_provider.rest.keyfields import use_of

__all__ = ["likely_scope"]

_LIST = "keymgmt:list"


def likely_scope(listing: Listing, search: Callable[[], list[Key]], shown: Callable[[Key], bool]) -> str:
    """See ``KeyInventory.likely_scope``. ``search``: for our own keys, without a login; ``shown``: whether
    the configuration shows a key."""
    scope = listing.cache.scope()
    if scope is not None or listing.cache.has_listing or listing.costs_no_login:
        return scope or _LIST
    own = listing.own()
    if own is None:
        try:
            own = search()
        except (HemAuthenticationError, HemOperationFailed, HemDeviceFault):
            own = []
    only = [each for each in own if shown(each)]
    if len(only) == 1:
        return use_of(only[0].kid)
    listing.cache.keep_scope(_LIST)  # so that the next process does not ask again
    return _LIST
