"""A vault does what a dictionary does, whatever is done to it in whatever order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from adapters.doubles import KID, NAMES_KID, OTHER_KID, VAULT, MemoryKeys
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hem_provider.adapters.keyring.vault import bulk
from hem_provider.adapters.keyring.vault.format import Contents, Header
from hem_provider.adapters.keyring.vault.sealing import Content
from hem_provider.adapters.keyring.vault.vault import Vault

SERVICES = st.sampled_from(["mail", "mail box", "bank", "", "ä", "mai", "%"])
USERS = st.sampled_from(["anna", "otto", "", "an na", "%"])
PASSWORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


class VaultMachine(RuleBasedStateMachine):
    """``self.entries`` is what the vault should hold."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="hem-vault-")
        self.keys = MemoryKeys()
        self.entries = {}
        self.key = KID
        self.moving = None

    @initialize(hidden=st.booleans())
    def make(self, hidden):
        header = Header(VAULT, "office", KID, NAMES_KID if hidden else None)
        self.vault = Vault.create(Path(self.folder.name) / "vault", header, lambda _: self.keys)

    @rule(service=SERVICES, user=USERS, password=PASSWORDS)
    def set(self, service, user, password):
        self.vault.set(service, user, password)
        self.entries[service, user] = password

    @rule(service=SERVICES, user=USERS)
    def get(self, service, user):
        assert self.vault.get(service, user) == self.entries.get((service, user))

    @rule(service=SERVICES, user=USERS)
    def delete(self, service, user):
        assert self.vault.delete(service, user) == ((service, user) in self.entries)
        self.entries.pop((service, user), None)

    @rule(service=SERVICES)
    def first(self, service):
        users = [user for each, user in self.entries if each == service]
        found = self.vault.first(service)
        assert (found is None) == (not users)
        if found is not None:
            assert found.service == service
            assert found.user in users
            assert found.password == self.entries[service, found.user]

    @rule(entries=st.dictionaries(st.tuples(SERVICES, USERS), PASSWORDS, max_size=4))
    def import_several(self, entries):
        for _ in bulk.put_all(self.vault, [Content(*name, password) for name, password in entries.items()]):
            pass
        self.entries.update(entries)

    @precondition(lambda self: self.moving is None)
    @rule()
    def begin_to_move(self):
        self.key = OTHER_KID if self.key == KID else KID
        self.moving = bulk.rewrap(self.vault, self.key)

    @precondition(lambda self: self.moving is not None)
    @rule()
    def move_one(self):
        moved = next(self.moving, None)
        if moved is None:
            self.moving = None
        else:
            assert moved.fault is None

    @precondition(lambda self: self.moving is not None)
    @rule()
    def break_off_the_move(self):
        self.moving.close()
        self.moving = None

    @rule()
    def finish_the_move(self):
        self.moving = None
        for _ in bulk.rewrap(self.vault, self.key):
            pass
        assert bulk.waiting(self.vault.load()) == []

    @invariant()
    def names_are_right_and_the_file_is_canonical(self):
        if hasattr(self, "vault"):
            assert sorted(self.vault.names()) == sorted(self.entries)
            data = self.vault.path.read_bytes()
            assert Contents.decode(data).encode() == data

    def teardown(self):
        if self.moving is not None:
            self.moving.close()
        if hasattr(self, "vault"):
            assert [each.fault for each in bulk.check(self.vault)] == [None] * len(self.entries)
            assert {name: self.vault.get(*name) for name in self.entries} == self.entries
        self.folder.cleanup()


TestVaultMachine = VaultMachine.TestCase
TestVaultMachine.settings = settings(
    max_examples=max(30, settings().max_examples // 4), stateful_step_count=25
)
