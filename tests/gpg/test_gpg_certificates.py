"""A certificate's life: made, changed by gpg, made again at another machine, of other keys, revoked."""

from __future__ import annotations

import json
import time

import pytest
from support.emulator import ServedEmulator, client_of
from support.gnupg import ADA, with_passphrase

from hem_provider.rest import keymgmt

MAIL_TIME = 1_700_000_000


@pytest.fixture
def own(desks, tmp_path):
    """Somebody with a device of her own, set up."""
    with ServedEmulator(tmp_path) as emulator:
        desk = desks(with_passphrase(emulator))
        desk.device = emulator
        desk.run("hem", "gpg", "setup", "--name", ADA)
        yield desk
        desk.close()


def keys_of(desk):
    """The fingerprints of a certificate and its subkeys."""
    return [each[9] for each in desk.records("--list-keys") if each[0] == "fpr"]


def test_a_second_setup_makes_nothing_and_changes_no_fingerprint(own):
    before = keys_of(own)
    told = json.loads(own.run("hem", "gpg", "setup", "--json"))
    assert (told["made"], told["fingerprint"], told["name"]) == (0, before[0], ADA)
    assert keys_of(own) == before


def test_another_machine_makes_the_same_certificate_again(own, desks, friend):
    own.gpg("--quick-set-expire", own.fingerprint, "2y")
    sealed = own.gpg("--recipient", "ada@example.org", "--encrypt", data=b"secret")
    desk = desks(with_passphrase(own.device))
    desk.run("hem", "gpg", "import")
    assert keys_of(desk) == keys_of(own)
    assert desk.gpg("--decrypt", data=sealed) == b"secret"
    own.gpg("--verify", data=desk.gpg("--clearsign", data=b"x"))
    # What gpg changed is in gpg's own keyring, and an import beside it takes nothing back.
    own.run("hem", "gpg", "import")
    assert next(each[6] for each in own.records("--list-keys") if each[0] == "pub")


def test_gpg_changes_expiry_names_and_subkeys_with_the_primary_in_the_device(own):
    fingerprint = own.fingerprint
    own.gpg("--quick-set-expire", fingerprint, "1y")
    own.gpg("--quick-set-expire", fingerprint, "6m", "*")
    own.gpg("--quick-add-uid", fingerprint, "Ada <ada@work.example>")
    ends = [each[6] for each in own.records("--list-keys") if each[0] in ("pub", "sub")]
    assert all(int(each) > time.time() + 100 * 86400 for each in ends)
    unprotected = ["--passphrase", "", "--pinentry-mode", "loopback"]
    own.gpg(*unprotected, "--quick-add-key", fingerprint, "ed25519", "sign")
    records = own.records("--check-signatures", fingerprint)
    assert {each[1] for each in records if each[0] == "sig"} == {"!"}
    assert sum(each[0] == "uid" for each in records) == 2
    assert sum(each[0] == "sub" for each in records) == 3
    own.gpg("--quick-revoke-uid", fingerprint, "Ada <ada@work.example>")
    assert sorted(each[1] for each in own.records("--list-keys") if each[0] == "uid") == ["r", "u"]


def test_gpg_makes_a_revocation_of_its_own_with_the_primary_in_the_device(own):
    answers = b"y\n0\n\ny\n"
    revoking = own.run("gpg", "--no-tty", "--command-fd", "0", "--gen-revoke", own.fingerprint, data=answers)
    own.gpg("--import", data=revoking)
    assert next(each[1] for each in own.records("--list-keys") if each[0] == "pub") == "r"


def test_the_revocation_that_setup_keeps_revokes(own):
    kept = own.home / "openpgp-revocs.d" / f"{own.fingerprint}.rev"
    assert kept.stat().st_mode & 0o777 == 0o600
    text = kept.read_bytes()
    own.gpg("--import", data=text, status=2)  # as it is, it does nothing
    assert json.loads(own.run("hem", "gpg", "status", "--json"))["certificates"][0]["state"] == "good"
    own.gpg("--import", data=text.replace(b"\n:-----", b"\n-----"))
    own.gpg("--recipient", "ada@example.org", "--encrypt", data=b"x", status=2)
    own.gpg("--clearsign", data=b"x", status=2)
    assert "revoked" in own.run("hem", "gpg", "status").decode()
    # Made again it stays revoked where the revocation is known.
    own.run("hem", "gpg", "import")
    assert json.loads(own.run("hem", "gpg", "status", "--json"))["certificates"][0]["state"] == "revoked"


def test_keys_that_are_there_can_be_chosen(desks, device):
    with client_of(device) as hem:
        for label, kind, usage in (("my pen", "ED25519", None), ("my box", "SECP256R1", {"derive"})):
            hem.keys.create(kind, label=label, usage=usage)
    desk = desks(with_passphrase(device))
    name = "Böb <bob@example.org>"
    chosen = ["--sign-key", "my pen", "--decrypt-key", "my box"]
    told = json.loads(desk.run("hem", "gpg", "setup", "--json", "--name", name, *chosen))
    assert told["made"] == 1
    sealed = desk.gpg("--recipient", "bob@example.org", "--encrypt", data=b"secret")
    assert desk.gpg("--decrypt", data=sealed) == b"secret"
    desk.gpg("--verify", data=desk.gpg("--clearsign", data=b"x"))
    listed = json.loads(desk.run("hem", "gpg", "status", "--json"))["certificates"]
    (mine,) = [each for each in listed if each["fingerprint"] == told["fingerprint"]]
    assert [(each["role"], each["label"], each["type"]) for each in mine["keys"]] == [
        ("sign", "my pen", "ED25519"),
        ("decrypt", "my box", "SECP256R1"),
        ("authenticate", "gpg login bob@example.org", "ED25519"),
    ]
    with client_of(device) as hem:
        for each in mine["keys"]:
            hem.keys.delete(each["kid"])


def test_keys_of_the_mail_application_are_found_and_their_certificate_made_again(desks, tmp_path):
    with ServedEmulator(tmp_path) as emulator, client_of(emulator) as hem:
        for kind, use in (("ED25519", "sign"), ("CURVE25519", "ecdh")):
            descr = f"ETSPGP:self,ada@example.org,{use},{MAIL_TIME}".encode()
            call = keymgmt.create(type=kind, label=f"pgp-{use}", mode=None, descr=descr, limits=hem.limits)
            hem.session.run(call)
        desk = desks(with_passphrase(emulator))
        desk.run("hem", "gpg", "import")
        head = next(each for each in desk.records("--list-keys") if each[0] == "pub")
        assert (head[5], head[11]) == (str(MAIL_TIME), "scESC")
        sealed = desk.gpg("--recipient", "ada@example.org", "--encrypt", data=b"secret")
        assert desk.gpg("--decrypt", data=sealed) == b"secret"
        desk.gpg("--verify", data=desk.gpg("--clearsign", data=b"x"))
        told = json.loads(desk.run("hem", "gpg", "status", "--json"))["certificates"]
        assert [(each["maker"], each["name"], each["state"]) for each in told] == [
            ("mail", "<ada@example.org>", "good")
        ]
        desk.run("hem", "gpg", "import", "--name", ADA, "ada@example.org")
        assert ADA in [each[9] for each in desk.records("--list-keys") if each[0] == "uid"]
        assert desk.run("hem", "gpg", "export").startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")


def test_two_devices_are_two_cards(desks, tmp_path):
    for each in "ab":
        (tmp_path / each).mkdir()
    with ServedEmulator(tmp_path / "a") as one, ServedEmulator(tmp_path / "b") as other:
        config = tmp_path / "config.toml"
        tables = [
            f'[[device]]\nname = "{name}"\nurl = "{each.https}"\nca_file = "{each.ca_file}"\n'
            f'passphrase_file = "{each.passphrase_file}"\n'
            for name, each in (("office", one), ("spare", other))
        ]
        config.write_text("\n".join(tables))
        config.chmod(0o600)
        desk = desks({"HEM_CONFIG": str(config)})
        prints = {}
        for name in ("office", "spare"):
            user = f"{name} <{name}@example.org>"
            told = desk.run("hem", "gpg", "setup", "--json", "--device", name, "--name", user)
            prints[name] = json.loads(told)["fingerprint"]
        for name in ("office", "spare", "office"):
            signed = desk.gpg("--local-user", f"{name}@example.org", "--clearsign", data=b"x")
            assert (
                prints[name].encode() in desk.tried("gpg", "--status-fd", "1", "--verify", data=signed).stdout
            )
            sealed = desk.gpg("--recipient", f"{name}@example.org", "--encrypt", data=b"secret")
            assert desk.gpg("--decrypt", data=sealed) == b"secret"
        cards = desk.run("gpg-connect-agent", "SCD GETINFO card_list", "/bye").decode()
        assert cards.count("S SERIALNO") == 2
        desk.ask("")
    desk.run("gpgconf", "--kill", "gpg-agent")
    desk.gpg("--local-user", "office@example.org", "--clearsign", data=b"x", status=2)
