"""The 24 words of a master secret (BIP39, English): checked against the list and their checksum.

The words are the secret: errors name a word by its place only.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnemonic import Mnemonic

__all__ = ["WORDS", "entropy_of", "load", "looks_like_words", "looks_torn", "new_phrase", "phrase_of"]

#: Words of 256 bits of entropy and 8 of checksum.
WORDS = 24
#: So few may be a passphrase by chance.
_SOME = 4


@functools.cache
def load() -> Mnemonic:
    """The English list; read once, when the first master secret of words is used."""
    from mnemonic import Mnemonic

    return Mnemonic("english")


def new_phrase() -> str:
    """24 words for 32 bytes from the system's random numbers."""
    return str(load().to_mnemonic(os.urandom(32)))


def looks_like_words(secret: str) -> bool:
    """Whether a secret is meant as a mnemonic: it is 24 words, good or not."""
    return len(secret.split()) == WORDS


def looks_torn(secret: str) -> bool:
    """Whether a secret seems to be a part of a mnemonic, or one of another size: some words that are in the
    list, but one at most, which may be cut or misspelt."""
    given = _split(secret)
    known = set(load().wordlist)
    return len(given) >= _SOME and len(given) != WORDS and sum(word not in known for word in given) <= 1


def phrase_of(words: str) -> str:
    """The words as BIP39 writes them: lower case, single spaces.

    ``ValueError`` for another number of words, a word that is not in the list, or a wrong checksum:
    a word that is misspelt, missing or out of its place.
    """
    _checked(words)
    return " ".join(_split(words))


def entropy_of(words: str) -> bytes:
    """The 32 bytes that the words stand for; ``ValueError`` as ``phrase_of``."""
    return _checked(words)


def _split(words: str) -> list[str]:
    import unicodedata  # a library of a megabyte, for master secrets of words alone

    return unicodedata.normalize("NFKD", words).lower().split()


def _checked(words: str) -> bytes:
    given = _split(words)
    if len(given) != WORDS:
        raise ValueError(f"mnemonic: {len(given)} words; accepted: {WORDS}")
    known = load()
    wrong = [place for place, word in enumerate(given, 1) if word not in known.wordlist]
    if wrong:
        places = ", ".join(map(str, wrong))
        raise ValueError(f"mnemonic: not in the BIP39 word list: word {places} of {WORDS}")
    try:
        return bytes(known.to_entropy(given))
    except ValueError:
        raise ValueError(
            "mnemonic: the checksum is wrong: a word is another one, or words are out of their order"
        ) from None
