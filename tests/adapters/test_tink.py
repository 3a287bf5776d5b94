"""Tink with the AEAD of a device: alone, as what envelopes ask, for encrypted keysets, and by URIs."""

from __future__ import annotations

import pytest

from hem_provider.device.keyuri import uri_of
from hem_provider.errors import (
    HemAuthenticationError,
    HemConnectionError,
    HemKeyAmbiguous,
    HemKeyNotFound,
    MessageTooLong,
)
from hem_provider.symmetric import WrongKeyFamily, WrongKeyType

tink = pytest.importorskip(
    "tink", reason="not run: tink is not installed, which has no wheel for this machine"
)

from tink import aead  # noqa: E402 - where it is there

from hem_provider.adapters.tink import HemAead, HemKmsClient  # noqa: E402

TEMPLATES = {
    name: getattr(aead.aead_key_templates, name)
    for name in ("AES256_GCM", "AES128_CTR_HMAC_SHA256", "XCHACHA20_POLY1305", "AES256_GCM_SIV")
}


@pytest.fixture(scope="module", autouse=True)
def _registered():
    aead.register()


@pytest.fixture
def key(hem):
    made = hem.keys.create("AES256", label="envelope", usage={"aead"})
    hem.login(scope=f"keymgmt:use:{made.kid}")
    return made


@pytest.fixture
def remote(key):
    return HemAead(key)


def calls(hem, operation, *arguments):
    before = hem.statistics.calls
    return operation(*arguments), hem.statistics.calls - before


@pytest.mark.parametrize("associated", [b"", b"row 17", b"a longer one that the device would cut"])
def test_a_message_is_sealed_and_opened_with_one_call_each(hem, remote, associated):
    sealed, count = calls(hem, remote.encrypt, b"message", associated)
    assert count == 1
    assert calls(hem, remote.decrypt, sealed, associated) == (b"message", 1)
    for damaged in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-1], b"", b"x"):
        with pytest.raises(tink.TinkError, match="decryption failed"):
            remote.decrypt(damaged, associated)
    with pytest.raises(tink.TinkError, match="decryption failed"):
        remote.decrypt(sealed, associated + b"x")


@pytest.mark.parametrize("kind", TEMPLATES)
def test_an_envelope_is_one_call_each_way_whatever_its_size(hem, remote, kind):
    envelope = aead.KmsEnvelopeAead(TEMPLATES[kind], remote)
    content = b"quarterly figures\n" * 10_000
    sealed, count = calls(hem, envelope.encrypt, content, b"report")
    assert count == 1
    again = aead.KmsEnvelopeAead(TEMPLATES[kind], HemAead(remote.hem_key))
    assert calls(hem, again.decrypt, sealed, b"report") == (content, 1)
    assert envelope.decrypt(envelope.encrypt(b"", b""), b"") == b""
    for place in (2, 10, -1):  # the size, the wrapped key, the content
        damaged = bytearray(sealed)
        damaged[place] ^= 1
        with pytest.raises(tink.TinkError):
            envelope.decrypt(bytes(damaged), b"report")


def test_a_keyset_is_kept_encrypted_under_the_device(hem, remote, key, tmp_path):
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    ciphertext = handle.primitive(aead.Aead).encrypt(b"message", b"")
    path = tmp_path / "keyset.json"
    with path.open("w") as file:
        before = hem.statistics.calls
        handle.write(tink.JsonKeysetWriter(file), remote)
    assert hem.statistics.calls - before == 2  # Tink opens what it has sealed, to see whether it can
    kept = path.read_text()
    assert "encryptedKeyset" in kept
    read, count = calls(hem, lambda: tink.read_keyset_handle(tink.JsonKeysetReader(kept), remote))
    assert count == 1
    assert read.primitive(aead.Aead).decrypt(ciphertext, b"") == b"message"


@pytest.fixture
def client(hem):
    made = HemKmsClient(hem)
    tink._kms_clients.reset_kms_clients()
    tink.register_kms_client(made)
    yield made
    tink._kms_clients.reset_kms_clients()


def test_keys_are_found_by_uris_that_tink_keeps(hem, client, key):
    uri = uri_of(object="envelope")
    assert client.does_support(uri)
    assert client.get_aead(uri).hem_key == key
    assert client.get_aead(uri_of(id=bytes.fromhex(key.kid), type="secret-key")).hem_key == key
    template = aead.aead_key_templates.create_kms_envelope_aead_key_template(
        uri, aead.aead_key_templates.AES256_GCM
    )
    primitive = tink.new_keyset_handle(template).primitive(aead.Aead)
    assert primitive.decrypt(primitive.encrypt(b"message", b"x"), b"x") == b"message"
    direct = aead.aead_key_templates.create_kms_aead_key_template(uri)
    primitive = tink.new_keyset_handle(direct).primitive(aead.Aead)
    assert HemAead(key).decrypt(primitive.encrypt(b"message", b"x"), b"x") == b"message"


@pytest.mark.parametrize(
    "uri",
    ["aws-kms://arn", "pkcs11:object=%zz", "pkcs11:token=another;object=envelope", "pkcs11:pin-value=1"],
)
def test_uris_of_others_are_left_to_other_clients(client, key, uri):
    assert not client.does_support(uri)
    with pytest.raises(tink.TinkError) as refused:
        client.get_aead(uri)
    assert "pin-value=1" not in str(refused.value)


def test_a_uri_that_means_no_key_or_several_says_so(hem, client, key):
    with pytest.raises(HemKeyNotFound, match="no key is pkcs11:object=other"):
        client.get_aead("pkcs11:object=other")
    with pytest.raises(tink.TinkError, match="names no key"):
        client.get_aead("pkcs11:type=secret-key")
    second = hem.keys.create("AES256", label="envelope", usage={"aead"})
    with pytest.raises(HemKeyAmbiguous, match=second.kid):
        client.get_aead("pkcs11:object=envelope")


@pytest.mark.parametrize("kind", ["SECP256R1", "SHA2-256", "MLKEM768"])
def test_a_key_of_another_type_is_refused_without_a_call(hem, kind):
    key = hem.keys.create(kind, label="no")
    before = hem.statistics.calls
    with pytest.raises(WrongKeyType, match=f"{kind}; accepted: AES128"):
        HemAead(key)
    assert hem.statistics.calls == before


def test_a_key_of_another_family_is_refused_without_a_call(hem):
    key = hem.keys.create("AES256", label="wraps", usage={"wrap"})
    before = hem.statistics.calls
    with pytest.raises(WrongKeyFamily, match="'wrap'"):
        HemAead(key)
    assert hem.statistics.calls == before


def test_sizes_that_the_device_does_not_seal_are_refused_without_a_call(hem, remote):
    before = hem.statistics.calls
    with pytest.raises(MessageTooLong, match="2049.*2048.*envelope"):
        remote.encrypt(bytes(2049), b"")
    with pytest.raises(MessageTooLong, match="2032"):
        remote.encrypt(bytes(2033), bytes(16))
    with pytest.raises(tink.TinkError, match="0 bytes"):
        remote.encrypt(b"", b"")
    assert hem.statistics.calls == before
    assert remote.decrypt(remote.encrypt(bytes(2048), b""), b"") == bytes(2048)


def test_errors_of_the_device_come_through(hem, rig, remote, key):
    envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)
    sealed = envelope.encrypt(b"message", b"")

    def away() -> None:
        raise ConnectionError("no route to the device")

    rig.before_each = away
    for attempt in (lambda: envelope.encrypt(b"message", b""), lambda: envelope.decrypt(sealed, b"")):
        with pytest.raises(HemConnectionError):
            attempt()
    rig.before_each = None
    assert envelope.decrypt(sealed, b"") == b"message"
    hem.keys.delete(key)
    for attempt in (lambda: envelope.encrypt(b"message", b""), lambda: envelope.decrypt(sealed, b"")):
        with pytest.raises(HemKeyNotFound):
            attempt()


def test_a_wrong_passphrase_comes_through(rig, hem, key):
    hem.keys.refresh()
    list(hem.keys)
    with rig.connect(passphrase="wrong") as other, pytest.raises(HemAuthenticationError):
        HemKmsClient(other).get_aead("pkcs11:object=envelope")


def test_it_does_not_show_more_than_the_key(remote, key):
    assert repr(remote) == f"<HemAead {key!r}>"
