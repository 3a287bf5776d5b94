"""Nothing but bytes is taken for bytes, nothing but text for text: before any request."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519
from hypothesis import given
from hypothesis import strategies as st

from hem_provider import arguments
from hem_provider.device import Kdf, connect
from hem_provider.keys import Ed448ctx, Ed448ph, Ed25519ctx, Ed25519ph

ECDSA = ec.ECDSA(hashes.SHA256())
#: What ``bytes()`` turns into something without a word, and text.
NOT_BYTES = [5, 10**10, 0, True, [1, 2], (1,), range(3), "text", None, 1.5, {1}]
TYPES = ["SECP256R1", "ED25519", "ED448", "MLDSA44", "MLKEM512", "MLKEM768"]


@pytest.fixture
def key(hem, rig):
    made = {name: hem.keys.create(name, label=name) for name in TYPES}
    before = hem.statistics.calls
    yield made
    assert hem.statistics.calls == before, "asked too late"


def operations(key, value):
    """Every operation of key objects that takes bytes, with ``value`` in each place."""
    ec_key, ed, ed4 = (key[name].private_key() for name in ("SECP256R1", "ED25519", "ED448"))
    mldsa = key["MLDSA44"].private_key()
    yield "ecdsa", lambda: ec_key.sign(value, ECDSA)
    yield "ed25519", lambda: ed.sign(value)
    yield "ed448", lambda: ed4.sign(value)
    yield "mldsa", lambda: mldsa.sign(value)
    if value is not None:
        yield "mldsa context", lambda: mldsa.sign(b"data", value)
    yield "mldsa mu", lambda: mldsa.sign_mu(value)
    for name in ("MLKEM512", "MLKEM768"):
        private = key[name].private_key()
        yield name, lambda private=private: private.decapsulate(value)
    for variant, owner in (
        (Ed25519ph, "ED25519"),
        (Ed25519ctx, "ED25519"),
        (Ed448ctx, "ED448"),
        (Ed448ph, "ED448"),
    ):
        made = variant(key[owner], context=b"app")
        yield f"{variant.__name__} sign", lambda made=made: made.sign(value)
        yield f"{variant.__name__} verify data", lambda made=made: made.verify(bytes(64), value)
        yield f"{variant.__name__} verify signature", lambda made=made: made.verify(value, b"data")
        yield f"{variant.__name__} context", lambda v=variant, o=owner: v(key[o], context=value)


@pytest.mark.parametrize("value", NOT_BYTES, ids=repr)
def test_no_key_takes_anything_but_bytes_for_bytes(key, value):
    for name, operation in operations(key, value):
        with pytest.raises(TypeError, match="accepted: bytes-like") as refused:
            operation()
        assert type(value).__name__ in str(refused.value), name
        assert ("encode it first" in str(refused.value)) == isinstance(value, str)


@pytest.mark.parametrize("value", [each for each in NOT_BYTES if not isinstance(each, str)], ids=repr)
def test_the_device_object_takes_no_integers_and_lists_either(hem, rig, value):
    kid, some = "00" * 16, b"x" * 16
    optional = value is None
    calls = [
        lambda: hem.sign(kid, value, "Ed25519"),
        lambda: hem.verify(kid, value, some, "Ed25519"),
        lambda: hem.verify(kid, some, value, "Ed25519"),
        lambda: hem.ecdh(kid, value),
        lambda: hem.encrypt(kid, value, "AES256-ECB"),
        lambda: hem.decrypt(kid, value, "AES256-ECB"),
        lambda: hem.wrap(kid, value, "AES256"),
        lambda: hem.unwrap(kid, value, "AES256"),
        lambda: hem.hmac(kid, value),
        lambda: hem.hmac_verify(kid, value, some),
        lambda: hem.hmac_verify(kid, some, value),
    ]
    if not optional:
        calls += [
            lambda: hem.sign(kid, some, "Ed25519", context=value),
            lambda: hem.verify(kid, some, some, "Ed25519", context=value),
            lambda: hem.encrypt(kid, some, "AES256-GCM", aad=value),
            lambda: hem.encrypt(kid, some, "AES256-GCM", peer=value),
            lambda: hem.encrypt(kid, some, "AES256-GCM", peer=some, context=value),
            lambda: hem.decrypt(kid, some, "AES256-GCM", iv=value),
            lambda: hem.decrypt(kid, some, "AES256-GCM", iv=some, tag=value),
            lambda: hem.wrap(kid, some, "AES256", icv=value),
            lambda: hem.unwrap(kid, some, "AES256", icv=value),
        ]
    for call in calls:
        with pytest.raises(TypeError, match="accepted: bytes-like"):
            call()
    assert rig.count("POST /api/crypto") == 0


@pytest.mark.parametrize(
    "algorithm", ["sha256", hashes.SHA256, 5, None, ECDSA], ids=lambda each: str(type(each))
)
def test_a_hash_is_a_hash_algorithm(hem, rig, algorithm):
    agreeing = [hem.keys.create(name, label=name) for name in ("SECP256R1", "CURVE25519", "CURVE448")]
    before = hem.statistics.calls
    for key in agreeing:
        private = key.private_key()
        with pytest.raises(TypeError, match="^algorithm: .*accepted: a hash algorithm"):
            private.exchange_hashed(algorithm, None)
    assert hem.statistics.calls == before


@pytest.mark.parametrize("file_id", [5, b"00000000", None], ids=repr)
def test_the_id_of_a_log_file_is_text(hem, file_id):
    for call in (hem.audit.read, hem.audit.verify):
        with pytest.raises(TypeError, match="^log file id: .*accepted: text"):
            call(file_id)


@pytest.mark.parametrize("kid", [5, b"00" * 16, None, ["00" * 16]], ids=repr)
def test_a_kid_is_text(hem, rig, kid):
    calls = (
        hem.keys.get,
        hem.keys.delete,
        lambda k: hem.keys.update(k, label="k"),
        lambda k: hem.keys.derive(k, "00" * 16, type="AES256", label="k"),
        lambda k: hem.sign(k, b"x", "Ed25519"),
        lambda k: hem.verify(k, b"x", b"y", "Ed25519"),
        lambda k: hem.ecdh(k, b"x"),
        lambda k: hem.hmac(k, b"x"),
        lambda k: hem.hmac_verify(k, b"x", b"y"),
        lambda k: hem.encrypt(k, b"x" * 16, "AES256-ECB"),
        lambda k: hem.decrypt(k, b"x" * 16, "AES256-ECB"),
        lambda k: hem.wrap(k, b"x" * 16, "AES256"),
        lambda k: hem.unwrap(k, b"x" * 24, "AES256"),
        hem.operations.fetch,
        hem.operations.mlkem_encapsulate,
        lambda k: hem.operations.mldsa_sign(k, b"x"),
    )
    for call in calls:
        with pytest.raises(TypeError, match=r"^kid: \w+; accepted: text"):
            call(kid)
    assert not rig.requests


@pytest.mark.parametrize("wrong", [b"correct horse", 5, ["a"], bytearray(b"a")], ids=repr)
def test_a_passphrase_is_text_and_is_asked_for_at_once(hem, rig, wrong):
    with pytest.raises(TypeError, match=r"^passphrase: \w+; accepted: text"):
        connect("https://127.0.0.1:1", passphrase=wrong)
    with pytest.raises(TypeError, match="^passphrase"):
        hem.login(wrong)
    with pytest.raises(TypeError, match="^new"):
        hem.admin.change_passphrase(wrong)
    with pytest.raises(TypeError, match="^master"):
        hem.admin.initialize(None, passphrase="x", master=wrong)
    assert not rig.requests


def test_a_wrong_passphrase_of_another_type_is_not_shown():
    with pytest.raises(TypeError) as refused:
        connect("https://127.0.0.1:1", passphrase=b"very secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kdf", ["argon2d", 2, None], ids=repr)
def test_a_key_derivation_is_one_of_the_known_ones_never_silently_another(hem, rig, kdf):
    with pytest.raises(TypeError, match=r"^kdf: .*accepted: Kdf\.PBKDF2, Kdf\.ARGON2D"):
        connect("https://127.0.0.1:1", passphrase="x", kdf=kdf)
    if kdf is not None:
        with pytest.raises(TypeError, match="^kdf"):
            hem.login("x", kdf=kdf)
    with pytest.raises(TypeError, match="^role"):
        hem.login("x", role="U")
    with pytest.raises(TypeError, match="^kdf"):
        hem.admin.change_passphrase("x", kdf=kdf)
    assert not rig.requests
    assert Kdf.PBKDF2 is Kdf("pbkdf2")


def test_what_a_key_is_made_with_is_checked_by_name(hem, rig):
    create = hem.keys.create
    for match, call in {
        "usage: the text 'sign'; accepted: a set of words": lambda: create(
            "ED25519", label="k", usage="sign"
        ),
        "usage: int": lambda: create("ED25519", label="k", usage=5),
        "usage: a word: int": lambda: create("ED25519", label="k", usage=[5]),
        "label: int; accepted: text": lambda: create("ED25519", label=5),
        "label: bytes; accepted: text": lambda: create("ED25519", label=b"k"),
        "type: int; accepted: text": lambda: create(5, label="k"),
        "application_id: str; accepted: bytes-like": lambda: create(
            "ED25519", label="k", application_id="id"
        ),
        "application_id: int": lambda: create("ED25519", label="k", application_id=5),
    }.items():
        with pytest.raises(TypeError, match=match):
            call()
    assert not rig.requests


def test_a_search_for_one_key_names_something(hem, rig):
    hem.keys.create("ED25519", label="only")
    asked = len(rig.requests)
    with pytest.raises(TypeError, match=r"^find: give at least one of label, type, application_id"):
        hem.keys.find()
    with pytest.raises(TypeError, match="^label: int"):
        hem.keys.find(label=5)
    with pytest.raises(TypeError, match="^label: bytes"):
        hem.keys.search(label=b"only")
    with pytest.raises(TypeError, match="^application_id: str"):
        hem.keys.find(application_id="only")
    assert len(rig.requests) == asked


def test_a_wanted_class_of_key_is_a_class(hem, rig):
    key = hem.keys.create("SECP256R1", label="k")
    assert key.private_key(ec.EllipticCurvePrivateKey).key_size == 256
    assert key.public_key(ec.EllipticCurvePublicKey).key_size == 256
    for half in (key.private_key, key.public_key):
        with pytest.raises(
            TypeError, match=r"^kind: an object of class SECP256R1; accepted: a class of keys"
        ):
            half(ec.SECP256R1())
        with pytest.raises(TypeError, match=f"key {key.kid} is SECP256R1, not Ed25519"):
            half(ed25519.Ed25519PrivateKey if half == key.private_key else ed25519.Ed25519PublicKey)


def test_only_public_halves_are_brought_to_the_device(hem, rig):
    native = [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        x25519.X25519PrivateKey.generate(),
    ]
    peer = hem.keys.create("SECP256R1", label="peer")
    asked = len(rig.requests)
    for each in (*native, peer, peer.private_key()):
        with pytest.raises(TypeError, match=r"accepted: a native public key.*takes no private keys"):
            hem.keys.import_public(each, label="k")
    with pytest.raises(TypeError, match="a tuple of 3"):
        hem.keys.import_public(("ED25519", b"", b""), label="k")
    with pytest.raises(TypeError, match="public: type: int"):
        hem.keys.import_public((5, b""), label="k")
    with pytest.raises(TypeError, match="public: str; accepted: bytes-like"):
        hem.keys.import_public(("ED25519", "0" * 32), label="k")
    assert len(rig.requests) == asked


@given(st.binary(max_size=64))
def test_bytes_like_values_come_through_unchanged_and_independent(data):
    for given_value in (data, bytearray(data), memoryview(data), memoryview(bytearray(data))):
        taken = arguments.as_bytes("data", given_value)
        assert type(taken) is bytes
        assert taken == data
        assert arguments.size_of("data", given_value) == len(data)
    changing = bytearray(data or b"x")
    taken = arguments.as_bytes("data", changing)
    changing[0] ^= 1
    assert taken == (data or b"x")


def test_words_are_a_set_of_texts():
    assert arguments.as_words("usage", {"sign"}) == {"sign"}
    assert arguments.as_words("usage", ["sign", "sign", "derive"]) == {"sign", "derive"}
    assert arguments.as_words("usage", iter(())) == frozenset()
