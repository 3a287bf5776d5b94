"""The keyring backend over an emulated device: what keyring's users and its chain rely on."""

from __future__ import annotations

import sys

import keyring
import keyring.backend
import keyring.core
import pytest
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError, PasswordSetError
from keyrings.alt.file import PlaintextKeyring

from hem_provider.adapters.keyring import HemKeyring
from hem_provider.adapters.keyring.vault.store import default_path
from hem_provider.cli import main as cli


@pytest.fixture(params=[[], ["--hide-names"]], ids=["clear", "hidden"])
def backend(rig, request):
    assert cli.main(["keyring", "init", *request.param]) == 0
    backend = HemKeyring()
    yield backend
    backend.close()


@pytest.fixture
def plain(rig):
    assert cli.main(["keyring", "init"]) == 0
    backend = HemKeyring()
    yield backend
    backend.close()


@pytest.fixture
def fresh_keyring(monkeypatch):
    """keyring as a new process has it: nothing chosen, nothing found yet."""
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setattr(keyring.backend, "_limit", None)
    monkeypatch.setattr(keyring.backend, "get_all_keyring", keyring.backend.get_all_keyring.__wrapped__)


def test_a_password_is_set_got_and_deleted(backend):
    assert backend.get_password("mail", "anna") is None
    backend.set_password("mail", "anna", "gehéim")
    assert backend.get_password("mail", "anna") == "gehéim"
    assert HemKeyring().get_password("mail", "anna") == "gehéim"
    backend.delete_password("mail", "anna")
    assert backend.get_password("mail", "anna") is None
    with pytest.raises(PasswordDeleteError, match="no password of 'anna' for 'mail'"):
        backend.delete_password("mail", "anna")


def test_a_credential_is_found_with_and_without_its_user_name(backend):
    backend.set_password("mail", "anna", "one")
    for user in ("anna", None):
        credential = backend.get_credential("mail", user)
        assert (credential.username, credential.password) == ("anna", "one")
    assert backend.get_credential("mail", "otto") is None
    assert backend.get_credential("bank", None) is None


def test_a_warm_token_makes_each_get_and_set_one_device_call(backend, rig):
    hidden = "names hidden" in default_path().read_text()
    backend.set_password("mail", "anna", "one")
    expected = ["POST /api/crypto/hmac/hash"] * hidden
    for operation, last in (
        (lambda: backend.set_password("mail", "anna", "two"), ["POST /api/crypto/cipher/wrap"]),
        (lambda: backend.get_password("mail", "anna"), ["POST /api/crypto/cipher/unwrap"]),
        (lambda: backend.get_credential("mail", None), ["POST /api/crypto/cipher/unwrap"]),
        (lambda: backend.get_password("mail", "otto"), []),
    ):
        operation() if not rig.requests else None
        rig.requests.clear()
        operation()
        assert rig.requests == expected + last


def test_a_new_process_needs_one_login_for_a_get(plain, rig):
    plain.set_password("mail", "anna", "one")
    rig.requests.clear()
    HemKeyring().get_password("mail", "anna")
    assert rig.requests == [
        "GET /api/auth/token",
        "POST /api/auth/token",
        "POST /api/crypto/cipher/unwrap",
    ]


def test_what_is_not_in_the_vault_needs_no_device_at_all(plain, monkeypatch):
    """So pip goes on for an index without password while the HEM lies at home."""
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    assert HemKeyring().get_password("https://index.example.org/simple/", "__token__") is None
    assert HemKeyring().get_credential("https://index.example.org/simple/", None) is None


def test_priority_reads_no_file_makes_no_connection_and_asks_no_device(plain, rig):
    HemKeyring.priority  # noqa: B018 - what is cached for the process is cached now
    seen = []
    active = [True]
    sys.addaudithook(
        lambda event, _: (
            seen.append(event)
            if active[0] and event.split(".")[0] in ("open", "socket", "subprocess", "import")
            else None
        )
    )
    rig.requests.clear()
    try:
        for _ in range(10):
            assert HemKeyring.priority == 8
    finally:
        active[0] = False
    assert seen == []
    assert rig.requests == []


def test_without_a_vault_it_is_no_backend_and_says_how_to_become_one(rig):
    with pytest.raises(RuntimeError, match="hem keyring init"):
        HemKeyring.priority  # noqa: B018
    assert not HemKeyring.viable
    for operation, error in (
        (lambda: HemKeyring().get_password("a", "b"), KeyringError),
        (lambda: HemKeyring().set_password("a", "b", "c"), PasswordSetError),
        (lambda: HemKeyring().delete_password("a", "b"), PasswordDeleteError),
    ):
        with pytest.raises(error, match="hem keyring init"):
            operation()


def test_with_raised_privileges_it_is_no_backend(plain, monkeypatch):
    monkeypatch.setattr("hem_provider.adapters.keyring.vault.store.privileges_raised", lambda: True)
    assert not HemKeyring.viable


def test_the_installed_distribution_announces_it():
    from importlib.metadata import entry_points

    (point,) = entry_points(group="keyring.backends", name="hem")
    assert point.load().HemKeyring is HemKeyring


def test_in_a_chain_it_comes_first_and_the_others_still_answer(plain, fresh_keyring, tmp_path, monkeypatch):
    monkeypatch.setattr(PlaintextKeyring, "file_path", str(tmp_path / "plain.cfg"))
    PlaintextKeyring().set_password("forum", "otto", "elsewhere")
    chain = keyring.core.get_keyring()
    assert isinstance(chain, ChainerBackend)
    assert isinstance(chain.backends[0], HemKeyring)
    keyring.set_password("mail", "anna", "here")
    assert keyring.get_password("mail", "anna") == "here"
    assert keyring.get_password("forum", "otto") == "elsewhere"
    assert HemKeyring().get_password("mail", "anna") == "here"
    assert "mail" not in (tmp_path / "plain.cfg").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_failing_set_never_lets_the_chain_store_the_password_elsewhere(
    plain, fresh_keyring, tmp_path, monkeypatch, rig
):
    monkeypatch.setattr(PlaintextKeyring, "file_path", str(tmp_path / "plain.cfg"))
    path = default_path()
    failures = [
        (lambda: rig.fault("POST /api/crypto/cipher/wrap", 503), KeyringLocked),
        (lambda: monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1"), KeyringLocked),
        (lambda: monkeypatch.delenv("HEM_URL"), PasswordSetError),
        (lambda: path.chmod(0o666), PasswordSetError),
        (lambda: (path.chmod(0o600), path.write_bytes(b"not a vault")), PasswordSetError),
    ]
    for arrange, error in failures:
        arrange()
        with pytest.raises(error) as caught:
            ChainerBackend().set_password("mail", "anna", "s3cret")
        assert not isinstance(caught.value, NotImplementedError)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(PasswordSetError):
        HemKeyring().set_password("mail", "anna", "\ud800")
    with pytest.raises(PasswordSetError, match="password: int"):
        HemKeyring().set_password("mail", "anna", 5)
    assert not (tmp_path / "plain.cfg").exists()


def test_a_missing_device_is_told_as_a_locked_keyring(plain, monkeypatch):
    plain.set_password("mail", "anna", "one")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    for operation in (
        lambda: HemKeyring().get_password("mail", "anna"),
        lambda: HemKeyring().get_credential("mail", None),
        lambda: HemKeyring().set_password("mail", "anna", "two"),
    ):
        with pytest.raises(KeyringLocked, match="127.0.0.1:1"):
            operation()
    HemKeyring().delete_password("mail", "anna")  # needs no device


def test_a_wrong_passphrase_is_told_as_a_locked_keyring(plain, tmp_path):
    plain.set_password("mail", "anna", "one")
    (tmp_path / "passphrase").write_text("wrong\n")
    with pytest.raises(KeyringLocked, match="passphrase|rejected|accept"):
        HemKeyring().get_password("mail", "anna")


def test_no_configured_passphrase_and_no_terminal_is_an_error_not_a_prompt(plain, monkeypatch):
    plain.set_password("mail", "anna", "one")
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("asked"))
    with pytest.raises(KeyringLocked, match="a login is needed"):
        HemKeyring().get_password("mail", "anna")


def test_at_a_terminal_a_person_is_asked_once(plain, rig, monkeypatch):
    from support.passphrases import PASSPHRASE

    plain.set_password("mail", "anna", "one")
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or PASSPHRASE)
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    backend = HemKeyring()
    rig.requests.clear()
    assert backend.get_password("mail", "anna") == "one"
    assert backend.get_password("mail", "anna") == "one"
    assert len(asked) == 1
    assert "Passphrase of HEM hem" in asked[0]
    assert sum(each == "POST /api/auth/token" for each in rig.requests) == 1


def test_a_deleted_key_and_another_device_are_told(plain, hem, monkeypatch):
    plain.set_password("mail", "anna", "one")
    kid = default_path().read_text().split("\nkey ")[1][:32]
    hem.keys.delete(kid)
    for operation in (
        lambda: HemKeyring().get_password("mail", "anna"),
        lambda: HemKeyring().set_password("mail", "anna", "two"),
    ):
        with pytest.raises(KeyringLocked, match=f"{kid}.*the device called 'hem': this is another one"):
            operation()


def test_a_reboot_of_the_device_between_two_gets_does_not_show(plain, rig):
    plain.set_password("mail", "anna", "one")
    assert plain.get_password("mail", "anna") == "one"
    rig.reboot()
    assert plain.get_password("mail", "anna") == "one"


def test_properties_choose_vault_and_device(plain, rig, tmp_path, monkeypatch):
    other = tmp_path / "other.vault"
    assert cli.main(["keyring", "init", "--vault", str(other)]) == 0
    elsewhere = plain.with_properties(vault=str(other))
    elsewhere.set_password("mail", "anna", "other")
    assert plain.get_password("mail", "anna") is None
    assert elsewhere.get_password("mail", "anna") == "other"
    monkeypatch.setenv("KEYRING_PROPERTY_VAULT", str(other))
    assert HemKeyring().get_password("mail", "anna") == "other"
    monkeypatch.setenv("KEYRING_PROPERTY_DEVICE", "nowhere")
    with pytest.raises(KeyringError, match="no device is called 'nowhere'"):
        HemKeyring().get_password("mail", "anna")


def test_among_several_devices_the_vault_names_its_own(plain, rig, tmp_path, monkeypatch):
    plain.set_password("mail", "anna", "one")
    config = tmp_path / "config.toml"
    passphrase = tmp_path / "passphrase"
    for names, found in ((("hem", "spare"), True), (("spare", "third"), False), (("renamed",), True)):
        urls = {"hem": f"emulator:{rig.path}", "renamed": f"emulator:{rig.path}"}
        config.write_text(
            "".join(
                f'[[device]]\nname = "{name}"\nurl = "{urls.get(name, "https://127.0.0.1:1")}"\n'
                f'passphrase_file = "{passphrase}"\n'
                for name in names
            )
        )
        config.chmod(0o600)
        monkeypatch.delenv("HEM_URL", raising=False)
        monkeypatch.setenv("HEM_CONFIG", str(config))
        if found:
            assert HemKeyring().get_password("mail", "anna") == "one"
        else:
            with pytest.raises(KeyringError, match="no device is called 'hem'"):
                HemKeyring().get_password("mail", "anna")


@pytest.mark.filterwarnings("ignore:Empty usernames:DeprecationWarning")
def test_odd_names_are_kept_apart(backend):
    names = [("a", "b c"), ("a b", "c"), ("", "x"), ("x", ""), ("%", "%"), ("ä\n", "\t\0"), ("A", "b c")]
    for number, name in enumerate(names):
        backend.set_password(*name, str(number))
    assert [backend.get_password(*name) for name in names] == [str(each) for each in range(len(names))]
