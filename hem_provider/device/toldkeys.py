"""Keys that are known from elsewhere, as from a file that names one."""

from __future__ import annotations

from hem_provider.device.key import Key
from hem_provider.device.listing import Listing
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import check_public, kid_of
from hem_provider.rest.keymgmt import KeyMaterial

__all__ = ["told_of"]


def told_of(listing: Listing, kid: str, type: str, public: bytes | None) -> Key:
    """See ``KeyInventory.told_of``."""
    if type not in KEY_TYPES:
        raise ValueError(f"type: {type!r}; accepted: {', '.join(KEY_TYPES)}")
    if public is not None:
        check_public(KEY_TYPES[type], public)
        if kid_of(public) != kid:
            raise ValueError(f"public: {len(public)} bytes that are not the public half of key {kid}")
    key = listing.known(kid)
    if key is None:
        listed = next((each for each in listing.cached() if each.kid == kid), None)
        material = KeyMaterial(type, public, None, None)
        key = listing.keep(listing.new(kid, material=material)) if listed is None else listing.recall(listed)
    if public is not None:
        key.learn_public(public)
    return key
