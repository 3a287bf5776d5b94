"""Bech32 (BIP-173): bytes as text that tells when a character was mistyped, without a limit of length.

>>> encode("age", bytes(range(4)))
'age1qqqsyqcy8erar'
>>> decode("age1qqqsyqcy8erar")
('age', b'\\x00\\x01\\x02\\x03')
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["decode", "encode"]

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def encode(prefix: str, data: bytes) -> str:
    """``data`` behind ``prefix``, in the prefix's case: capital letters make the whole of capitals.

    ``prefix``: the human-readable part, 1 or more printable ASCII characters but the blank, of one case.
    ``ValueError`` for any other.
    """
    _check_prefix(prefix)
    lower = prefix.lower()
    values = list(_regrouped(data, 8, 5))
    if len(data) * 8 % 5:
        values.append((data[-1] << (5 - len(data) * 8 % 5)) & 31)
    rest = _checksum([*_expanded(lower), *values, *[0] * _CHECKSUM]) ^ 1
    values += [(rest >> 5 * (_CHECKSUM - 1 - place)) & 31 for place in range(_CHECKSUM)]
    text = f"{lower}1{''.join(_ALPHABET[each] for each in values)}"
    return text if prefix == lower else text.upper()


def decode(text: str) -> tuple[str, bytes]:
    """The prefix as it was written, and the data.

    ``ValueError`` says what is wrong, and never more of the text than one character: it may be a secret.
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("capital and small letters are mixed")
    prefix, separator, rest = text.rpartition("1")
    if not separator or len(rest) < _CHECKSUM:
        raise ValueError(f"{len(text)} characters without prefix, '1' and {_CHECKSUM} of a checksum")
    _check_prefix(prefix)
    try:
        values = [_VALUES[each] for each in rest.lower()]
    except KeyError as error:
        raise ValueError(f"the character {error} is none of Bech32") from None
    if _checksum([*_expanded(prefix.lower()), *values]) != 1:
        raise ValueError("the checksum does not match: a character is wrong, missing or too many")
    values = values[:-_CHECKSUM]
    unused = len(values) * 5 % 8
    if unused > 4 or (values and values[-1] & ((1 << unused) - 1)):
        raise ValueError("its last bits are no whole byte")
    return prefix, bytes(_regrouped(values, 5, 8))


def _check_prefix(prefix: str) -> None:
    if not prefix or not all(33 <= ord(each) <= 126 for each in prefix):
        raise ValueError(f"a prefix of {len(prefix)} characters; it is of printable ASCII, without a blank")
    if prefix not in (prefix.lower(), prefix.upper()):
        raise ValueError("a prefix of capital and small letters")


def _regrouped(values: Iterable[int], wide: int, narrow: int) -> Iterable[int]:
    """The bits of numbers of ``wide`` bits as numbers of ``narrow`` bits, as far as they are whole."""
    held = bits = 0
    for each in values:
        held, bits = (held << wide | each) & 0xFFF, bits + wide
        while bits >= narrow:
            bits -= narrow
            yield held >> bits & ((1 << narrow) - 1)


def _expanded(prefix: str) -> list[int]:
    return [*(ord(each) >> 5 for each in prefix), 0, *(ord(each) & 31 for each in prefix)]


def _checksum(values: Iterable[int]) -> int:
    found = 1
    for each in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ each
        for place, generator in enumerate(_GENERATOR):
            if top >> place & 1:
                found ^= generator
    return found
