"""The vault's file under bad luck: two writers, killed ones, full disks, foreign hands."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest
from adapters.doubles import KID, VAULT, MemoryKeys

from hem_provider.adapters.keyring.vault import store
from hem_provider.adapters.keyring.vault.errors import (
    VaultBusy,
    VaultDamaged,
    VaultError,
    VaultExists,
    VaultMissing,
    VaultUnwritable,
)
from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.store import default_path
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import is_same_file

#: What a writer asks of the system; it is killed before each single call.
SYSTEM_CALLS = [(os, "open"), (fcntl, "flock"), (os, "write"), (os, "fsync"), (os, "close"), (os, "replace")]


def forked(action) -> int:
    """Run ``action`` in a child; its wait status."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def others(vault) -> set[str]:
    return {each.name for each in vault.path.parent.iterdir()} - {vault.path.name, f".{vault.path.name}.lock"}


def test_threads_that_write_at_once_lose_nothing(clear_vault):
    threads = [threading.Thread(target=clear_vault.set, args=("mail", f"u{n}", f"p{n}")) for n in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {user: clear_vault.get("mail", user) for _, user in clear_vault.names()} == {
        f"u{n}": f"p{n}" for n in range(20)
    }


def work(path: Path, number: int) -> None:
    """One of 40: writes its own entry and one that all write, reads both, deletes a third."""
    vault = Vault(path, lambda _: MemoryKeys())
    vault.set("own", str(number), f"p{number}")
    vault.set("shared", "all", f"p{number}")
    vault.set("passing", str(number), "x")
    if vault.get("own", str(number)) != f"p{number}":
        raise AssertionError("own entry")
    if not (vault.get("shared", "all") or "").startswith("p"):
        raise AssertionError("shared entry")
    if not vault.delete("passing", str(number)):
        raise AssertionError("deleted entry")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_40_processes_at_once_lose_nothing(clear_vault):
    fork = get_context("fork")
    workers = [fork.Process(target=work, args=(clear_vault.path, number)) for number in range(40)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0] * 40
    expected = {("own", str(number)) for number in range(40)} | {("shared", "all")}
    assert set(clear_vault.names()) == expected
    assert all(clear_vault.get("own", str(number)) == f"p{number}" for number in range(40))
    assert others(clear_vault) == set()


def killed_at(action, module, name: str, count: int) -> bool:
    """Run ``action`` in a child that is killed just before its ``count``-th call of a function.

    ``False`` when it ended without making so many."""

    def run():
        real, left = getattr(module, name), [count]

        def counted(*arguments, **named):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        setattr(module, name, counted)
        action()

    return os.WIFSIGNALED(forked(run))


@pytest.mark.parametrize(("module", "name"), SYSTEM_CALLS)
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new(clear_vault, module, name):
    clear_vault.set("mail", "otto", "kept")
    for action, allowed in (
        (lambda: clear_vault.set("mail", "anna", "new"), {"old", "new"}),
        (lambda: clear_vault.delete("mail", "anna"), {"old", None}),
    ):
        clear_vault.set("mail", "anna", "old")
        for count in range(1, 20):
            if not killed_at(action, module, name, count):
                break
            assert clear_vault.get("mail", "anna") in allowed
            assert clear_vault.get("mail", "otto") == "kept"
            clear_vault.set("mail", "anna", "old")  # works at once, and clears away what was left
            assert others(clear_vault) == set()
        assert 1 < count < 19  # it was killed at least once, and in the end not


def test_killing_before_the_rename_keeps_the_old_and_leaves_a_file_that_is_cleared_away(clear_vault):
    """The test above would hold for a writer that writes nothing; this one tells the step that counts."""
    clear_vault.set("mail", "anna", "old")
    assert killed_at(lambda: clear_vault.set("mail", "anna", "new"), os, "replace", 1)
    assert clear_vault.get("mail", "anna") == "old"
    assert len(others(clear_vault)) == 1  # the temporary file, whole and unused
    clear_vault.set("mail", "otto", "x")
    assert others(clear_vault) == set()


def test_a_full_disk_leaves_the_vault_as_it_was(clear_vault):
    clear_vault.set("mail", "anna", "old")
    before = clear_vault.path.read_bytes()
    outcome = clear_vault.path.parent / "outcome"

    def write_on_a_full_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, resource.RLIM_INFINITY))
        try:
            clear_vault.set("mail", "otto", "x" * 500)
        except VaultUnwritable as error:
            outcome.write_text(str(error))

    assert forked(write_on_a_full_disk) == 0
    assert "cannot be written" in outcome.read_text()
    assert "as it was before" in outcome.read_text()
    assert clear_vault.path.read_bytes() == before
    outcome.unlink()
    assert others(clear_vault) == set()


def test_a_failing_sync_is_an_error_and_leaves_the_old(clear_vault, monkeypatch):
    clear_vault.set("mail", "anna", "old")

    def fail(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(VaultUnwritable, match="Input/output error"):
            clear_vault.set("mail", "anna", "new")
    assert clear_vault.get("mail", "anna") == "old"
    assert others(clear_vault) == set()


def test_a_lock_that_is_never_freed_is_told(clear_vault, monkeypatch):
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.05)
    lock = clear_vault.path.parent / f".{clear_vault.path.name}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(VaultBusy, match="another process has held this lock"):
            clear_vault.set("mail", "anna", "x")
        assert clear_vault.get("mail", "anna") is None  # reading waits for nobody
    clear_vault.set("mail", "anna", "x")


def test_a_child_that_outlives_the_writer_does_not_keep_the_lock(clear_vault):
    ready, go = os.pipe(), os.pipe()
    with store.locked(clear_vault.path):
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    try:
        clear_vault.set("mail", "anna", "x")
    finally:
        os.write(go[1], b"x")
        os.waitpid(child, 0)
        for each in (*ready, *go):
            os.close(each)


def test_a_lock_file_that_was_removed_does_not_let_two_in(clear_vault):
    lock = clear_vault.path.parent / f".{clear_vault.path.name}.lock"
    descriptor = os.open(lock, os.O_RDWR)
    lock.unlink()
    assert not is_same_file(descriptor, lock)
    os.close(descriptor)
    clear_vault.set("mail", "anna", "x")
    assert clear_vault.get("mail", "anna") == "x"


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_vault_that_others_may_write_is_refused(clear_vault, mode):
    clear_vault.set("mail", "anna", "x")
    clear_vault.path.chmod(mode)
    for operation in (
        lambda: clear_vault.get("mail", "anna"),
        lambda: clear_vault.set("mail", "anna", "y"),
        lambda: clear_vault.delete("mail", "anna"),
    ):
        with pytest.raises(HemConfigError, match="others may write the vault.*chmod go-w"):
            operation()
    clear_vault.path.chmod(0o600)
    assert clear_vault.get("mail", "anna") == "x"


def test_a_vault_in_a_directory_that_others_may_write_is_refused(clear_vault):
    clear_vault.path.parent.chmod(0o777)
    try:
        with pytest.raises(HemConfigError, match="the directory of the vault"):
            clear_vault.get("mail", "anna")
    finally:
        clear_vault.path.parent.chmod(0o700)


def test_a_lock_that_others_may_write_is_refused(clear_vault):
    (clear_vault.path.parent / f".{clear_vault.path.name}.lock").chmod(0o666)
    with pytest.raises(HemConfigError, match="the vault's lock"):
        clear_vault.set("mail", "anna", "x")


def test_files_are_for_the_owner_alone_whatever_the_umask(tmp_path):
    umask = os.umask(0)
    try:
        vault = Vault.create(tmp_path / "new" / "vault", Header(VAULT, "office", KID), lambda _: MemoryKeys())
        vault.set("mail", "anna", "x")
    finally:
        os.umask(umask)
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert (vault.path.parent / ".vault.lock").stat().st_mode & 0o777 == 0o600
    assert vault.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_vault_stays_a_link(clear_vault, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(clear_vault.path)
    linked = Vault(link, lambda _: MemoryKeys())
    linked.set("mail", "anna", "x")
    assert link.is_symlink()
    assert clear_vault.get("mail", "anna") == "x"


def test_a_new_vault_never_replaces_one(clear_vault):
    clear_vault.set("mail", "anna", "x")
    with pytest.raises(VaultExists, match="there is a vault already"):
        Vault.create(clear_vault.path, Header(VAULT, "office", KID), lambda _: MemoryKeys())
    assert clear_vault.get("mail", "anna") == "x"


def test_where_there_is_no_vault_the_command_that_makes_one_is_told(tmp_path):
    vault = Vault(tmp_path / "none", lambda _: MemoryKeys())
    for operation in (
        lambda: vault.get("a", "b"),
        lambda: vault.set("a", "b", "c"),
        lambda: vault.delete("a", "b"),
    ):
        with pytest.raises(VaultMissing, match="hem keyring init"):
            operation()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_place_of_the_vault_is_an_error_of_ours(tmp_path):
    with pytest.raises(VaultError, match="cannot be read: Is a directory"):
        Vault(tmp_path, lambda _: MemoryKeys()).get("a", "b")


def test_a_file_too_large_to_be_a_vault_is_not_read_whole(clear_vault, monkeypatch):
    monkeypatch.setattr(store, "MAX_FILE", 10)
    with pytest.raises(VaultDamaged, match="over 10 bytes"):
        clear_vault.load()


def test_a_vault_never_grows_beyond_what_is_read_again(clear_vault, monkeypatch):
    clear_vault.set("mail", "anna", "x")
    monkeypatch.setattr(store, "MAX_FILE", len(clear_vault.path.read_bytes()) + 10)
    with pytest.raises(VaultUnwritable, match="at most"):
        clear_vault.set("mail", "otto", "y")
    assert list(clear_vault.names()) == [("mail", "anna")]


def test_the_vault_lies_in_the_users_data_directory_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path() == tmp_path / "hem" / "keyring.vault"
    monkeypatch.setenv("KEYRING_PROPERTY_VAULT", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine"
    monkeypatch.delenv("KEYRING_PROPERTY_VAULT")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "share" / "hem" / "keyring.vault"


def test_a_process_with_raised_privileges_uses_no_vault(monkeypatch):
    monkeypatch.setattr(store, "privileges_raised", lambda: True)
    with pytest.raises(HemConfigError, match="raised privileges"):
        default_path()


@pytest.mark.parametrize("kind", ["fifo", "device", "loop"])
def test_what_is_no_regular_file_is_no_vault_and_makes_nobody_wait(tmp_path, kind):
    path = tmp_path / "vault"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path.symlink_to(path)
    vault = Vault(path, lambda _: MemoryKeys())
    with pytest.raises(HemError) as caught:
        vault.get("mail", "anna")
    assert str(path) in str(caught.value)
    assert "chmod" not in str(caught.value)


def test_a_vault_is_looked_for_in_the_home_where_no_shell_has_replaced_the_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYRING_PROPERTY_VAULT", "~/mine")
    Vault.create(default_path(), Header(VAULT, "office", KID), lambda _: MemoryKeys())
    assert (tmp_path / "mine").is_file()
    assert not (tmp_path / "~").exists()
