"""Words that people type for what a key is: its type, label, use and id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = ["IDENTIFIER", "LABEL", "TYPE", "USES"]

#: Usual name, without hyphens and in upper case → the device's.
_USUAL: Mapping[str, str] = {
    "P256": "SECP256R1",
    "PRIME256V1": "SECP256R1",
    "P384": "SECP384R1",
    "P521": "SECP521R1",
    "X25519": "CURVE25519",
    "X448": "CURVE448",
    **{f"HMACSHA{bits}": f"SHA2-{bits}" for bits in (256, 384, 512)},
    **{f"HMACSHA3{bits}": f"SHA3-{bits}" for bits in (256, 384, 512)},
}
_HYPHENS = str.maketrans("", "", "-_ ")


class _Type(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    name = "type"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from hem_provider.keytypes import KEY_TYPES

        known = {**{_bare(each): each for each in KEY_TYPES}, **_USUAL}
        found = known.get(_bare(str(value)))
        if found is None:
            from difflib import get_close_matches

            meant = dict.fromkeys(known[each] for each in get_close_matches(_bare(str(value)), known))
            guess = f"did you mean {' or '.join(meant)}?" if meant else f"there are: {', '.join(KEY_TYPES)}."
            self.fail(f"{value!r} is no type of keys; {guess}", param, ctx)
        return found

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from hem_provider.keytypes import KEY_TYPES

        return [CompletionItem(each) for each in KEY_TYPES if _bare(each).startswith(_bare(incomplete))]


class _Label(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    name = "label"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from hem_provider.device.creation import check_label

        try:
            return check_label(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Identifier(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        from hem_provider.device.description import MAX_APPLICATION_ID

        if isinstance(value, bytes):
            return value
        try:
            data = bytes.fromhex(str(value))
        except ValueError:
            data = b""
        if not 1 <= len(data) <= MAX_APPLICATION_ID:
            self.fail(f"{value!r} is not 1 to {MAX_APPLICATION_ID} bytes in hex digits", param, ctx)
        return data


class _Uses(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    """Words with commas between them; which ones a type has is said when the type is known."""

    name = "words"

    def convert(
        self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> frozenset[str]:
        if isinstance(value, frozenset):
            return value
        return frozenset(each.strip() for each in str(value).split(",") if each.strip())


#: A type of keys by the device's name or the usual one; a label for a key; an application's id; uses.
TYPE, LABEL, IDENTIFIER, USES = _Type(), _Label(), _Identifier(), _Uses()


def _bare(name: str) -> str:
    return name.upper().translate(_HYPHENS)
