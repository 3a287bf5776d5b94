"""Which key a person means."""

from __future__ import annotations

from contextlib import suppress

from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemKeyNotFound

__all__ = ["named_key"]

#: Most guesses at what is meant.
_MOST = 3


def named_key(hem: Hem, name: str) -> Key:
    """The key with this KID, else with this label.

    ``HemKeyNotFound`` says which label may be meant, ``HemKeyAmbiguous`` names the KIDs.
    """
    with suppress(ValueError):  # it is no KID
        try:
            return hem.keys.get(name)
        except HemKeyNotFound:
            raise HemKeyNotFound(f"{hem.config.name}: no key {name}") from None
    try:
        return hem.keys.find(label=name)
    except HemKeyNotFound as error:
        from difflib import get_close_matches

        labels = sorted({each.label for each in hem.keys})
        meant = [each for each in labels if name and name.casefold() in each.casefold()]
        meant = meant[:_MOST] or get_close_matches(name, labels)
        if not meant:
            raise
        guess = " or ".join(map(repr, meant))
        raise HemKeyNotFound(f"{error}; did you mean {guess}?") from None
