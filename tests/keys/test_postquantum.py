"""ML-DSA and ML-KEM keys."""

from __future__ import annotations

import sys

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

from hem_provider import keys
from hem_provider.errors import HemConnectionError, HemKeyNotFound, MessageTooLong

DSA = {"MLDSA44": 2420, "MLDSA65": 3309, "MLDSA87": 4627}
KEM = {"MLKEM512": 768, "MLKEM768": 1088, "MLKEM1024": 1568}


@pytest.mark.parametrize("name", DSA)
@pytest.mark.parametrize("context", [None, b"", b"app", bytes(255)])
def test_mldsa_signs_what_its_native_public_key_verifies(hem, name, context):
    private = hem.keys.create(name, label="k").private_key()
    signature = private.sign(b"data", context)
    assert len(signature) == DSA[name]
    public = private.public_key()
    public.verify(signature, b"data", context)
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"data", b"another context")


def test_mldsa_refuses_before_the_network(hem):
    private = hem.keys.create("MLDSA44", label="k").private_key(mldsa.MLDSA44PrivateKey)
    before = hem.statistics.calls
    with pytest.raises(MessageTooLong):
        private.sign(bytes(2049))
    with pytest.raises(ValueError, match="0 bytes"):
        private.sign(b"")
    with pytest.raises(ValueError, match="context: 256 bytes"):
        private.sign(b"data", bytes(256))
    with pytest.raises(UnsupportedAlgorithm, match="takes the message itself"):
        private.sign_mu(bytes(64))
    assert hem.statistics.calls == before


def test_mldsa_verification_on_the_device_reads_firmwares_odd_status_codes(hem, rig):
    key = hem.keys.create("MLDSA44", label="k")
    signature = hem.operations.mldsa_sign(key.kid, b"data", context=b"c")

    def verify(data, context=b"c"):
        return hem.operations.mldsa_verify(key.kid, data, signature, context=context)

    assert verify(b"data")
    assert not verify(b"other")
    assert not verify(b"data", b"d")
    for status in (795, 65307, 406):
        rig.fault("POST /api/crypto/pqc/mldsa/verify", status)
        assert not verify(b"data")
    rig.fault("POST /api/crypto/pqc/mldsa/verify", 500)
    with pytest.raises(Exception, match="HTTP 500"):
        verify(b"data")


@pytest.mark.parametrize("name", KEM)
def test_mlkem_decapsulates_what_was_encapsulated(hem, name):
    private = hem.keys.create(name, label="k").private_key()
    secret, ciphertext = private.public_key().encapsulate()
    assert len(ciphertext) == KEM[name]
    assert private.decapsulate(ciphertext) == secret
    assert private.decapsulate(bytes(KEM[name])) != secret  # implicit rejection


@pytest.mark.parametrize("name", ["MLKEM768", "MLKEM1024"])
def test_the_devices_own_encapsulation_agrees_too(hem, name):
    key = hem.keys.create(name, label="k")
    ciphertext, secret = hem.operations.mlkem_encapsulate(key.kid)
    assert key.private_key().decapsulate(ciphertext) == secret


def test_a_ciphertext_of_another_size_is_refused_before_the_network(hem):
    private = hem.keys.create("MLKEM768", label="k").private_key(mlkem.MLKEM768PrivateKey)
    before = hem.statistics.calls
    with pytest.raises(ValueError, match="ciphertext: 768 bytes; MLKEM768 has 1088"):
        private.decapsulate(bytes(768))
    assert hem.statistics.calls == before


def test_mlkem512_has_its_own_public_key_with_the_same_names(hem):
    key = hem.keys.create("MLKEM512", label="k")
    public = key.public_key()
    assert len(public.public_bytes_raw()) == 800
    assert public == key.private_key().public_key()
    hem.keys.delete(key)
    with pytest.raises(HemKeyNotFound):
        public.encapsulate()


def test_an_older_cryptography_is_told_what_is_missing(hem, monkeypatch):
    key = hem.keys.create("MLDSA44", label="k")
    for module in ("mldsa", "mlkem"):
        monkeypatch.delattr(f"cryptography.hazmat.primitives.asymmetric.{module}")
        monkeypatch.setitem(sys.modules, f"cryptography.hazmat.primitives.asymmetric.{module}", None)
        monkeypatch.delitem(sys.modules, f"hem_provider.keys.{module}", raising=False)
    with pytest.raises(UnsupportedAlgorithm, match="needs cryptography 47 or newer"):
        key.private_key()
    with pytest.raises(UnsupportedAlgorithm, match="this cryptography has no such public key"):
        key.public_key()
    # The types that need nothing new go on working.
    private = hem.keys.create("MLKEM512", label="k").private_key()
    secret, ciphertext = private.public_key().encapsulate()
    assert private.decapsulate(ciphertext) == secret


@pytest.mark.parametrize("name", sorted(keys.CLASSES))
def test_a_native_public_key_tells_its_device_type(hem, name):
    if name == "MLKEM512":
        with pytest.raises(UnsupportedAlgorithm):
            keys.type_of(object())
        return
    public = hem.keys.create(name, label="k").public_key()
    assert keys.type_of(public).name == name
    assert keys.load_public(keys.type_of(public), keys.device_form(public)) == public


def test_a_dead_device_is_not_an_invalid_signature(hem, rig):
    from support.traffic import LostRequest

    key = hem.keys.create("MLDSA44", label="k")
    signature = hem.operations.mldsa_sign(key.kid, b"data")
    for start in ("POST /api/crypto/pqc/mldsa/verify", "GET /api/system/status"):
        rig.fault(start, LostRequest)
        rig.fault(start, LostRequest)
    with pytest.raises(HemConnectionError):
        hem.operations.mldsa_verify(key.kid, b"data", signature)
