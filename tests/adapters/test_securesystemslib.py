"""Signers of TUF metadata: what python-tuf's client makes of a repository that they signed, what each costs,
and what is no key for it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from securesystemslib.signer import (
    KEY_FOR_TYPE_AND_SCHEME,
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    Signer,
)
from support.passphrases import PASSPHRASE
from support.traffic import LostRequest
from tuf.api.exceptions import DownloadHTTPError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater

from hem_provider.adapters.securesystemslib import HemSigner, register
from hem_provider.errors import (
    HemConfigError,
    HemConnectionError,
    HemKeyAmbiguous,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
    KeyNotExportable,
    MessageTooLong,
)

LATER = datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(days=30)
RELEASE = b"a release\n"
#: Device type → the scheme that securesystemslib signs by.
SCHEMES = {
    "SECP256R1": "ecdsa-sha2-nistp256",
    "SECP384R1": "ecdsa-sha2-nistp384",
    "SECP521R1": "ecdsa-sha2-nistp521",
    "ED25519": "ed25519",
    "MLDSA44": "ml-dsa-44/1",
    "MLDSA65": "ml-dsa-65/1",
    "MLDSA87": "ml-dsa-87/1",
}
ROLES = {"root": "MLDSA44", "timestamp": "ED25519", "snapshot": "SECP384R1", "targets": "SECP256R1"}


@pytest.fixture(autouse=True)
def _schemes_as_they_were():
    before = dict(SIGNER_FOR_URI_SCHEME)
    yield
    SIGNER_FOR_URI_SCHEME.clear()
    SIGNER_FOR_URI_SCHEME.update(before)


class Folder(FetcherInterface):
    """A repository's server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _fetch(self, url):
        path = self.folder / url.removeprefix("https://tuf.example/")
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


def documents(keys):
    root = Root(
        expires=LATER,
        consistent_snapshot=False,
        keys={key.keyid: key for key in keys.values()},
        roles={role: Role([key.keyid], 1) for role, key in keys.items()},
    )
    targets = {"app.tar": TargetFile.from_data("app.tar", RELEASE, ["sha256"])}
    return {
        "root": Metadata(root),
        "timestamp": Metadata(Timestamp(expires=LATER, snapshot_meta=MetaFile(1))),
        "snapshot": Metadata(Snapshot(expires=LATER, meta={"targets.json": MetaFile(1)})),
        "targets": Metadata(Targets(expires=LATER, targets=targets)),
    }


def calls(hem, operation):
    before = hem.statistics.calls - hem.statistics.logins * 2
    made = operation()
    return made, hem.statistics.calls - hem.statistics.logins * 2 - before


def test_pythons_client_of_tuf_takes_a_repository_whose_roles_a_hem_signs_at_one_call_each(hem, tmp_path):
    register(hem)
    uris, keys = {}, {}
    for role, kind in ROLES.items():
        uris[role], keys[role] = HemSigner.import_(hem.keys.create(kind, label=f"tuf {role}"))
    served, cache = tmp_path / "served", tmp_path / "cache"
    served.mkdir()
    cache.mkdir()
    for role, metadata in documents(keys).items():
        signer = Signer.from_priv_key_uri(uris[role], keys[role])
        _, cost = calls(hem, lambda metadata=metadata, signer=signer: metadata.sign(signer))
        assert cost == 1
        (served / f"{'1.' * (role == 'root')}{role}.json").write_bytes(metadata.to_bytes())
    (served / "app.tar").write_bytes(RELEASE)

    def client():
        return Updater(
            str(cache), "https://tuf.example/", str(tmp_path), "https://tuf.example/", Folder(served),
            bootstrap=(served / "1.root.json").read_bytes(),
        )  # fmt: skip

    updater = client()
    info = updater.get_targetinfo("app.tar")
    assert Path(updater.download_target(info)).read_bytes() == RELEASE

    altered = json.loads((served / "targets.json").read_bytes())
    altered["signed"]["targets"]["app.tar"]["length"] += 1
    (served / "targets.json").write_text(json.dumps(altered))
    (cache / "targets.json").unlink()
    with pytest.raises(UnsignedMetadataError):
        client().get_targetinfo("app.tar")


@pytest.mark.parametrize(("kind", "scheme"), SCHEMES.items())
def test_each_type_that_tuf_knows_signs_by_its_scheme(hem, kind, scheme):
    signer = HemSigner(hem.keys.create(kind, label="role"))
    assert signer.public_key.scheme == scheme
    assert (signer.public_key.keytype, scheme) in KEY_FOR_TYPE_AND_SCHEME
    signed, cost = calls(hem, lambda: signer.sign(b"metadata"))
    assert cost == 1
    signer.public_key.verify_signature(signed, b"metadata")


@pytest.mark.parametrize("kind", ["ED25519", "SECP256R1"])
def test_a_document_that_does_not_fit_is_refused_before_anything_is_sent(hem, kind):
    signer = HemSigner(hem.keys.create(kind, label="role"))
    signer.public_key.verify_signature(signer.sign(bytes(2048)), bytes(2048))

    def refused():
        with pytest.raises(MessageTooLong, match="2049 bytes"):
            signer.sign(bytes(2049))

    assert calls(hem, refused)[1] == 0


def test_a_document_of_any_size_is_signed_by_ml_dsa(hem):
    signer = HemSigner(hem.keys.create("MLDSA65", label="bins"))
    document = bytes(1_000_000)
    signed, cost = calls(hem, lambda: signer.sign(document))
    assert cost == 1
    signer.public_key.verify_signature(signed, document)


@pytest.mark.parametrize("name", ["kid", "label", "uri"])
def test_a_uri_names_a_key_as_every_command_does(rig, hem, name):
    key = hem.keys.create("ED25519", label="tuf root 50%")
    names = {"kid": key.kid, "label": "tuf root 50%", "uri": "pkcs11:object=tuf%20root%2050%25;type=private"}
    _, public = HemSigner.import_(key)
    register()
    signer = Signer.from_priv_key_uri(f"hem://{names[name]}", public)
    assert signer.hem_key.kid == key.kid
    public.verify_signature(signer.sign(b"metadata"), b"metadata")


def test_the_key_id_may_be_the_metadatas_own(hem):
    _, public = HemSigner.import_(hem.keys.create("ED25519", label="root"), "root-2026")
    assert public.keyid == "root-2026"


@pytest.mark.parametrize(
    ("uri", "error", "said"),
    [
        ("hem:root", ValueError, "'hem:root' names no key of a HEM; accepted: hem://KEY"),
        ("hem://", ValueError, "names no key of a HEM"),
        ("hem://pkcs11:object", ValueError, "name=value is wanted"),
        ("hem://pkcs11:token=spare;object=root", ValueError, "'spare' is none of the devices here"),
        ("hem://other", HemKeyNotFound, "other"),
        ("hem://" + "0" * 32, HemKeyNotFound, "no key 0000"),
        ("hem://twice", HemKeyAmbiguous, "twice"),
    ],
)
def test_a_wrong_uri_says_what_is_wrong(rig, hem, uri, error, said):
    _, public = HemSigner.import_(hem.keys.create("ED25519", label="root"))
    for _ in range(2):
        hem.keys.create("ED25519", label="twice")
    register()
    with pytest.raises(error, match=said):
        Signer.from_priv_key_uri(uri, public)


def test_a_public_key_that_is_another_keys_is_refused(hem):
    register(hem)
    uri, _ = HemSigner.import_(hem.keys.create("ED25519", label="one"))
    _, other = HemSigner.import_(hem.keys.create("ED25519", label="other"))
    with pytest.raises(Exception, match="does not match"):
        Signer.from_priv_key_uri(uri, other)
    with pytest.raises(ValueError, match="accepted: SSlibKey"):
        Signer.from_priv_key_uri(uri, _Foreign("id", "kind", "scheme", {}))


class _Foreign(Key):
    @classmethod
    def from_dict(cls, keyid, key_dict):
        raise NotImplementedError

    def to_dict(self):
        raise NotImplementedError

    def verify_signature(self, signature, data):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("CURVE25519", {}, HemOperationFailed),
        ("AES256", {"usage": {"aead"}}, HemOperationFailed),
        ("SECP256R1", {"usage": {"derive"}}, HemOperationFailed),
        ("SECP256K1", {"usage": {"sign"}}, ValueError),
        ("ED448", {}, ValueError),
    ],
)
def test_a_key_that_cannot_sign_metadata_is_refused(hem, kind, options, error):
    key = hem.keys.create(kind, label="wrong", **options)
    with pytest.raises(error):
        HemSigner(key)


def test_a_scheme_of_another_type_is_refused(hem):
    key = hem.keys.create("ED25519", label="one")
    other = CryptoSigner.generate_ecdsa().public_key
    with pytest.raises(ValueError, match="invalid ecdsa key"):
        HemSigner(key, other)


def test_the_private_half_is_not_exported(hem):
    with pytest.raises(KeyNotExportable):
        _ = HemSigner(hem.keys.create("ED25519", label="one")).private_bytes


def test_a_device_that_is_away_is_told(rig, hem):
    signer = HemSigner(hem.keys.create("ED25519", label="one"))

    def away():
        raise LostRequest("by the test")

    rig.before_each = away
    with pytest.raises(HemConnectionError):
        signer.sign(b"metadata")


def test_a_passphrase_is_asked_for_where_no_login_is_at_hand(rig, hem, monkeypatch):
    _, public = HemSigner.import_(hem.keys.create("ED25519", label="root"))
    asked = []
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    register()
    with pytest.raises(HemLoginRequired):
        Signer.from_priv_key_uri("hem://root", public)
    signer = Signer.from_priv_key_uri("hem://root", public, lambda name: asked.append(name) or PASSPHRASE)
    assert asked == ["passphrase of HEM hem"]
    public.verify_signature(signer.sign(b"metadata"), b"metadata")
    Signer.from_priv_key_uri("hem://root", public, lambda name: asked.append(name) or "wrong")
    assert len(asked) == 1


def test_without_configuration_it_is_said_what_is_missing(hem, monkeypatch):
    _, public = HemSigner.import_(hem.keys.create("ED25519", label="root"))
    monkeypatch.delenv("HEM_URL", raising=False)
    with pytest.raises(HemConfigError, match="HEM_URL"):
        HemSigner.from_priv_key_uri("hem://root", public)
