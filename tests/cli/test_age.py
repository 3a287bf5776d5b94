"""``hem age``: recipients and identities of keys, and what they cost."""

from __future__ import annotations

import json

import pytest
from support.owner import valid
from support.passphrases import PASSPHRASE

from hem_provider.adapters.age.identities import parse_identity

PREFIXES = {"box": "age1", "web": "age1tag1", "post+box": "age1pq1", "web+post": "age1tagpq1"}


@pytest.fixture
def device(rig, hem, monkeypatch, tmp_path):
    for label, kind, usage in (
        ("box", "CURVE25519", None), ("web", "SECP256R1", {"derive"}), ("post", "MLKEM768", None),
        ("signer", "ED25519", None),
    ):  # fmt: skip
        hem.keys.create(kind, label=label, usage=usage)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.setenv("HEM_NAME", "office")
    return rig


def test_recipients_are_those_that_files_are_encrypted_for(device, run):
    for name, prefix in PREFIXES.items():
        status, out, said = run("age", "recipient", name)
        assert (status, said, out.count(b"\n")) == (0, "", 1)
        assert out.decode().startswith(prefix)
        assert run("encrypt", name, "--print-recipients")[1] == out
    device.requests.clear()
    status, out, _ = run("age", "recipient", *PREFIXES)  # which do not go together in one file
    assert (status, out.count(b"\n"), device.requests) == (0, 4, [])
    document = valid(json.loads(run("age", "recipient", "box", "--json")[1]), "age-keys")
    assert document == {"recipients": [out.decode().splitlines()[0]]}


@pytest.mark.parametrize("name", PREFIXES)
def test_an_identity_names_device_and_key_and_tells_what_it_is(device, run, name, hem):
    status, out, said = run("age", "identity", name)
    assert (status, said) == (0, "")
    told, recipient, identity = out.decode().splitlines()
    kids = [hem.keys.find(label=each).kid for each in name.split("+")]
    assert all(each in told for each in ("office", *name.split("+"), *kids))
    assert recipient == "# public key: " + run("age", "recipient", name)[1].decode().strip()
    found = parse_identity(identity)
    assert (found.device, set(found.kids)) == ("office", set(kids))
    assert (found.kids[0] == hem.keys.find(label="post").kid) == ("+" in name)
    document = valid(json.loads(run("age", "identity", name, "--json")[1]), "age-keys")
    (one,) = document["identities"]
    assert (one["identity"], one["device"]) == (identity, "office")
    assert [each["kid"] for each in one["keys"]] == list(found.kids)


def test_identities_are_written_to_a_file_whole_or_not_at_all(device, run, tmp_path):
    file = tmp_path / "keys.txt"
    status, out, said = run("age", "identity", "box", "web", "-o", file)
    assert (status, out, said) == (0, b"", "")
    assert file.read_text().count("\nAGE-PLUGIN-HEM-1") == 2
    status, _, said = run("age", "identity", "box", "-o", file)
    assert (status, said.count("\n")) == (1, 1)
    assert "there is such a file already; --force replaces it" in said
    status, out, _ = run("age", "identity", "box", "-o", file, "--force", "--json")
    assert (status, file.read_text().count("AGE-PLUGIN-HEM-1")) == (0, 1)
    assert json.loads(out)["identities"][0]["identity"] in file.read_text()


@pytest.mark.parametrize("action", ["recipient", "identity"])
@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("nobody", 5, "no key with label 'nobody'"),
        ("signer", 1, "a file can be encrypted for CURVE25519 and SECP256R1 keys"),
        ("post", 1, "together with one of these"),
        ("box+web", 1, "a file can be encrypted for"),
        ("age1qqqq", 2, "is a public key as age has it"),
    ],
)
def test_a_key_that_files_are_not_encrypted_for_is_refused(device, run, action, name, status, told):
    found, out, said = run("age", action, name)
    assert (found, out, said.count("\n")) == (status, b"", 1)
    assert told in said
