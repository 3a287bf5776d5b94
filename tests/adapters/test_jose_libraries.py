"""joserfc, Authlib, jwcrypto and PyJWT with keys of a device; what one makes, another reads."""

from __future__ import annotations

import copy
import json
import pickle
import types
import warnings
from urllib.parse import parse_qsl

import jwt as pyjwt
import pytest
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import errors as jose_errors
from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey
from jwcrypto import jwe as other_jwe
from jwcrypto import jws as other_jws
from jwcrypto import jwt as other_jwt
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from support.rawkeys import raw_key

from hem_provider.adapters.joserfc import HemECKey, HemOctKey, HemOKPKey, jose_key
from hem_provider.adapters.jwcrypto import HemJWK
from hem_provider.adapters.pyjwt import HemSecret, register
from hem_provider.errors import (
    HemAuthenticationError,
    HemConnectionError,
    HemKeyNotFound,
    HemOperationFailed,
    KeyNotExportable,
    MessageTooLong,
)
from hem_provider.symmetric import WrongKeyFamily

CLAIMS = {"sub": "ada", "scope": "read"}
SIGNING = {
    "SECP256R1": "ES256",
    "SECP384R1": "ES384",
    "SECP521R1": "ES512",
    "SECP256K1": "ES256K",
    "ED25519": "Ed25519",
    "ED448": "Ed448",
}
HMAC = {"SHA2-256": "HS256", "SHA2-384": "HS384", "SHA2-512": "HS512"}
WRAPPING = {"AES128": "A128KW", "AES192": "A192KW", "AES256": "A256KW"}
AGREEING = ["SECP256R1", "CURVE25519"]
CUT = ["SECP384R1", "SECP521R1", "CURVE448"]
KEY_MANAGEMENT = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
#: A signing key as each library's; the first two make the public JWK.
MAKERS = pytest.mark.parametrize("adapter", [jose_key, HemJWK])


@pytest.fixture
def made(hem):
    """A key of a kind whose public half and token are at hand."""

    def make(kind: str, usage=None, label: str = "tokens"):
        key = hem.keys.create(kind, label=label, usage=usage)
        hem.login(scope=f"keymgmt:use:{key.kid}")
        if not key.type.symmetric:
            key.public_bytes()
        return key

    return make


def calls(hem, operation, *arguments):
    """What it gave, and how many calls it was."""
    before = hem.statistics.calls
    return operation(*arguments), hem.statistics.calls - before


def public_jwk(key) -> dict[str, str]:
    shown = key.as_dict() if hasattr(key, "as_dict") else key.export_public(as_dict=True)
    assert "d" not in shown
    return shown


def signed_by(key, algorithm: str, payload: bytes) -> str:
    if isinstance(key, HemJWK):
        token = other_jws.JWS(payload)
        header = json.dumps({"alg": algorithm, "kid": key["kid"]})
        token.allowed_algs = [algorithm]
        token.add_signature(key, None, header)
        return token.serialize(compact=True)
    return jws.serialize_compact({"alg": algorithm, "kid": key.kid}, payload, key, algorithms=[algorithm])


@MAKERS
@pytest.mark.parametrize("kind", SIGNING)
def test_a_signature_is_one_call_and_verifies_in_both_libraries(hem, made, adapter, kind):
    key, algorithm = adapter(made(kind)), SIGNING[kind]
    token, count = calls(hem, signed_by, key, algorithm, b"payload")
    assert count == 1
    shown = public_jwk(key)
    theirs = (ECKey if kind.startswith("SECP") else OKPKey).import_key(shown)
    assert jws.deserialize_compact(token, theirs, algorithms=[algorithm]).payload == b"payload"
    read = other_jws.JWS()
    read.allowed_algs = [algorithm]
    read.deserialize(token, JWK(**shown))
    assert read.payload == b"payload"
    assert calls(hem, jws.deserialize_compact, token, theirs, [algorithm])[1] == 0


def test_a_token_of_joserfc_is_one_call_and_is_read_by_pyjwt(hem, made):
    record = made("SECP256R1")
    key = jose_key(record)
    token, count = calls(hem, jwt.encode, {"alg": "ES256", "kid": key.kid}, CLAIMS, key)
    assert count == 1
    assert jwt.decode(token, key).claims == CLAIMS
    assert pyjwt.decode(token, record.public_key(), algorithms=["ES256"]) == CLAIMS
    assert pyjwt.get_unverified_header(token)["kid"] == record.kid


def test_a_token_of_jwcrypto_is_one_call_and_is_read_by_pyjwt(hem, made):
    record = made("ED25519")
    token = other_jwt.JWT(header={"alg": "EdDSA", "kid": record.kid}, claims=CLAIMS)
    assert calls(hem, token.make_signed_token, HemJWK(record))[1] == 1
    assert pyjwt.decode(token.serialize(), record.public_key(), algorithms=["EdDSA"]) == CLAIMS


def test_a_key_set_publishes_public_halves_and_finds_the_key_by_its_kid(made):
    records = [made("SECP256R1", label="one"), made("ED25519", label="two")]
    keys = KeySet([jose_key(each, {"use": "sig"}) for each in records])
    document = keys.as_dict()
    assert [each["kid"] for each in document["keys"]] == [each.kid for each in records]
    assert all("d" not in each and each["use"] == "sig" for each in document["keys"])
    token = jwt.encode({"alg": "Ed25519", "kid": records[1].kid}, CLAIMS, keys, algorithms=["Ed25519"])
    assert jwt.decode(token, KeySet.import_key_set(document), algorithms=["Ed25519"]).claims == CLAIMS


@pytest.mark.parametrize("management", KEY_MANAGEMENT)
@pytest.mark.parametrize("kind", AGREEING)
def test_a_message_for_the_device_is_opened_with_one_call(hem, made, kind, management):
    record = made(kind, {"derive"})
    header, allowed = {"alg": management, "enc": "A256GCM", "kid": record.kid}, [management, "A256GCM"]
    ours, theirs = jose_key(record), HemJWK(record)
    recipient = (ECKey if kind.startswith("SECP") else OKPKey).import_key(ours.as_dict())
    content = b"x" * 20_000
    token = jwe.encrypt_compact(dict(header), content, recipient, algorithms=allowed)
    opened, count = calls(hem, jwe.decrypt_compact, token, ours, allowed)
    assert (opened.plaintext, count) == (content, 1)

    read = other_jwe.JWE(algs=allowed)
    assert calls(hem, read.deserialize, token, theirs)[1] == 1
    assert read.payload == content

    written = other_jwe.JWE(content, json.dumps(header), algs=allowed)
    assert calls(hem, written.add_recipient, theirs.public())[1] == 0
    made_there = written.serialize(compact=True)
    assert jwe.decrypt_compact(made_there, ours, algorithms=allowed).plaintext == content


def test_joserfc_agrees_on_secp256k1_too(hem, made):
    key = jose_key(made("SECP256K1", {"derive"}))
    token = jwe.encrypt_compact(
        {"alg": "ECDH-ES", "enc": "A256GCM"}, b"message", ECKey.import_key(key.as_dict())
    )
    opened, count = calls(hem, jwe.decrypt_compact, token, key)
    assert (opened.plaintext, count) == (b"message", 1)


def test_a_message_is_encrypted_to_the_devices_key_without_a_call(hem, made):
    key = jose_key(made("SECP256R1", {"derive"}))
    header = {"alg": "ECDH-ES", "enc": "A256GCM"}
    token, count = calls(hem, jwe.encrypt_compact, header, b"to myself", key)
    assert count == 0
    assert jwe.decrypt_compact(token, key).plaintext == b"to myself"


@pytest.mark.parametrize("kind", CUT)
def test_a_secret_that_the_device_cuts_is_refused_without_a_call(hem, made, kind):
    record = made(kind, {"derive"})
    header, allowed = {"alg": "ECDH-ES", "enc": "A256GCM"}, ["ECDH-ES", "A256GCM"]
    recipient = (ECKey if kind.startswith("SECP") else OKPKey).import_key(jose_key(record).as_dict())
    token = jwe.encrypt_compact(header, b"message", recipient, algorithms=allowed)
    before = hem.statistics.calls
    with pytest.raises(UnsupportedAlgorithm, match="gives 32 of the secret's"):
        jwe.decrypt_compact(token, jose_key(record), algorithms=allowed)
    assert hem.statistics.calls == before


@pytest.mark.parametrize("kind", HMAC)
def test_hmac_by_joserfc_is_one_call_and_is_what_the_raw_key_makes(hem, rig, made, kind):
    record, algorithm = made(kind), HMAC[kind]
    key, raw = jose_key(record), OctKey.import_key(raw_key(rig.device, record.kid))
    assert isinstance(key, HemOctKey)
    token, count = calls(hem, jwt.encode, {"alg": algorithm}, CLAIMS, key, [algorithm])
    assert count == 1
    assert token == jwt.encode({"alg": algorithm}, CLAIMS, raw, algorithms=[algorithm])
    decoded, count = calls(hem, jwt.decode, token, key, [algorithm])
    assert (decoded.claims, count) == (CLAIMS, 1)
    assert jwt.decode(token, raw, algorithms=[algorithm]).claims == CLAIMS
    with pytest.raises(jose_errors.BadSignatureError):
        jwt.decode(token[:-4] + "AAAA", key, algorithms=[algorithm])


@pytest.mark.parametrize("kind", HMAC)
def test_hmac_by_pyjwt_is_one_call_and_is_what_the_raw_key_makes(hem, rig, made, kind):
    record, algorithm = made(kind), HMAC[kind]
    secret, raw = HemSecret(record), raw_key(rig.device, record.kid)
    token, count = calls(hem, pyjwt.encode, CLAIMS, secret)
    assert count == 1
    assert pyjwt.get_unverified_header(token)["alg"] == algorithm
    assert token == pyjwt.encode(CLAIMS, raw, algorithm=algorithm)
    assert token == pyjwt.encode(CLAIMS, secret, algorithm=algorithm)
    decoded, count = calls(hem, pyjwt.decode, token, secret)
    assert (decoded, count) == (CLAIMS, 1)
    assert pyjwt.decode(token, secret, algorithms=[algorithm]) == CLAIMS
    assert pyjwt.decode(token, raw, algorithms=[algorithm]) == CLAIMS
    with pytest.raises(pyjwt.InvalidSignatureError):
        pyjwt.decode(token[:-4] + "AAAA", secret)


def test_pyjwt_does_what_it_did_for_all_other_keys(made):
    own = pyjwt.PyJWS(algorithms=["HS256"])
    secret = HemSecret(made("SHA2-256"))
    with pytest.raises((TypeError, pyjwt.InvalidKeyError)):
        own.encode(b"payload", secret, algorithm="HS256")
    register(own)
    assert own.get_algorithms() == ["HS256"]
    assert own.decode(own.encode(b"payload", secret), secret) == b"payload"
    raw = b"0123456789abcdef0123456789abcdef"
    for signer in (own, pyjwt.PyJWS()):
        assert own.decode(signer.encode(b"payload", raw), raw, algorithms=["HS256"]) == b"payload"
    with pytest.raises(pyjwt.InvalidKeyError, match="PEM|asymmetric"):
        own.encode(b"payload", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.warns(Warning, match="length|bytes"):
        own.encode(b"payload", b"short")
    told = json.loads(own.get_algorithm_by_name("HS256").to_jwk(raw))
    assert told["kty"] == "oct"


def test_joserfc_does_what_it_did_for_all_other_keys(made):
    from joserfc.jwe import JWERegistry
    from joserfc.jws import JWSRegistry

    recommended = list(JWSRegistry.recommended), list(JWERegistry.recommended)
    jose_key(made("SHA2-256"))
    assert (list(JWSRegistry.recommended), list(JWERegistry.recommended)) == recommended
    raw = OctKey.import_key("0123456789abcdef0123456789abcdef")
    token = jwt.encode({"alg": "HS256"}, CLAIMS, raw)
    assert pyjwt.decode(token, raw.raw_value, algorithms=["HS256"]) == jwt.decode(token, raw).claims == CLAIMS
    header = {"alg": "A256KW", "enc": "A256GCM"}
    assert jwe.decrypt_compact(jwe.encrypt_compact(header, b"x", raw), raw).plaintext == b"x"
    with pytest.raises(jose_errors.InvalidKeyLengthError):
        jwe.encrypt_compact({"alg": "A128KW", "enc": "A256GCM"}, b"x", raw)


@pytest.mark.parametrize("kind", WRAPPING)
def test_a_content_key_is_wrapped_and_unwrapped_with_one_call(hem, rig, made, kind):
    record, algorithm = made(kind, {"wrap"}), WRAPPING[kind]
    key, raw = jose_key(record), OctKey.import_key(raw_key(rig.device, record.kid))
    header, allowed = {"alg": algorithm, "enc": "A256GCM", "kid": key.kid}, [algorithm, "A256GCM"]
    token, count = calls(hem, jwe.encrypt_compact, header, b"x" * 20_000, key, allowed)
    assert count == 1
    assert jwe.decrypt_compact(token, raw, algorithms=allowed).plaintext == b"x" * 20_000
    made_there = jwe.encrypt_compact(header, b"there", raw, algorithms=allowed)
    opened, count = calls(hem, jwe.decrypt_compact, made_there, key, allowed)
    assert (opened.plaintext, count) == (b"there", 1)
    head, wrapped, *rest = token.split(".")
    damaged = ".".join((head, wrapped[:-4] + "AAAA", *rest))
    with pytest.raises(jose_errors.DecodeError, match="[Uu]nwrap"):
        jwe.decrypt_compact(damaged, key, algorithms=allowed)


def test_authlib_authenticates_a_client_by_a_key_of_the_device(hem, made):
    record = made("SECP256R1")
    client = types.SimpleNamespace(client_id="ada", client_secret=jose_key(record))
    method = PrivateKeyJWT(alg="ES256", headers={"kid": record.kid})
    token, count = calls(hem, method.sign, client, "https://issuer.example/token")
    assert count == 1
    claims = pyjwt.decode(
        token, record.public_key(), algorithms=["ES256"], audience="https://issuer.example/token"
    )
    assert claims["iss"] == claims["sub"] == "ada"


def test_a_session_of_authlib_fetches_a_token_by_a_key_of_the_device(hem, made):
    """By way of ``requests``, whose transport answers here as a server would."""
    from authlib.integrations.requests_client import OAuth2Session
    from requests import Response
    from requests.adapters import BaseAdapter

    asked = []

    class Server(BaseAdapter):
        def send(self, request, **_):
            asked.append(dict(parse_qsl(request.body)))
            answer = Response()
            answer.status_code = 200
            answer._content = b'{"access_token": "granted", "token_type": "Bearer"}'
            return answer

        def close(self):
            pass

    record, endpoint = made("ED25519"), "https://issuer.example/token"
    with OAuth2Session("ada", jose_key(record), token_endpoint_auth_method="private_key_jwt") as session:
        session.mount("https://", Server())
        session.register_client_auth_method(PrivateKeyJWT(alg="Ed25519"))
        token, count = calls(hem, session.fetch_token, endpoint)
    assert (token["access_token"], count) == ("granted", 1)
    assertion = asked[0]["client_assertion"]
    claims = jwt.decode(
        assertion, OKPKey.import_key(public_jwk(jose_key(record))), algorithms=["Ed25519"]
    ).claims
    assert claims["aud"] == endpoint


def test_authlib_authenticates_a_client_by_a_secret_of_the_device(hem, rig, made):
    record = made("SHA2-256")
    client = types.SimpleNamespace(client_id="ada", client_secret=jose_key(record))
    token, count = calls(hem, ClientSecretJWT().sign, client, "https://issuer.example/token")
    assert count == 1
    raw = raw_key(rig.device, record.kid)
    claims = pyjwt.decode(token, raw, algorithms=["HS256"], audience="https://issuer.example/token")
    assert claims["iss"] == "ada"


@pytest.mark.parametrize(("kind", "algorithm"), [("SECP256R1", "ES256"), ("ED25519", "EdDSA")])
def test_authlibs_own_jose_exports_keys_and_is_refused_that(hem, made, kind, algorithm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Authlib, which has given it up
        from authlib.jose import JsonWebSignature

        private = made(kind).private_key()
        before = hem.statistics.calls
        with pytest.raises(KeyNotExportable, match="never leaves the device"):
            JsonWebSignature([algorithm]).serialize_compact({"alg": algorithm}, b"payload", private)
    assert hem.statistics.calls == before


@pytest.mark.parametrize("kind", ["SHA3-256", "MLKEM768", "MLDSA44"])
def test_a_type_that_jose_does_not_have_is_refused_without_a_call(hem, made, kind):
    record = made(kind)
    before = hem.statistics.calls
    for adapter in (jose_key, HemJWK, HemSecret):
        with pytest.raises(HemOperationFailed, match=kind):
            adapter(record)
    assert hem.statistics.calls == before


def test_secret_keys_are_not_for_jwcrypto_and_others_no_secrets(made):
    with pytest.raises(HemOperationFailed, match="no form for SHA2-256"):
        HemJWK(made("SHA2-256"))
    with pytest.raises(HemOperationFailed, match="SECP256R1; accepted: SHA2-256"):
        HemSecret(made("SECP256R1"))


def test_an_algorithm_that_is_not_the_keys_is_refused_without_a_call(hem, made):
    p256, hmac, edwards = made("SECP256R1"), made("SHA2-256", label="h"), made("ED25519", label="e")
    before = hem.statistics.calls
    with pytest.raises(jose_errors.JoseError):
        jws.serialize_compact({"alg": "ES384"}, b"x", jose_key(p256), algorithms=["ES384"])
    with pytest.raises(jose_errors.JoseError):
        jws.serialize_compact({"alg": "HS512"}, b"x", jose_key(hmac), algorithms=["HS512"])
    with pytest.raises(jose_errors.JoseError):
        jws.serialize_compact({"alg": "ES256"}, b"x", jose_key(edwards))
    with pytest.raises(JWException):
        signed_by(HemJWK(p256), "ES384", b"x")
    with pytest.raises(JWException):
        signed_by(HemJWK(edwards), "ES256", b"x")
    with pytest.raises(pyjwt.InvalidKeyError, match="SHA2-256; HS512 needs SHA2-512"):
        pyjwt.encode(CLAIMS, HemSecret(hmac), algorithm="HS512")
    with pytest.raises(TypeError):
        pyjwt.encode(CLAIMS, HemSecret(hmac), algorithm="ES256")
    assert hem.statistics.calls == before


def test_a_token_that_names_another_algorithm_is_not_verified_by_it(made):
    """RFC 8725 §3.1: a public key is no HMAC secret, and an HMAC key verifies its own algorithm alone."""
    p256, hmac = made("SECP256R1"), made("SHA2-256", label="h")
    confused = pyjwt.encode(CLAIMS, p256.public_bytes(), algorithm="HS256")
    with pytest.raises(jose_errors.JoseError):
        jwt.decode(confused, jose_key(p256), algorithms=["HS256", "ES256"])
    other = pyjwt.encode(CLAIMS, bytes(64), algorithm="HS512")
    with pytest.raises(pyjwt.InvalidAlgorithmError):
        pyjwt.decode(other, HemSecret(hmac), algorithms=["HS256", "HS512"])
    with pytest.raises(jose_errors.JoseError):
        jwt.decode(other, jose_key(hmac), algorithms=["HS256", "HS512"])


def test_a_key_without_the_usage_is_refused_without_a_call(hem, made):
    signs, agrees = made("SECP256R1", {"sign"}), made("SECP256R1", {"derive"}, "agrees")
    sealing = made("AES256", {"aead"}, "sealing")
    before = hem.statistics.calls
    for adapter in (jose_key, HemJWK):
        with pytest.raises(UnsupportedAlgorithm, match="not made for 'sign'"):
            signed_by(adapter(agrees), "ES256", b"x")
    token = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A256GCM"}, b"x", jose_key(signs))
    with pytest.raises(UnsupportedAlgorithm, match="not made for 'derive'"):
        jwe.decrypt_compact(token, jose_key(signs))
    with pytest.raises(WrongKeyFamily, match="'aead'"):
        jwe.encrypt_compact({"alg": "A256KW", "enc": "A256GCM"}, b"x", jose_key(sealing))
    assert hem.statistics.calls == before


def test_what_a_jwk_says_that_it_is_for_is_kept_to(hem, made):
    hmac, wrapping, p256 = made("SHA2-256"), made("AES256", {"wrap"}, "w"), made("SECP256R1", {"sign"}, "s")
    before = hem.statistics.calls
    for parameters in ({"use": "enc"}, {"key_ops": ["verify"]}):
        with pytest.raises(jose_errors.JoseError):
            jwt.encode({"alg": "HS256"}, CLAIMS, jose_key(hmac, parameters))
    token = jwt.encode({"alg": "HS256"}, CLAIMS, OctKey.import_key(bytes(32)))
    with pytest.raises(jose_errors.JoseError):
        jwt.decode(token, jose_key(hmac, {"key_ops": ["sign"]}))
    for parameters in ({"use": "sig"}, {"key_ops": ["unwrapKey"]}):
        with pytest.raises(jose_errors.JoseError):
            jwe.encrypt_compact({"alg": "A256KW", "enc": "A256GCM"}, b"x", jose_key(wrapping, parameters))
    with pytest.raises(JWException):
        signed_by(HemJWK(p256, use="enc"), "ES256", b"x")
    assert hem.statistics.calls == before
    for key in (jose_key(p256, {"kid": "mine"}), jose_key(hmac, {"kid": "mine"})):
        assert key.kid == "mine"
    assert HemJWK(p256, kid="mine", use="sig")["kid"] == "mine"


def test_parameters_that_are_the_key_itself_are_refused(made):
    hmac, p256 = made("SHA2-256"), made("SECP256R1", {"sign"}, "s")
    for attempt in (
        lambda: jose_key(hmac, {"alg": "HS512"}),
        lambda: jose_key(hmac, {"k": "AAAA"}),
        lambda: jose_key(p256, {"x": "AAAA"}),
        lambda: jose_key(p256, {"d": "AAAA"}),
        lambda: HemJWK(p256, d="AAAA"),
    ):
        with pytest.raises(ValueError, match="which the key itself says"):
            attempt()


def test_no_key_is_pickled_and_copies_are_the_same_key(made):
    p256, hmac = made("SECP256R1", {"sign"}), made("SHA2-256", label="h")
    for key in (jose_key(p256), jose_key(hmac), HemJWK(p256), HemSecret(hmac)):
        with pytest.raises(TypeError, match="not pickled|never leaves"):
            pickle.dumps(key)
    token = jwt.encode({"alg": "HS256"}, CLAIMS, copy.deepcopy(jose_key(hmac)))
    assert pyjwt.decode(token, copy.deepcopy(HemSecret(hmac))) == CLAIMS
    assert copy.deepcopy(HemJWK(p256)) == HemJWK(p256)


def test_a_token_that_is_too_large_for_the_device_is_refused_without_a_call(hem, made):
    large = {"data": "x" * 1600}
    p256, hmac = made("SECP256R1"), made("SHA2-256", label="h")
    before = hem.statistics.calls
    for attempt in (
        lambda: jwt.encode({"alg": "ES256"}, large, jose_key(p256)),
        lambda: jwt.encode({"alg": "HS256"}, large, jose_key(hmac)),
        lambda: pyjwt.encode(large, HemSecret(hmac)),
        lambda: signed_by(HemJWK(p256), "ES256", bytes(2000)),
    ):
        with pytest.raises(MessageTooLong, match="2048"):
            attempt()
    assert hem.statistics.calls == before


def test_secrets_are_used_for_nothing_but_what_the_device_does(made):
    hmac, wrapping = jose_key(made("SHA2-256")), jose_key(made("AES256", {"wrap"}, "w"))
    for key, header in (
        (wrapping, {"alg": "dir", "enc": "A256GCM"}),
        (wrapping, {"alg": "A256GCMKW", "enc": "A256GCM"}),
    ):
        with pytest.raises((KeyNotExportable, jose_errors.JoseError)):
            jwe.encrypt_compact(header, b"x", key, algorithms=["dir", "A256GCMKW", "A256GCM"])
    with pytest.raises(jose_errors.JoseError):
        jwe.encrypt_compact({"alg": "A256KW", "enc": "A256GCM"}, b"x", hmac)


def test_nothing_secret_is_shown_or_exported(made):
    records = made("SECP256R1"), made("ED25519", label="e"), made("SHA2-256", label="h")
    ec, okp, secret = map(jose_key, records)
    theirs, token_key = HemJWK(records[0]), HemSecret(records[2])
    assert type(ec) is HemECKey
    assert type(okp) is HemOKPKey
    for refused in (
        lambda: ec.as_dict(private=True),
        lambda: okp.as_dict(private=True),
        lambda: ec.as_pem(private=True),
        lambda: okp.as_der(private=True),
        secret.as_dict,
        secret.thumbprint,
        lambda: secret.raw_value,
        theirs.export,
        theirs.export_private,
        lambda: theirs.export_to_pem(private_key=True, password=None),
        lambda: token_key.Algorithm.to_jwk(token_key.key),
    ):
        with pytest.raises(KeyNotExportable, match="never leaves the device"):
            refused()
    assert theirs.export(private_key=False) == theirs.export_public()
    assert "d" not in theirs
    assert "d" not in theirs.public()
    assert theirs.has_private
    assert ec.thumbprint() == ECKey.import_key(ec.as_dict()).thumbprint()
    assert ec.as_pem().startswith(b"-----BEGIN PUBLIC KEY")
    assert theirs.export_to_pem() == ec.as_pem()
    assert records[2].kid in repr(token_key)
    assert secret.kid == token_key.key_id == records[2].kid
    assert copy.copy(token_key).key is records[2]


def test_errors_of_the_device_come_through(hem, rig, made):
    record, hmac = made("SECP256R1"), made("SHA2-256", label="h")
    attempts = [
        lambda: jwt.encode({"alg": "ES256"}, CLAIMS, jose_key(record)),
        lambda: jwt.encode({"alg": "HS256"}, CLAIMS, jose_key(hmac)),
        lambda: pyjwt.encode(CLAIMS, HemSecret(hmac)),
        lambda: pyjwt.decode(pyjwt.encode(CLAIMS, bytes(32), algorithm="HS256"), HemSecret(hmac)),
        lambda: signed_by(HemJWK(record), "ES256", b"x"),
    ]

    def away() -> None:
        raise ConnectionError("no route to the device")

    rig.before_each = away
    for attempt in attempts:
        with pytest.raises(HemConnectionError):
            attempt()
    rig.before_each = None
    hem.keys.delete(record)
    hem.keys.delete(hmac)
    for attempt in attempts:
        with pytest.raises(HemKeyNotFound):
            attempt()


@pytest.mark.parametrize("adapter", ["joserfc", "jwcrypto", "pyjwt"])
def test_a_wrong_passphrase_comes_through(rig, made, adapter):
    record, hmac = made("SECP256R1"), made("SHA2-256", label="h")
    with rig.connect(passphrase="wrong") as other:
        mine = other.keys.told_of(record.kid, "SECP256R1", record.public_bytes())
        secret = other.keys.told_of(hmac.kid, "SHA2-256")
        attempts = {
            "joserfc": lambda: jwt.encode({"alg": "ES256"}, CLAIMS, jose_key(mine)),
            "jwcrypto": lambda: signed_by(HemJWK(mine), "ES256", b"x"),
            "pyjwt": lambda: pyjwt.encode(CLAIMS, HemSecret(secret)),
        }
        with pytest.raises(HemAuthenticationError, match="passphrase"):
            attempts[adapter]()
