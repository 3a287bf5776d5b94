"""What a device or the way to it may do in the middle of an operation."""

from __future__ import annotations

import json

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import aead
from support.rawkeys import raw_key
from support.traffic import LostRequest

from hem_provider.emulator import knobs
from hem_provider.errors import (
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemOperationFailed,
    HemProtocolError,
)
from hem_provider.symmetric import AESGCM, HMAC, aes_key_unwrap, aes_key_wrap, open, seal


@pytest.fixture
def key(hem):
    key = hem.keys.create("AES256", label="db", usage={"aead"})
    seal(key, b"warm")
    return key


def after_calls(rig, number, fault):
    """Let ``number`` encryptions pass, then one fault (and one for the repetition)."""

    def again(left):
        if left:
            rig.fault("POST /api/crypto/cipher/encrypt", lambda: again(left - 1))
        else:
            rig.fault("POST /api/crypto/cipher/encrypt", fault)
            rig.fault("POST /api/crypto/cipher/encrypt", fault)

    again(number)


def test_a_connection_lost_for_good_in_a_long_message_releases_nothing(rig, key):
    after_calls(rig, 2, LostRequest)
    with pytest.raises(
        HemConnectionError, match="AES-GCM stopped after 4064 of 9000 bytes, nothing was released"
    ):
        AESGCM(key).encrypt(bytes(12), bytes(9000), None)
    assert len(AESGCM(key).encrypt(bytes(12), bytes(9000), None)) == 9016


def test_a_connection_lost_once_goes_unnoticed(rig, key):
    rig.fault("POST /api/crypto/cipher/encrypt", LostRequest)
    sealed = AESGCM(key).encrypt(bytes(12), bytes(9000), None)
    assert sealed == aead.AESGCM(raw_key(rig.device, key.kid)).encrypt(bytes(12), bytes(9000), None)


def test_a_device_that_stops_working_in_a_long_message_says_how_far_it_got(rig, key):
    after_calls(rig, 1, 409)
    with pytest.raises(HemDeviceFault, match="stopped after 2016 of 9000 bytes"):
        AESGCM(key).encrypt(bytes(12), bytes(9000), None)


def test_a_reboot_in_a_long_message_is_recovered_by_one_login(hem, rig, key):
    logins = hem.statistics.logins
    rig.fault("POST /api/crypto/cipher/encrypt", rig.reboot)
    assert len(AESGCM(key).encrypt(bytes(12), bytes(9000), None)) == 9016
    assert hem.statistics.logins == logins + 1


def test_additional_data_the_device_does_not_authenticate_are_bound_all_the_same(hem, rig, key):
    with rig.device.model.transaction():
        knobs.set_quirk(rig.device.model, "U4", "off")
    aad = bytes(range(40))
    device_form = hem.encrypt(key.kid, b"data", "AES256-GCM", aad=aad)
    assert (
        hem.decrypt(key.kid, device_form.ciphertext, "AES256-GCM", iv=device_form.iv, tag=device_form.tag,
                    aad=aad[:16])
        == b"data"
    )  # fmt: skip
    for used in (aad[:17], aad):
        sealed = seal(key, b"data", used)
        assert open(key, sealed, used) == b"data"
        with pytest.raises(InvalidTag):
            open(key, sealed, used[:-1] + b"\xff")
        with pytest.raises(InvalidTag):
            open(key, sealed, used[:16])


def short(line, body):
    """A device whose answers have the wrong size."""
    if not line.startswith("POST /api/crypto/"):
        return body
    return json.dumps(dict.fromkeys(json.loads(body), "c2hvcnQ=")).encode()  # "short"


def test_answers_of_the_wrong_size_are_protocol_errors_not_results(hem, rig):
    key = hem.keys.create("AES256", label="all", usage={"aead", "cipher", "wrap"})
    mac = HMAC(hem.keys.create("SHA2-256", label="mac"), hashes.SHA256())
    mac.update(b"data")
    sealed, wrapped = seal(key, b"data"), aes_key_wrap(key, bytes(16))
    rig.alter = short
    for operation in (
        lambda: AESGCM(key).encrypt(bytes(12), b"data", None),
        lambda: seal(key, b"data!"),
        lambda: open(key, sealed),
        lambda: aes_key_wrap(key, bytes(16)),
        lambda: aes_key_unwrap(key, wrapped),
        lambda: hem.decrypt(key.kid, bytes(16), "AES256-ECB"),
    ):
        with pytest.raises(HemProtocolError, match=r"field '\w+': \d bytes; accepted: \d+"):
            operation()
    with pytest.raises(HemProtocolError, match="'mac': 5 bytes; accepted: 32"):
        mac.finalize()


def test_the_device_s_own_forms_by_kid(hem, key):
    """``Hem``'s methods under this package: refusals are told apart from missing keys."""
    for algorithm in ("AES128-CBC", "AES256-CBC"):
        ciphertext, iv, tag = hem.encrypt(key.kid, b"data", algorithm)
        assert tag is None
        assert hem.decrypt(key.kid, ciphertext, algorithm, iv=iv) == b"data"
    with pytest.raises(HemOperationFailed, match=f"{key.kid} is there but does not decrypt"):
        hem.decrypt(key.kid, bytes(16), "AES256-GCM", iv=bytes(16), tag=bytes(16))
    with pytest.raises(HemOperationFailed, match="does not unwrap"):
        hem.unwrap(key.kid, bytes(24), "AES256")
    with pytest.raises(HemError):
        hem.wrap(key.kid, bytes(8), "AES256")
    with pytest.raises(ValueError, match="0 bytes; accepted: 1 to 2048"):
        hem.encrypt(key.kid, b"", "AES256-ECB")
    with pytest.raises(ValueError, match="2065 bytes; the device takes at most 2064"):
        hem.decrypt(key.kid, bytes(2065), "AES256-ECB")
    with pytest.raises(ValueError, match="context: it belongs to a derived key"):
        hem.encrypt(key.kid, b"data", "AES256-CBC", context=b"ctx")
    with pytest.raises(ValueError, match="context: 65 bytes"):
        hem.encrypt(key.kid, b"data", "AES256-CBC", peer=bytes(32), context=bytes(65))
    mac = hem.keys.create("SHA2-256", label="mac")
    assert hem.hmac_verify(mac.kid, b"data", hem.hmac(mac.kid, b"data")) is True
    assert hem.hmac_verify(mac.kid, b"data", bytes(32)) is False
