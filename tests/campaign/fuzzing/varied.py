"""Inputs without a fuzzer: seeds, and seeds that were cut, joined and changed by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["varied"]


def varied(seeds: Sequence[bytes], count: int, *, seed: int = 1) -> Iterator[bytes]:
    """All ``seeds``, then ``count`` more; the same for the same ``seed``."""
    yield from seeds
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    for _ in range(count):
        text = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4))):
            _change(text, seeds, chance)
        yield bytes(text)


def _change(text: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    place, pick = chance.randrange(len(text) + 1), chance.random()
    if pick < 0.3:
        text[place : place + 1] = bytes([chance.randrange(256)])
    elif pick < 0.5:
        text[place:place] = chance.randbytes(chance.randrange(4))
    elif pick < 0.7:
        del text[place : place + chance.randrange(8)]
    elif pick < 0.9:
        other = chance.choice(seeds)
        text[place:] = other[chance.randrange(len(other) + 1) :]
    else:
        text[place:place] = text[: chance.randrange(len(text) + 1)]
