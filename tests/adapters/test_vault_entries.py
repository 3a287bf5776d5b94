"""Entries of a vault: what was put in comes out, for its owner alone, and altered ones do not open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adapters.doubles import KID, NAMES_KID, OTHER_KID, VAULT, MemoryKeys, body, sealed
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.keyring.vault.errors import EntryRejected, VaultDamaged, VaultError
from hem_provider.adapters.keyring.vault.format import Contents, Header, Record
from hem_provider.adapters.keyring.vault.sealing import (
    MAX_PASSWORD,
    Content,
    open_record,
    rewrap_record,
    seal_record,
)
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.errors import HemKeyNotFound

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
WORDS = (b"mail", b"anna")
CONTENT = Content("mail", "anna", "p4ss wörd")


@given(TEXT, TEXT, TEXT)
def test_a_content_is_read_back_from_its_encoding_only(service, user, password):
    content = Content(service, user, password)
    data = content.encode()
    assert Content.decode(data) == content
    assert len(data) % 64 == 0
    with pytest.raises(ValueError):
        Content.decode(data + bytes(64))
    with pytest.raises(ValueError):
        Content.decode(data[:-1])


@given(st.binary(max_size=200))
def test_no_other_bytes_are_taken_for_a_content(data):
    try:
        content = Content.decode(data)
    except ValueError:
        return
    assert content.encode() == data


def test_a_password_never_shows():
    assert "p4ss" not in repr(CONTENT)
    with pytest.raises(ValueError, match="password: no Unicode text") as caught:
        Content("mail", "anna", "p4ss\ud800").encode()
    assert "p4ss" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(TypeError, match="password: bytes; accepted: str"):
        Content("mail", "anna", b"p4ss").encode()


def test_a_password_may_be_empty_large_and_no_larger(vault):
    for password in ("", "x" * MAX_PASSWORD):
        vault.set("mail", "anna", password)
        assert vault.get("mail", "anna") == password
    before = vault.path.read_bytes()
    with pytest.raises(ValueError, match=f"{MAX_PASSWORD + 1} bytes.*{MAX_PASSWORD}"):
        vault.set("mail", "anna", "x" * (MAX_PASSWORD + 1))
    assert vault.path.read_bytes() == before


def test_every_sealing_has_a_data_key_of_its_own():
    key = MemoryKeys().wrapping(KID)
    one, two = (seal_record(key, KID, VAULT, WORDS, CONTENT) for _ in range(2))
    assert one.wrapped != two.wrapped
    assert one.sealed != two.sealed
    mixed = replace(one, wrapped=two.wrapped)
    with pytest.raises(EntryRejected):
        open_record(key, VAULT, mixed)


def test_an_entry_opens_under_its_own_name_key_and_vault_only():
    device = MemoryKeys()
    key = device.wrapping(KID)
    record = seal_record(key, KID, VAULT, WORDS, CONTENT)
    assert open_record(key, VAULT, record) == CONTENT
    for moved in (
        replace(record, service=b"bank"),
        replace(record, user=b"otto"),
        replace(record, service=b"maila", user=b"nna"),
        replace(record, kid=OTHER_KID),
    ):
        with pytest.raises(EntryRejected, match="belongs to another entry"):
            open_record(key, VAULT, moved)
    with pytest.raises(EntryRejected, match="belongs to another entry"):
        open_record(key, "f" * 32, record)
    with pytest.raises(EntryRejected, match="not accepted"):
        open_record(device.wrapping(OTHER_KID), VAULT, record)


@pytest.mark.parametrize("field", ["wrapped", "sealed"])
def test_every_flipped_bit_and_every_cut_of_an_entry_is_noticed(field):
    key = MemoryKeys().wrapping(KID)
    record = seal_record(key, KID, VAULT, WORDS, CONTENT)
    whole = getattr(record, field)
    for place in range(len(whole)):
        with pytest.raises(EntryRejected):
            open_record(key, VAULT, replace(record, **{field: whole[:place]}))
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            with pytest.raises(EntryRejected):
                open_record(key, VAULT, replace(record, **{field: bytes(altered)}))


def test_another_key_takes_an_entry_over_without_its_content_being_touched():
    device = MemoryKeys()
    old, new = device.wrapping(KID), device.wrapping(OTHER_KID)
    record = seal_record(old, KID, VAULT, WORDS, CONTENT)
    device.calls = 0
    moved = rewrap_record(old, VAULT, record, new, OTHER_KID)
    assert device.calls == 2
    assert moved.sealed == record.sealed
    assert moved.kid == OTHER_KID
    assert open_record(new, VAULT, moved) == CONTENT


def test_what_was_set_is_got_and_what_was_deleted_is_gone(vault):
    assert vault.get("mail", "anna") is None
    vault.set("mail", "anna", "one")
    vault.set("mail", "otto", "two")
    vault.set("mail", "anna", "three")
    assert (vault.get("mail", "anna"), vault.get("mail", "otto")) == ("three", "two")
    assert vault.delete("mail", "anna")
    assert not vault.delete("mail", "anna")
    assert vault.get("mail", "anna") is None
    assert vault.get("mail", "otto") == "two"
    assert list(vault.names()) == [("mail", "otto")]


@given(entries=st.dictionaries(st.tuples(TEXT, TEXT), TEXT, max_size=5))
def test_any_names_and_passwords_are_kept_apart(tmp_path_factory, entries):
    keys = MemoryKeys()
    for names_key in (None, NAMES_KID):
        path = tmp_path_factory.mktemp("any") / "vault"
        vault = Vault.create(path, Header(VAULT, "office", KID, names_key), lambda _: keys)
        for (service, user), password in entries.items():
            vault.set(service, user, password)
        assert {name: vault.get(*name) for name in entries} == entries
        assert sorted(vault.names()) == sorted(entries)


def test_the_first_entry_of_a_service_is_found_without_its_user_name(vault):
    assert vault.first("mail") is None
    for service, user in (("mailbox", "aaa"), ("mail", "otto"), ("mail", "anna"), ("mai", "aaa")):
        vault.set(service, user, f"{service} {user}")
    first = vault.first("mail")
    assert first is not None
    assert first.password == f"mail {first.user}"
    if vault.load().header.names_key is None:
        assert first.user == "anna"


def test_each_operation_costs_the_calls_it_promises(vault, keys):
    hidden = vault.load().header.names_key is not None
    vault.set("mail", "anna", "x")

    def cost(operation, *arguments):
        before = keys.calls
        operation(*arguments)
        return keys.calls - before

    assert cost(vault.set, "mail", "anna", "y") == 1 + hidden
    assert cost(vault.get, "mail", "anna") == 1 + hidden
    assert cost(vault.first, "mail") == 1 + hidden
    assert cost(vault.get, "mail", "otto") == hidden
    assert cost(vault.delete, "mail", "otto") == hidden
    assert cost(lambda: list(vault.names())) == hidden


def test_hidden_names_do_not_stand_in_the_file(tmp_path, keys):
    header = Header(VAULT, "office", KID, NAMES_KID)
    vault = Vault.create(tmp_path / "vault", header, lambda _: keys)
    vault.set("secret-service", "secret-user", "secret-word")
    text = vault.path.read_bytes()
    for word in (b"secret-service", b"secret-user", b"secret-word"):
        assert word not in text


def test_entries_that_change_places_are_noticed(vault):
    vault.set("bank", "anna", "one")
    vault.set("mail", "anna", "two")
    contents = vault.load()
    (left, left_rest), (right, right_rest) = contents.lines.items()
    swapped = Contents(contents.header, {left: right_rest, right: left_rest})
    vault.path.write_bytes(swapped.encode())
    for service in ("bank", "mail"):
        with pytest.raises(EntryRejected, match="belongs to another entry"):
            vault.get(service, "anna")


def test_no_forged_bit_ever_brings_out_another_password(vault):
    """A forger flips each bit in turn and puts the checksum right: the entry opens as it was, is not
    found, or is refused; and a forged name never leads to it."""
    names = {("mail", "anna"): "one", ("mail", "otto"): "two"}
    for name, password in names.items():
        vault.set(*name, password)
    whole = body(vault.path.read_bytes())
    refused = 0
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << (place % 8)
        vault.path.write_bytes(sealed(bytes(altered)))
        for name, password in names.items():
            try:
                assert vault.get(*name) in (password, None)
            except VaultError:
                refused += 1
    assert refused > len(whole)


def test_errors_name_file_and_entry(clear_vault):
    clear_vault.set("mail", "anna", "one")
    contents = clear_vault.load()
    record = clear_vault.record(contents, b"mail anna")
    forged = contents.with_records([replace(record, sealed=record.sealed[:-1])])
    clear_vault.path.write_bytes(forged.encode())
    with pytest.raises(EntryRejected, match=f"{clear_vault.path}: entry mail anna: its sealed content"):
        clear_vault.get("mail", "anna")
    clear_vault.path.write_bytes(b"hello")
    with pytest.raises(VaultDamaged, match=f"{clear_vault.path}: this vault cannot be trusted.*5 bytes"):
        clear_vault.get("mail", "anna")


def test_a_name_in_the_file_that_is_not_canonical_is_refused_when_listed(clear_vault):
    record = Record(b"%6Dail", b"anna", KID, b"", b"")
    clear_vault.path.write_bytes(clear_vault.load().with_records([record]).encode())
    with pytest.raises(VaultDamaged, match="not encoded as this package does it"):
        list(clear_vault.names())


def test_a_key_that_is_gone_is_told_with_the_device_that_had_it(vault, keys):
    vault.set("mail", "anna", "one")
    before = vault.path.read_bytes()
    keys.gone.add(KID)
    for operation in (lambda: vault.get("mail", "anna"), lambda: vault.set("mail", "anna", "two")):
        with pytest.raises(HemKeyNotFound, match=f"no key {KID}; the vault .* device called 'office'"):
            operation()
    assert vault.path.read_bytes() == before


def test_an_entry_sealed_while_the_vault_moved_is_sealed_again_under_the_new_key(
    clear_vault, keys, monkeypatch
):
    """Else it would be lost with the old key."""
    real = Vault.seal

    def move_meanwhile(self, header, content):
        record = real(self, header, content)
        contents = self.load()
        moved = replace(contents.header, key=OTHER_KID)
        self.path.write_bytes(Contents(moved, contents.lines).encode())
        return record

    monkeypatch.setattr(Vault, "seal", move_meanwhile)
    clear_vault.set("mail", "anna", "one")
    assert clear_vault.record(clear_vault.load(), b"mail anna").kid == OTHER_KID


def test_a_vault_that_was_exchanged_meanwhile_is_left_alone(clear_vault, monkeypatch):
    real = Vault.seal

    def exchange(self, header, content):
        record = real(self, header, content)
        self.path.write_bytes(Contents(replace(header, vault="f" * 32)).encode())
        return record

    monkeypatch.setattr(Vault, "seal", exchange)
    with pytest.raises(VaultError, match="another vault was put in its place"):
        clear_vault.set("mail", "anna", "one")
    assert len(clear_vault.load()) == 0
