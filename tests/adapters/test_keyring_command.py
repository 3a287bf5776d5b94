"""``hem keyring``: what people do with a vault, without a terminal."""

from __future__ import annotations

import io
import json

import pytest
from adapters.doubles import KID, OTHER_KID, body, sealed
from keyring.backend import KeyringBackend
from keyrings.alt.file import EncryptedKeyring
from keyrings.cryptfile.cryptfile import CryptFileKeyring

from hem_provider.adapters.keyring import HemKeyring
from hem_provider.adapters.keyring.vault import bulk
from hem_provider.adapters.keyring.vault.errors import VaultDamaged
from hem_provider.adapters.keyring.vault.format import Contents
from hem_provider.adapters.keyring.vault.store import default_path
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.cli import main as cli
from hem_provider.cli.progress import progress
from hem_provider.errors import HemKeyNotFound, HemTimeout
from hem_provider.installation import install_command

pytestmark = pytest.mark.filterwarnings("ignore:PBKDF2 without:DeprecationWarning")  # keyrings.alt's own

HIDE = pytest.mark.parametrize("hide", [[], ["--hide-names"]], ids=["clear", "hidden"])


class Foreign(KeyringBackend):
    """A backend that does not tell its entries."""

    priority = 1
    passwords = {("mail", "anna"): "one", ("mail", "Otto"): "two", ("odd", "bytes"): b"three"}  # noqa: RUF012

    def get_password(self, service, username):
        if service == "broken":
            raise OSError("the disk is gone")
        return self.passwords.get((service, username))

    def set_password(self, service, username, password):
        raise NotImplementedError


FOREIGN = f"{__name__}.Foreign"


@pytest.fixture
def hem_keyring(rig, capsys):
    """Runs ``hem keyring …``: status, standard output, standard error."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["keyring", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def foreign(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[Foreign.__module__])


def keyring(**properties):
    return HemKeyring().with_properties(**properties)


def kids(path=None) -> set[str]:
    contents = Contents.decode((path or default_path()).read_bytes())
    return {rest[:32].decode() for rest in contents.lines.values()}


@HIDE
def test_init_makes_a_key_for_wrapping_alone_and_an_empty_vault(hem_keyring, hem, hide):
    status, out, said = hem_keyring("init", *hide)
    assert (status, out) == (0, "")
    key = hem.keys.find(label="keyring")
    assert key.type.name == "AES256"
    assert key.family_mark == {"wrap"}
    assert key.kid in said
    assert "keyring set SERVICE USER" in said
    assert bool(hem.keys.search(label="keyring names", type="SHA2-256")) is bool(hide)
    assert hem_keyring("list") == (0, "", "")
    assert hem_keyring("check")[:2] == (0, "0 of 0 entries open\n")


def test_init_never_touches_a_vault_that_is_there_and_makes_no_key_then(hem_keyring, hem):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "one")
    keys = len(hem.keys.search(label="keyring"))
    hem.keys.refresh()
    status, _, said = hem_keyring("init")
    assert status == 1
    assert "there is a vault already" in said
    assert len(hem.keys.search(label="keyring")) == keys
    assert keyring().get_password("mail", "anna") == "one"


def test_init_that_cannot_write_says_how_to_go_on_with_the_key_it_made(hem_keyring, hem, tmp_path):
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder").chmod(0o777)
    target = tmp_path / "folder" / "vault"
    status, _, said = hem_keyring("init", "--vault", target)
    key = hem.keys.find(label="keyring")
    assert status == 1
    assert f"go on with: hem keyring init --key {key.kid}" in said
    (tmp_path / "folder").chmod(0o700)
    assert hem_keyring("init", "--vault", target, "--key", key.kid)[0] == 0
    hem.keys.refresh()
    assert len(hem.keys.search(label="keyring")) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--key", "xyz"], 1, "32 hex digits"),
        (["--key", KID], 5, f"{KID}.*no such key"),
        (["--label", "x" * 33], 1, "33 characters.*1 to 32"),
        (["--device", "nowhere"], 5, "no device is called 'nowhere'"),
        (["--hide-names", "--names-key", KID], 5, f"{KID}.*no such key"),
    ],
)
def test_init_refuses_what_cannot_be_with_the_reason_and_makes_nothing(
    hem_keyring, hem, arguments, status, reason
):
    import re

    found, _, said = hem_keyring("init", *arguments)
    assert found == status
    assert re.search(reason, said)
    assert said.startswith("hem: ")
    assert not default_path().exists()
    assert len(hem.keys) == 0


@pytest.mark.parametrize(
    ("type", "usage", "reason"),
    [("AES128", {"wrap"}, "is AES128; a vault needs AES256"), ("AES256", {"aead"}, "is kept to aead")],
)
def test_init_refuses_a_key_that_is_made_for_something_else(hem_keyring, hem, type, usage, reason):
    key = hem.keys.create(type, label="mine", usage=usage)
    status, _, said = hem_keyring("init", "--key", key.kid)
    assert status == 1
    assert reason in said


def test_init_elsewhere_tells_the_variables_that_lead_there(hem_keyring, tmp_path):
    _, _, said = hem_keyring("init", "--vault", tmp_path / "my vault")
    assert f"export KEYRING_PROPERTY_VAULT='{tmp_path}/my vault'" in said
    assert "export PYTHON_KEYRING_BACKEND=hem_provider.adapters.keyring.HemKeyring" in said


def test_init_tells_how_to_choose_it_when_keyring_is_set_to_another(hem_keyring, monkeypatch):
    import keyring.core

    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    assert "export PYTHON_KEYRING_BACKEND=hem_provider" in hem_keyring("init")[2]


@HIDE
def test_list_names_every_entry_and_no_password(hem_keyring, hide):
    hem_keyring("init", *hide)
    keyring().set_password("mail", "anna", "geheim")
    keyring().set_password("bank\x1b[2J", "ä\nb", "geheim")
    status, out, _ = hem_keyring("list")
    assert status == 0
    assert out == "bank\\x1b[2J\tä\\nb\nmail\tanna\n"
    out = hem_keyring("list", "--json")[1]
    assert [json.loads(line) for line in out.splitlines()] == [["bank\x1b[2J", "ä\nb"], ["mail", "anna"]]


def test_list_needs_no_device_where_names_are_readable(hem_keyring, monkeypatch):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "x")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    assert hem_keyring("list")[:2] == (0, "mail\tanna\n")


def test_check_tells_which_entries_do_not_open(hem_keyring):
    hem_keyring("init")
    for user in ("anna", "otto", "paul"):
        keyring().set_password("mail", user, user)
    assert hem_keyring("check")[:2] == (0, "3 of 3 entries open\n")
    contents = Contents.decode(default_path().read_bytes())
    lines = dict(contents.lines)
    lines[b"mail otto"] = lines[b"mail anna"]
    default_path().write_bytes(Contents(contents.header, lines).encode())
    status, out, said = hem_keyring("check")
    assert (status, out) == (1, "2 of 3 entries open\n")
    assert "entry mail otto: its data key belongs to another entry" in said


def test_check_tells_damage_that_opening_one_entry_would_not_meet(hem_keyring):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "x")
    text = body(default_path().read_bytes()).replace(b"mail anna", b"%6Dail anna")
    default_path().write_bytes(sealed(text))
    assert hem_keyring("check")[:2] == (1, "0 of 1 entries open\n")
    default_path().write_bytes(text)
    status, _, said = hem_keyring("check")
    assert status == 1
    assert "this vault cannot be trusted" in said


@HIDE
def test_rewrap_moves_every_entry_to_a_new_key_and_leaves_contents_sealed_as_they_are(hem_keyring, hem, hide):
    hem_keyring("init", *hide)
    for number in range(5):
        keyring().set_password("mail", str(number), f"p{number}")
    before = Contents.decode(default_path().read_bytes())
    (old,) = kids()
    status, out, said = hem_keyring("rewrap", "--label", "second")
    assert status == 0
    new = hem.keys.find(label="second").kid
    assert out == f"5 entries moved to key {new}\n".replace("5 entries", "5 of 5 entries")
    assert f"key {old} is no longer used by this vault" in said
    after = Contents.decode(default_path().read_bytes())
    assert kids() == {new}
    assert after.header.key == new
    for name, rest in before.lines.items():
        assert after.lines[name].split(b" ")[2] == rest.split(b" ")[2]
        assert after.lines[name].split(b" ")[1] != rest.split(b" ")[1]
    assert [keyring().get_password("mail", str(number)) for number in range(5)] == [f"p{n}" for n in range(5)]
    assert old in [key.kid for key in hem.keys]


def test_rewrap_can_destroy_the_former_key_once_nothing_needs_it(hem_keyring, rig):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "x")
    (old,) = kids()
    status, _, said = hem_keyring("rewrap", "--delete-old-key")
    assert status == 0
    assert f"key {old} is destroyed" in said
    with rig.connect() as again:
        assert old not in [key.kid for key in again.keys]
    assert keyring().get_password("mail", "anna") == "x"


def test_an_interrupted_rewrap_leaves_a_whole_vault_and_goes_on(hem_keyring, hem, rig, monkeypatch):
    hem_keyring("init")
    for number in range(6):
        keyring().set_password("mail", str(number), f"p{number}")
    monkeypatch.setattr(bulk, "_BATCH", 2)
    for _ in range(3):  # the unwraps of three entries succeed, then the device fails
        rig.fault("POST /api/crypto/cipher/unwrap", lambda: None)
    rig.fault("POST /api/crypto/cipher/unwrap", 503)
    status, _, said = hem_keyring("rewrap", "--label", "second")
    assert status == 1
    assert said.startswith("moving to key")
    assert len(kids()) == 2
    assert [keyring().get_password("mail", str(number)) for number in range(6)] == [f"p{n}" for n in range(6)]
    status, out, said = hem_keyring("check")
    assert (status, out) == (0, "6 of 6 entries open\n")
    assert "3 entries are still under a former key" in said
    status, out, said = hem_keyring("rewrap", "--delete-old-key")
    assert status == 0
    assert "going on with the move" in said
    assert out.startswith("3 of 3 entries moved")
    hem.keys.refresh()
    assert kids() == {hem.keys.find(label="second").kid}
    assert not hem.keys.search(label="keyring")


@pytest.mark.parametrize("gone", [KID, OTHER_KID])
def test_rewrap_begins_nothing_unless_both_keys_are_on_the_device(clear_vault, keys, gone):
    """Else a move on the wrong device would leave the vault with a key that it cannot write with."""
    clear_vault.set("a", "b", "c")
    before = clear_vault.path.read_bytes()
    keys.gone.add(gone)
    with pytest.raises(HemKeyNotFound):
        list(bulk.rewrap(clear_vault, OTHER_KID))
    assert clear_vault.path.read_bytes() == before


def test_rewrap_destroys_no_key_while_an_entry_does_not_open(hem_keyring, hem):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "x")
    keyring().set_password("mail", "otto", "y")
    contents = Contents.decode(default_path().read_bytes())
    lines = {**contents.lines, b"mail otto": contents.lines[b"mail anna"]}
    default_path().write_bytes(Contents(contents.header, lines).encode())
    status, out, said = hem_keyring("rewrap", "--label", "second", "--delete-old-key")
    assert status == 1
    assert out.startswith("1 of 2 entries moved")
    assert "no key is destroyed" in said
    assert hem.keys.search(label="keyring")
    assert keyring().get_password("mail", "anna") == "x"


def test_a_set_during_a_rewrap_is_neither_lost_nor_undone(hem_keyring, hem, keys, tmp_path):
    hem_keyring("init")
    for number in range(4):
        keyring().set_password("mail", str(number), "old")
    new = hem.keys.create("AES256", label="second", usage={"wrap"})
    backend = keyring()
    vault = backend._vault()
    for step, _ in enumerate(bulk.rewrap(vault, new.kid)):
        if step == 1:
            backend.set_password("mail", "0", "new")
            backend.set_password("mail", "added", "new")
            backend.delete_password("mail", "3")
    assert backend.get_password("mail", "0") == "new"
    assert backend.get_password("mail", "added") == "new"
    assert backend.get_password("mail", "1") == "old"
    assert kids() == {new.kid}


def encrypted(kind, path, monkeypatch, **passwords):
    monkeypatch.setattr(kind, "file_path", str(path))
    monkeypatch.setattr(kind, "keyring_key", "master", raising=False)
    if kind is CryptFileKeyring:
        monkeypatch.setattr(kind, "time_cost", 1)
        monkeypatch.setattr(kind, "memory_cost", 64)
    source = kind()
    source.set_password("https://upload.example.org/legacy/", "__token__", "pypi-geheim")
    source.set_password("mail", "anna@example.org", "wörd")
    source.set_password("mail", "otto", "")
    return f"{kind.__module__}.{kind.__name__}"


@pytest.mark.parametrize("kind", [EncryptedKeyring, CryptFileKeyring])
@HIDE
def test_entries_of_another_encrypted_backend_are_converted(hem_keyring, monkeypatch, tmp_path, kind, hide):
    name = encrypted(kind, tmp_path / "source.cfg", monkeypatch)
    kept = (tmp_path / "source.cfg").read_bytes()
    hem_keyring("init", *hide)
    status, out, said = hem_keyring("import", name)
    assert (status, out) == (0, "3 imported, 0 there already, 0 failed\n"), said
    for service, user, password in (
        ("https://upload.example.org/legacy/", "__token__", "pypi-geheim"),
        ("mail", "anna@example.org", "wörd"),
        ("mail", "otto", ""),
    ):
        assert keyring().get_password(service, user) == password
    assert (tmp_path / "source.cfg").read_bytes() == kept
    assert hem_keyring("import", name)[:2] == (0, "0 imported, 3 there already, 0 failed\n")


def test_import_keeps_what_is_there_unless_told_to_replace_it(hem_keyring, monkeypatch, tmp_path):
    name = encrypted(EncryptedKeyring, tmp_path / "source.cfg", monkeypatch)
    hem_keyring("init")
    keyring().set_password("mail", "otto", "mine")
    assert hem_keyring("import", name)[1] == "2 imported, 1 there already, 0 failed\n"
    assert keyring().get_password("mail", "otto") == "mine"
    assert hem_keyring("import", name, "--overwrite")[1] == "3 imported, 0 there already, 0 failed\n"
    assert keyring().get_password("mail", "otto") == ""


def test_import_from_a_backend_that_does_not_list_takes_the_names_given(
    hem_keyring, foreign, tmp_path, monkeypatch
):
    hem_keyring("init")
    status, _, said = hem_keyring("import", FOREIGN)
    assert status == 1
    assert f"hem keyring import {FOREIGN} SERVICE USER" in said
    assert hem_keyring("import", FOREIGN, "mail", "anna")[1].startswith("1 imported")
    names = tmp_path / "names"
    names.write_text("mail\tOtto\n\nmail\tanna\n")
    assert hem_keyring("import", FOREIGN, "--names", names)[1].startswith("1 imported, 1 there already")
    assert keyring().get_password("mail", "Otto") == "two"
    names.write_bytes(
        "mail\u2028\tOtto\x85\r\nmail\tanna\r\n".encode()
    )  # a name may have what ends lines elsewhere
    assert "1 there already" in hem_keyring("import", FOREIGN, "--names", names)[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("mail\tOtto\n"))
    assert hem_keyring("import", FOREIGN, "--names", "-")[1].startswith("0 imported, 1 there already")


def test_import_brings_what_it_can_and_tells_the_rest(hem_keyring, foreign):
    hem_keyring("init")
    status, out, said = hem_keyring(
        "import", FOREIGN, "mail", "nobody", "broken", "x", "odd", "bytes", "mail", "anna"
    )
    assert (status, out) == (1, "1 imported, 0 there already, 3 failed\n")
    assert "'mail', 'nobody': the other backend has no such entry" in said
    assert "'broken', 'x': the other backend fails: OSError: the disk is gone" in said
    assert "'odd', 'bytes': the other backend gives bytes, not str" in said
    assert keyring().get_password("mail", "anna") == "one"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say from where"),
        ([FOREIGN, "mail"], "in pairs"),
        ([FOREIGN, "mail", "anna", "--names", "x"], "in pairs"),
        ([FOREIGN, "--names", "/nowhere"], "No such file"),
        (["no.such.Backend"], "no keyring backend 'no.such.Backend' can be loaded"),
        (["hem_provider.adapters.keyring.HemKeyring"], "with --from-vault"),
        ([FOREIGN, "--from-vault", "x"], "not both"),
        (["--from-vault", "/nowhere"], "there is no vault"),
    ],
)
def test_import_refuses_what_makes_no_sense(hem_keyring, foreign, arguments, reason):
    hem_keyring("init")
    status, _, said = hem_keyring("import", *arguments)
    assert status == 1
    assert reason in said


def test_import_refuses_a_line_that_names_no_entry(hem_keyring, foreign, tmp_path):
    hem_keyring("init")
    (tmp_path / "names").write_text("mail\tanna\nmail anna\n")
    status, _, said = hem_keyring("import", FOREIGN, "--names", tmp_path / "names")
    assert status == 1
    assert "line 2: not SERVICE<tab>USER" in said


@HIDE
def test_another_vault_is_imported_as_when_changing_devices(hem_keyring, tmp_path, hide):
    old = tmp_path / "old.vault"
    hem_keyring("init", "--vault", old)
    for user in ("anna", "otto"):
        keyring(vault=str(old)).set_password("mail", user, user)
    hem_keyring("init", *hide)
    assert hem_keyring("import", "--from-vault", old)[:2] == (0, "2 imported, 0 there already, 0 failed\n")
    assert keyring().get_password("mail", "otto") == "otto"


def test_an_import_that_breaks_off_keeps_what_was_done(hem_keyring, rig, monkeypatch, tmp_path):
    name = encrypted(EncryptedKeyring, tmp_path / "source.cfg", monkeypatch)
    hem_keyring("init")
    rig.fault("POST /api/crypto/cipher/wrap", lambda: None)
    rig.fault("POST /api/crypto/cipher/wrap", 503)
    assert hem_keyring("import", name)[0] == 1
    assert len(Contents.decode(default_path().read_bytes())) == 1
    assert hem_keyring("import", name)[:2] == (0, "2 imported, 1 there already, 0 failed\n")


def test_a_missing_device_ends_each_command_with_one_line(hem_keyring, monkeypatch):
    hem_keyring("init")
    keyring().set_password("mail", "anna", "x")
    before = default_path().read_bytes()
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    for action in ("check", "rewrap"):
        status, out, said = hem_keyring(action)
        assert (status, out) == (3, "")
        assert said.startswith("hem: ")
        assert said.count("\n") == 1
    assert default_path().read_bytes() == before


def test_without_the_keyring_package_the_extra_is_named(hem_keyring, monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "hem_provider.cli.keyring_actions", raising=False)
    monkeypatch.delattr("hem_provider.cli.keyring_actions", raising=False)
    monkeypatch.setitem(sys.modules, "keyring.core", None)
    monkeypatch.setitem(sys.modules, "keyring", None)
    status, _, said = hem_keyring("list")
    assert status == 1
    assert "'hem keyring' needs the extra 'keyring', which is not installed" in said
    assert install_command("keyring") in said


def test_a_vault_moved_to_another_key_stops_a_batch_that_was_sealed_before(clear_vault, monkeypatch):
    from hem_provider.adapters.keyring.vault.errors import VaultError
    from hem_provider.adapters.keyring.vault.sealing import Content

    entries = bulk.put_all(clear_vault, [Content("a", "b", "c"), Content("d", "e", "f")])
    next(entries)
    assert [each.fault for each in bulk.rewrap(clear_vault, OTHER_KID)] == []
    with pytest.raises(VaultError, match="moved to another key meanwhile"):
        list(entries)


def test_entries_are_checked_one_by_one_and_a_device_error_ends_it(clear_vault, keys, monkeypatch):
    clear_vault.set("a", "b", "c")
    assert [(each.name, each.fault) for each in bulk.check(clear_vault)] == [("a b", None)]
    keys.seed = b"another device"
    (checked,) = bulk.check(clear_vault)
    assert isinstance(checked.fault, VaultDamaged)

    def fail(*_):
        raise HemTimeout("no answer")

    monkeypatch.setattr(Vault, "open", fail)
    with pytest.raises(HemTimeout):
        list(bulk.check(clear_vault))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_passes_everything_on_and_draws_on_a_terminal(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr("hem_provider.cli.progress.time.monotonic", lambda: float(next(now)))
    screen = Terminal()
    assert list(progress(range(10), 10, "moving", screen)) == list(range(10))
    shown = screen.getvalue().split("\r")
    assert "[###...........................] moving: 1 of 10, 9 s left" in shown[1]
    assert "[##############################] moving: 10 of 10, 0 s left" in shown[10]
    assert shown[-1] == "\x1b[K"


def test_progress_elsewhere_is_a_line_now_and_then(monkeypatch):
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr("hem_provider.cli.progress.time.monotonic", lambda: float(next(now)))
    log = io.StringIO()
    assert list(progress(iter("abcdefg"), 100, "checking", log)) == list("abcdefg")
    assert log.getvalue() == "checking: 3 of 100, 16 min 10 s left\nchecking: 6 of 100, 15 min 40 s left\n"


def test_progress_that_took_no_time_shows_nothing():
    screen = Terminal()
    assert list(progress([1], 1, "checking", screen)) == [1]
    assert screen.getvalue() == ""
