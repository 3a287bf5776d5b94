"""``sigstore-kms-hem``, asked by a client that is made from the published definition of the protocol: what
cosign and Go's ``crypto.Signer`` hand over, what is signed of it, and what is no request."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from Crypto.Hash import SHA512
from Crypto.Signature import eddsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.pages import reader_of, run_page
from support.traffic import LostRequest

from hem_provider.adapters.sigstore.protocol import read
from hem_provider.cli import sigstore_plugin
from hem_provider.errors import HemRequestRefused

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "cosign.md"
MESSAGE = b'{"critical":{"identity":{"docker-reference":"registry.example/app"}}}'
#: Go's ``crypto.Hash``.
SHA256, SHA384, SHA512_ = 5, 6, 7
#: Device type → the digest that sigstore takes for it (its ``algorithm_registry.go``); of Ed25519 for ph.
NATURAL = {"SECP256R1": "sha256", "SECP384R1": "sha384", "SECP521R1": "sha512", "ED25519": "sha512"}
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def b64(data):
    return base64.b64encode(data).decode()


def request(key, method, arguments, *, default=SHA256, version="v1", **more):
    """As ``PluginArgs`` is written by Go."""
    deadline = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=3)).isoformat()
    rpc = {"ctxDeadline": deadline, "keyVersion": "", "remoteVerification": False} | more
    options = {
        "ctxDeadline": deadline, "protocolVersion": version, "keyResourceID": key, "hashFunc": default,
        "rpcOptions": rpc,
    }  # fmt: skip
    return json.dumps({"initOptions": options, "methodName": method, method: arguments})


def options(digest=None, hashing=None, *, remote=False, version=""):
    """As ``PackSignOptions`` and ``PackVerifyOptions`` have them: a digest that is not there is null."""
    about = {"digest": None if digest is None else b64(digest)}
    if hashing is not None:
        about["hashFunc"] = hashing
    return {"rpcOptions": {"keyVersion": version, "remoteVerification": remote}, "messageOptions": about}


class Refused(Exception):
    """An ``errorMessage``."""


class Client:
    """``PluginClient`` of sigstore, in this process."""

    def __init__(self, monkeypatch, capfd):
        self.monkeypatch = monkeypatch
        self.capfd = capfd

    def run(self, *arguments, stdin=b""):
        """Exit status and standard output."""
        self.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = sigstore_plugin.main(list(arguments))
        out, self.stderr = self.capfd.readouterr()
        assert "Traceback" not in self.stderr
        assert "fault of hem itself" not in self.stderr
        return status, out

    def ask(self, key, method, arguments, *, stdin=b"", **more):
        status, out = self.run("v1", request(key, method, arguments, **more), stdin=stdin)
        response = json.loads(out)
        if "errorMessage" in response:
            assert (set(response), status > 0) == ({"errorMessage"}, True)
            raise Refused(response["errorMessage"])
        assert (set(response), status) == ({method}, 0)
        return response[method]

    def sign(self, key, message, digest=None, hashing=None, **more):
        made = self.ask(key, "signMessage", {"signOptions": options(digest, hashing)}, stdin=message, **more)
        return base64.b64decode(made["signature"], validate=True)

    def verify(self, key, signature, message, digest=None, hashing=None, *, remote=False, **more):
        arguments = {"signature": b64(signature), "verifyOptions": options(digest, hashing, remote=remote)}
        assert self.ask(key, "verifySignature", arguments, stdin=message, **more) == {}

    def public_key(self, key):
        made = self.ask(key, "publicKey", {"publicKeyOptions": {"rpcOptions": {}}})
        return load_pem_public_key(base64.b64decode(made["publicKeyPEM"], validate=True))


@pytest.fixture
def client(rig, monkeypatch, capfd):
    return Client(monkeypatch, capfd)


@pytest.fixture
def keys(hem):
    """A key of each type under its name."""
    for kind in NATURAL:
        hem.keys.create(kind, label=kind, usage={"sign"})


def check(public, signature, message, name):
    """``name``: the digest, ``None`` for pure Ed25519."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, message, ec.ECDSA(HASHES[name]))
    elif name is None:
        public.verify(signature, message)
    else:
        key = eddsa.import_public_key(public.public_bytes_raw())
        eddsa.new(key, "rfc8032").verify(SHA512.new(message), signature)


@pytest.mark.parametrize("kind", NATURAL)
def test_what_cosign_3_hands_over_is_signed_by_one_call(rig, client, keys, kind):
    """The message, and its digest by the hash that is natural for the key; Ed25519ph for Ed25519."""
    name = NATURAL[kind]
    public = client.public_key(kind)
    before = rig.count("POST /api/crypto/")
    signature = client.sign(kind, MESSAGE, hashlib.new(name, MESSAGE).digest())
    assert rig.count("POST /api/crypto/") - before == 1
    check(public, signature, MESSAGE, name)
    client.verify(kind, signature, MESSAGE, hashlib.new(name, MESSAGE).digest())
    with pytest.raises(Refused, match="is not of this message"):
        client.verify(
            kind,
            bytes([*signature[:-1], signature[-1] ^ 1]),
            MESSAGE,
            hashing=SHA512_ if kind == "ED25519" else None,
        )


@pytest.mark.parametrize("kind", NATURAL)
def test_what_cosign_2_hands_over_is_signed(client, keys, kind):
    """The message alone, and SHA-256 for every key; pure Ed25519."""
    signature = client.sign(kind, MESSAGE)
    check(client.public_key(kind), signature, MESSAGE, None if kind == "ED25519" else "sha256")
    client.verify(kind, signature, MESSAGE)
    with pytest.raises(Refused, match="is not of this message"):
        client.verify(kind, signature, MESSAGE + b" ")


@pytest.mark.parametrize("kind", [kind for kind in NATURAL if kind != "ED25519"])
@pytest.mark.parametrize(("number", "name"), [(SHA256, "sha256"), (SHA384, "sha384"), (SHA512_, "sha512")])
def test_a_hash_that_is_asked_for_is_taken(client, keys, kind, number, name):
    public = client.public_key(kind)
    check(public, client.sign(kind, MESSAGE, hashing=number), MESSAGE, name)
    check(public, client.sign(kind, MESSAGE, default=number), MESSAGE, name)
    digest = hashlib.new(name, MESSAGE).digest()
    check(public, client.sign(kind, MESSAGE, digest, number, default=SHA256), MESSAGE, name)
    check(public, client.sign(kind, MESSAGE, default=0), MESSAGE, NATURAL[kind])


@pytest.mark.parametrize("kind", NATURAL)
def test_a_digest_alone_is_refused_in_words_and_without_a_call(rig, client, keys, kind):
    digest = hashlib.new(NATURAL[kind], MESSAGE).digest()
    number = {32: SHA256, 48: SHA384, 64: SHA512_}[len(digest)]
    before = rig.count("POST /api/crypto/")
    for hashing in (number, None):
        with pytest.raises(Refused, match="only a digest of .* a HEM hashes by itself"):
            client.sign(kind, b"", digest, hashing)
    assert rig.count("POST /api/crypto/") == before


def test_gos_crypto_signer_signs_pure_ed25519_whose_digest_is_the_message(client, keys):
    """As ``x509.CreateCertificate`` asks for it: hash function 0."""
    signature = client.sign("ED25519", b"", MESSAGE, 0)
    check(client.public_key("ED25519"), signature, MESSAGE, None)
    client.verify("ED25519", signature, b"", MESSAGE, 0)


def test_ed25519ph_may_be_asked_for_by_its_hash(client, keys):
    signature = client.sign("ED25519", MESSAGE, hashing=SHA512_)
    check(client.public_key("ED25519"), signature, MESSAGE, "sha512")
    client.verify("ED25519", signature, MESSAGE, hashing=SHA512_)
    with pytest.raises(Refused, match="is not of this message"):
        client.verify("ED25519", signature, MESSAGE)  # as if it were pure


@pytest.mark.parametrize(
    ("kind", "digest", "hashing", "said"),
    [
        ("SECP256R1", bytes(32), None, "digest: 32 bytes that are not the sha256 of the message of"),
        ("SECP256R1", bytes(31), None, "digest: 31 bytes that are not the sha256"),
        ("SECP256R1", bytes(48), SHA256, "digest: 48 bytes that are not the sha256"),
        ("SECP256R1", None, 17, r"hashFunc: 17 of Go's crypto.Hash; accepted: 5 \(sha256\), 6"),
        ("ED25519", bytes(64), None, "digest: 64 bytes that are not the sha512"),
        ("ED25519", bytes(32), None, "hashFunc None and a digest of 32 bytes, with an Ed25519 key"),
        ("ED25519", None, SHA256, "hashFunc 5 and a digest of 0 bytes"),
    ],
)
def test_a_digest_that_is_not_the_messages_is_refused(rig, client, keys, kind, digest, hashing, said):
    before = rig.count("POST /api/crypto/")
    with pytest.raises(Refused, match=said):
        client.sign(kind, MESSAGE, digest, hashing)
    with pytest.raises(Refused):
        client.verify(kind, bytes(64), MESSAGE, digest, hashing)
    assert rig.count("POST /api/crypto/") == before


def test_messages_of_1_to_2048_bytes_are_signed_and_no_others(rig, client, keys):
    public = client.public_key("SECP256R1")
    for message in (b"x", bytes(2048)):
        check(public, client.sign("SECP256R1", message, hashlib.sha256(message).digest()), message, "sha256")
    before = rig.count("POST /api/crypto/")
    for size in (2049, 1_000_000):
        message = bytes(size)
        with pytest.raises(Refused, match=f"message: {size} bytes; the device takes at most 2048"):
            client.sign("SECP256R1", message, hashlib.sha256(message).digest())
    for digest in (None, hashlib.sha256().digest()):
        with pytest.raises(Refused, match="message: 0 bytes"):
            client.sign("SECP256R1", b"", digest)
    with pytest.raises(Refused, match="message: 3000 bytes"):
        client.sign("ED25519", b"", bytes(3000), 0)
    assert rig.count("POST /api/crypto/") == before


def test_messages_of_any_size_are_verified_here(rig, client, hem):
    """Whoever signed them: the public half is the device's, the private one is not used."""
    local = ec.generate_private_key(ec.SECP256R1())
    hem.keys.import_public(local.public_key(), label="others")
    message = bytes(3_000_000)
    signature = local.sign(message, ec.ECDSA(hashes.SHA256()))
    before = rig.count("POST /api/crypto/")
    client.verify("others", signature, message)
    client.verify("others", signature, b"", hashlib.sha256(message).digest())
    with pytest.raises(Refused, match="is not of this message"):
        client.verify("others", signature, message + b"x")
    assert rig.count("POST /api/crypto/") == before


@pytest.mark.parametrize("kind", NATURAL)
def test_the_device_verifies_where_that_is_asked_for(rig, client, keys, kind):
    signature = client.sign(kind, MESSAGE)
    before = rig.count("POST /api/crypto/")
    client.verify(kind, signature, MESSAGE, remote=True)
    assert rig.count("POST /api/crypto/") - before == 1
    with pytest.raises(Refused, match="is not of this message"):
        client.verify(kind, signature, MESSAGE + b" ", remote=True)
    with pytest.raises(Refused, match="message: 2049 bytes"):
        client.verify(kind, signature, bytes(2049), remote=True)
    with pytest.raises(Refused, match="is not of this message"):
        client.verify("ED25519", bytes(63), MESSAGE, remote=True)


def test_a_key_is_made_once_under_its_label(client, hem):
    assert client.ask("release", "defaultAlgorithm", {}) == {"defaultAlgorithm": "ecdsa-sha2-256-nistp256"}
    algorithms = client.ask("release", "supportedAlgorithms", {})["supportedAlgorithms"]
    assert algorithms == [
        "ecdsa-sha2-256-nistp256", "ecdsa-sha2-384-nistp384", "ecdsa-sha2-512-nistp521", "ed25519",
    ]  # fmt: skip
    for number, algorithm in enumerate(algorithms):
        label = f"release {number}"
        made = client.ask(label, "createKey", {"algorithm": algorithm})
        assert client.ask(label, "createKey", {"algorithm": algorithm}) == made
        public = load_pem_public_key(base64.b64decode(made["publicKeyPEM"]))
        hem.keys.refresh()
        assert hem.keys.find(label=label).public_key() == public
        assert client.public_key(label) == public
    with pytest.raises(Refused, match="is there already, and is SECP256R1; ed25519 is ED25519"):
        client.ask("release 0", "createKey", {"algorithm": "ed25519"})
    for label, algorithm, said in (
        ("release", "rsa-sign-pkcs1-2048-sha256", "accepted: ecdsa-sha2-256-nistp256"),
        ("0" * 32, "ed25519", "it reads as a KID"),
        ("pkcs11:object=a", "ed25519", "it reads as a URI"),
    ):
        with pytest.raises(Refused, match=said):
            client.ask(label, "createKey", {"algorithm": algorithm})


def test_a_key_is_named_as_every_command_does(client, hem):
    key = hem.keys.create("SECP256R1", label="our release", usage={"sign"})
    public = key.public_key()
    for name in (key.kid, "our release", "pkcs11:object=our%20release;type=private"):
        assert client.public_key(name) == public
        check(public, client.sign(name, MESSAGE), MESSAGE, "sha256")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other", "other"),
        ("0" * 32, "no key 0000"),
        ("pkcs11:token=spare;object=SECP256R1", "'spare' is none of the devices here"),
        ("pkcs11:object", "name=value is wanted"),
        ("box", "is CURVE25519; accepted: SECP256R1"),
        ("koblitz", "is SECP256K1; accepted: SECP256R1"),
        ("agree", "was not made for 'sign'"),
    ],
)
def test_what_is_no_key_that_signs_is_refused(client, hem, name, said):
    hem.keys.create("CURVE25519", label="box")
    hem.keys.create("SECP256K1", label="koblitz", usage={"sign"})
    hem.keys.create("SECP256R1", label="agree", usage={"derive"})
    with pytest.raises(Refused, match=said):
        client.sign(name, MESSAGE)


def test_a_device_that_is_away_is_told(rig, client, keys):
    def away():
        raise LostRequest("by the test")

    rig.before_each = away
    with pytest.raises(Refused, match="hem"):
        client.sign("ED25519", MESSAGE)


def test_a_login_that_is_nowhere_is_told(client, keys, monkeypatch):
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    with pytest.raises(Refused, match="a login is needed.*hem agent unlock"):
        client.sign("ED25519", MESSAGE)


GOOD = json.loads(request("web", "signMessage", {"signOptions": options()}))


def altered(path, value):
    """``GOOD`` with another value; ``...`` leaves it out."""
    document = json.loads(json.dumps(GOOD))
    *above, last = path.split(".")
    at = document
    for each in above:
        at = at[each]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 characters that are no JSON"),
        ("{", "1 characters that are no JSON"),
        ("[" * 100_000, "100000 characters that are no JSON"),
        ("[]", "initOptions: nothing; accepted: an object"),
        (" " * 131_073, "131073 characters; accepted: 131072"),
        (altered("initOptions", []), "initOptions: list; accepted: an object"),
        (altered("initOptions.protocolVersion", "v2"), "protocolVersion: 'v2'; accepted: 'v1'"),
        (altered("initOptions.keyResourceID", ...), "keyResourceID: nothing; accepted: a string"),
        (altered("initOptions.hashFunc", "SHA-256"), "hashFunc: str; accepted: a number"),
        (altered("initOptions.hashFunc", True), "hashFunc: bool; accepted: a number"),
        (
            altered("initOptions.rpcOptions.keyVersion", "3"),
            "keyVersion: '3'; keys of a HEM have no versions",
        ),
        (altered("methodName", "signDigest"), "methodName: 'signDigest'; accepted: defaultAlgorithm"),
        (altered("methodName", "publicKey"), "publicKey: nothing; accepted: an object"),
        (altered("signMessage", None), "signMessage: nothing; accepted: an object"),
    ],
)
def test_what_is_no_request_is_refused(text, said):
    with pytest.raises(HemRequestRefused, match=said):
        read("v1", text)
    with pytest.raises(HemRequestRefused, match="protocol version 'v2'; accepted: 'v1'"):
        read("v2", json.dumps(GOOD))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("digest", "AA", "signOptions.messageOptions.digest: 2 characters that are no base64"),
        ("digest", 5, "signOptions.messageOptions.digest: int; accepted: base64 in a string"),
        ("hashFunc", "5", "hashFunc: str; accepted: a number"),
    ],
)
def test_what_is_no_option_is_refused(client, keys, place, value, said):
    wrong = options()
    wrong["messageOptions"][place] = value
    with pytest.raises(Refused, match=said):
        client.ask("ED25519", "signMessage", {"signOptions": wrong}, stdin=MESSAGE)
    for arguments in ({}, {"signOptions": {}}, {"signOptions": options(version="7")}):
        with pytest.raises(Refused):
            client.ask("ED25519", "signMessage", arguments, stdin=MESSAGE)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.data())
def test_nothing_that_is_sent_makes_it_fail(data):
    """Any text, and a request with any value in any place: a request, or refused with its reason."""
    options = ("rpcOptions", "hashFunc", "keyResourceID")
    places = ["initOptions", *(f"initOptions.{each}" for each in options), "methodName", "signMessage"]
    text = data.draw(st.text(max_size=50) | st.builds(altered, st.sampled_from(places), _VALUES))
    with contextlib.suppress(HemRequestRefused):
        assert read("v1", text).method


def test_a_person_who_starts_it_is_told_what_it_is_for(client):
    status, out = client.run()
    assert (status, out) == (2, "")
    assert "cosign sign-blob --key hem://release FILE" in client.stderr
    status, out = client.run("--help")
    assert status == 0
    assert "cosign sign-blob --key hem://release FILE" in out
    status, out = client.run("--version")
    assert (status, out.split()[0]) == (0, "sigstore-kms-hem")


def test_standard_output_has_the_response_alone(client, keys, monkeypatch):
    monkeypatch.setattr(
        "hem_provider.adapters.sigstore.methods.answer", lambda *_: print("noise") or {"publicKey": {}}
    )
    status, out = client.run("v1", request("ED25519", "publicKey", {"publicKeyOptions": {}}))
    assert (status, json.loads(out)) == (0, {"publicKey": {}})
    assert client.stderr == "noise\n"


def test_the_program_with_the_agent_signs_by_one_call(tmp_path):
    """As cosign starts it: by its name, with the whole request in one argument."""
    program = Path(sys.executable).with_name("sigstore-kms-hem")
    with ServedEmulator(tmp_path) as served:
        with client_of(served) as hem:
            public = hem.keys.create("SECP256R1", label="release", usage={"sign"}).public_key()
        with RunningAgent(served, "--allow", "use") as running:
            running.unlock()

            def sign():
                asked = request(
                    "release", "signMessage", {"signOptions": options(hashlib.sha256(MESSAGE).digest())}
                )
                done = subprocess.run(
                    [program, "v1", asked], input=MESSAGE, env=running.environment, capture_output=True,
                    check=True, timeout=60,
                )  # fmt: skip
                assert done.stderr == b""
                return base64.b64decode(json.loads(done.stdout)["signMessage"]["signature"])

            check(public, sign(), MESSAGE, "sha256")
            before = len(served.calls())
            check(public, sign(), MESSAGE, "sha256")
            assert (len(served.calls()) - before, served.logins(before)) == (1, 0)


def test_a_wrong_signature_is_found_by_this_tests_own_check(hem):
    public = hem.keys.create("ED25519", label="a").public_key()
    for name in (None, "sha512"):
        with pytest.raises((InvalidSignature, ValueError)):
            check(public, bytes(64), MESSAGE, name)


def test_the_page_works_as_printed(tmp_path, tmp_path_factory):
    """Its blocks with cosign where that is installed."""
    with ServedEmulator(tmp_path_factory.mktemp("device")) as emulator:
        environment = reader_of(emulator, tmp_path)
        there = shutil.which("cosign") is not None
        run_page(PAGE, environment=environment, folder=tmp_path, newer=there)
