"""Signatures and octet strings."""

from __future__ import annotations

import pytest
from asn1crypto.core import OctetString
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hem_pkcs11.constants import CKR
from hem_pkcs11.encodings import fixed_from_der, octet_string
from hem_pkcs11.returns import Pkcs11Error
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def signatures(draw: st.DrawFn) -> tuple[int, int, int]:
    size = draw(st.sampled_from([32, 48, 66]))
    number = st.integers(1, 2 ** (8 * size) - 1)
    return size, draw(number), draw(number)


@given(signatures())
def test_both_numbers_keep_their_full_width(numbers: tuple[int, int, int]) -> None:
    size, r, s = numbers
    fixed = fixed_from_der(encode_dss_signature(r, s), 2 * size)
    assert len(fixed) == 2 * size
    assert int.from_bytes(fixed[:size], "big") == r
    assert int.from_bytes(fixed[size:], "big") == s


@pytest.mark.parametrize(("r", "s"), [(1, 1), (2**248 - 1, 1), (1, 2**240)])
def test_leading_zeros_are_not_lost(r: int, s: int) -> None:
    assert fixed_from_der(encode_dss_signature(r, s), 64) == r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x30",
        b"\x30\x06\x02\x01\x01\x02\x01",
        b"\x30\x06\x02\x01\x01\x02\x01\x01\x00",
        b"\x30\x07\x02\x01\x01\x02\x01\x01\x00",
        b"\x30\x06\x02\x01\xff\x02\x01\x01",
        b"\x30\x05\x02\x00\x02\x01\x01",
        b"\x31\x06\x02\x01\x01\x02\x01\x01",
        b"\x30\x82\x00\x06\x02\x01\x01\x02\x01\x01",
        encode_dss_signature(2**256, 1),
    ],
)
def test_what_is_no_signature_of_that_size_is_a_device_error(broken: bytes) -> None:
    with pytest.raises(Pkcs11Error) as error:
        fixed_from_der(broken, 64)
    assert error.value.rv == CKR.DEVICE_ERROR


@given(st.binary(max_size=300))
def test_any_bytes_either_convert_or_are_refused(data: bytes) -> None:
    try:
        size, rv = len(fixed_from_der(data, 64)), CKR.DEVICE_ERROR
    except Pkcs11Error as error:
        size, rv = 64, error.rv
    assert (size, rv) == (64, CKR.DEVICE_ERROR)


@given(st.binary(max_size=70_000))
def test_octet_strings_are_der(content: bytes) -> None:
    assert octet_string(content) == OctetString(content).dump()
