"""The subjects that are files of this user: vault, stored objects, caches, configuration."""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import importlib.util
import io
import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from adapters.doubles import KID, NAMES_KID, VAULT, MemoryKeys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hem_pkcs11.constants import CKA, CKO
from support.libraries import module_library

from campaign.subjects import Damaged, State, Subject, Write, text
from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.cli.environment import surrounded
from hem_provider.cli.main import main
from hem_provider.config.editing import Change, edit
from hem_provider.config.toml_file import read_config
from hem_provider.device.cache import DiskCache
from hem_provider.errors import HemError
from hem_provider.publickeys import kid_of
from hem_provider.rest.encoding import b64
from hem_provider.rest.keymgmt import KeyRecord

__all__ = ["CacheSubject", "ConfigSubject", "HiddenVaultSubject", "StoreSubject", "VaultSubject", "command"]

#: Names that are kept at a time; then some are taken away.
_MANY = 10


def _new_name(chance: random.Random) -> str:
    return f"n{chance.getrandbits(48):012x}"


@contextlib.contextmanager
def surroundings(**variables: str | Path) -> Iterator[None]:
    """These variables of the environment, for a while."""
    with surrounded({name: str(value) for name, value in variables.items()}):
        yield


class CommandFailed(Exception):
    """A command of ours ended with another status than 0."""


def command(*arguments: str) -> None:
    """``hem`` with these arguments, in this process; ``CommandFailed`` with its words where it fails."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
        status = main(arguments)
    if status:
        raise CommandFailed(f"status {status}: {said.getvalue().strip()}")


class VaultSubject(Subject):
    """Entries set, set anew and deleted."""

    name = "keyring vault"
    what = "`Vault.set`, `delete`"
    kept = ("vault", ".vault.lock")
    _names_key: str | None = None

    def begin(self) -> None:
        Vault.create(self.folder / "vault", Header(VAULT, "office", KID, self._names_key), self._unlock)

    def _unlock(self, _: Header) -> MemoryKeys:
        return MemoryKeys()

    def _vault(self) -> Vault:
        return Vault(self.folder / "vault", self._unlock)

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        there = sorted(state)
        writes = [Write("set", {_new_name(chance): text(chance)})]
        if there:
            writes.append(Write("set", {chance.choice(there): text(chance)}))
        gone = there[: max(1, len(there) - _MANY)] if len(there) > 2 else []
        writes += [Write("delete", {each: None}) for each in gone]
        chance.shuffle(writes)
        return writes

    def carry_out(self, write: Write) -> None:
        ((name, value),) = write.changes.items()
        if value is not None:
            self._vault().set("service", name, value)
        elif not self._vault().delete("service", name):
            raise RuntimeError(f"{name}: was not there")

    def read(self) -> list[tuple[str, str]]:
        vault = self._vault()
        try:
            return [(name, vault.get(service, name) or "") for service, name in vault.names()]
        except HemError as error:
            raise Damaged(str(error)) from error


class HiddenVaultSubject(VaultSubject):
    """The same with names that only the device can read."""

    name = "keyring vault, names hidden"
    _names_key = NAMES_KID


@cache
def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kills")])
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began.replace(year=2036))
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


class StoreSubject(Subject):
    """Objects made, changed and destroyed by calls of the built library."""

    name = "PKCS#11 object store"
    what = "`C_CreateObject`, `C_SetAttributeValue`, `C_DestroyObject`"
    kept = ("config.toml", "pkcs11-objects/*/.lock", "pkcs11-objects/*/*.json")
    #: Where the emulated device is; shared, since nothing of it is changed.
    device: Path

    def begin(self) -> None:
        config = self.folder / "config.toml"
        config.touch(mode=0o600)
        config.write_text(f'[[device]]\nname = "store"\nurl = "emulator:{self.device}"\n')
        self._library = _library()
        _certificate()  # once, and not in each child
        self.read()  # loads what a first call has to

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        with surroundings(HEM_CONFIG=self.folder / "config.toml"):
            self._library.ok("C_Initialize", None)
            try:
                self._library.session = self._library.open()
                yield self._library
            finally:
                self._library.ok("C_Finalize", None)

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        there = sorted(state)
        writes = [Write("create", {f"{_new_name(chance)}{chance.choice(('', '-certificate'))}": ""})]
        name = next(iter(writes[0].changes))
        writes[0] = Write("create", {name: "" if name.endswith("-certificate") else text(chance)})
        if there:
            chosen = chance.choice(there)
            tail = "-certificate" if chosen.endswith("-certificate") else ""
            writes.append(Write("rename", {chosen: None, f"{_new_name(chance)}{tail}": state[chosen]}))
            data = [each for each in there if not each.endswith("-certificate") and each != chosen]
            writes += [Write("change", {each: text(chance)}) for each in data[:1]]
            gone = [each for each in there if each not in (chosen, *data[:1])]
            writes += [Write("destroy", {each: None}) for each in gone[: max(0, len(there) - _MANY)]]
        chance.shuffle(writes)
        return writes

    def prepare(self) -> None:
        os.environ["HEM_CONFIG"] = str(self.folder / "config.toml")
        self._library.ok("C_Initialize", None)
        self._library.session = self._library.open()
        self._handles = {label: handle for handle, label, _ in self._found(self._library)}

    def carry_out_alone(self, write: Write) -> None:
        with self._session() as p11:
            self._handles = {label: handle for handle, label, _ in self._found(p11)}
            self.carry_out(write)

    def carry_out(self, write: Write) -> None:
        p11, names = self._library, list(write.changes)
        if write.kind == "create":
            (name,) = names
            is_certificate = name.endswith("-certificate")
            rows = [
                (CKA.CLASS, int(CKO.CERTIFICATE if is_certificate else CKO.DATA).to_bytes(8, "little")),
                (CKA.TOKEN, b"\1"),
                (CKA.LABEL, name.encode()),
                (CKA.VALUE, _certificate() if is_certificate else str(write.changes[name]).encode()),
            ]
            if is_certificate:
                rows += [(CKA.CERTIFICATE_TYPE, bytes(8)), (CKA.ID, b"kills")]
            made = ctypes.c_ulong()
            with _template(rows) as table:
                p11.ok("C_CreateObject", p11.session, table, len(rows), ctypes.byref(made))
            self._handles[name] = made.value
        elif write.kind == "destroy":
            p11.ok("C_DestroyObject", p11.session, self._handles.pop(names[0]))
        else:
            kind, value = (
                (CKA.LABEL, names[1]) if write.kind == "rename" else (CKA.VALUE, write.changes[names[0]])
            )
            with _template([(kind, str(value).encode())]) as table:
                p11.ok("C_SetAttributeValue", p11.session, self._handles[names[0]], table, 1)
            if write.kind == "rename":
                self._handles[names[1]] = self._handles.pop(names[0])

    def read(self) -> list[tuple[str, str]]:
        with self._session() as p11:
            found = [(label, value) for _, label, value in self._found(p11)]
        files = sum(each.suffix == ".json" for each in (self.folder).rglob("*.json"))
        if files != len(found):
            raise Damaged(f"{files} files, of which {len(found)} are objects")
        return found

    def _found(self, p11: Any) -> Iterator[tuple[int, str, str]]:
        handles, count = (ctypes.c_ulong * 1000)(), ctypes.c_ulong()
        for kind in (CKO.DATA, CKO.CERTIFICATE):
            with _template([(CKA.CLASS, int(kind).to_bytes(8, "little"))]) as table:
                p11.ok("C_FindObjectsInit", p11.session, table, 1)
            p11.ok("C_FindObjects", p11.session, handles, 1000, ctypes.byref(count))
            p11.ok("C_FindObjectsFinal", p11.session)
            for handle in handles[: count.value]:
                with _template([(CKA.LABEL, bytes(200)), (CKA.VALUE, bytes(4000))]) as table:
                    p11.ok("C_GetAttributeValue", p11.session, handle, table, 2)
                    label, value = (ctypes.string_at(each.value, each.length) for each in table)
                if kind == CKO.CERTIFICATE and value != _certificate():
                    raise Damaged(f"the certificate {label!r} has another value")
                yield handle, label.decode(), "" if kind == CKO.CERTIFICATE else value.decode()


@cache
def _raw() -> Any:
    """The PKCS#11 tests' raw calls; their folder is called as a package of somebody else's."""
    path = Path(__file__).parents[1] / "pkcs11" / "raw.py"
    specification = importlib.util.spec_from_file_location("raw_pkcs11", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@cache
def _library() -> Any:
    return _raw().Library(str(module_library()), b"")


@contextlib.contextmanager
def _template(rows: list[tuple[int, bytes]]) -> Iterator[Any]:
    attribute = _raw().Attribute
    buffers = [ctypes.create_string_buffer(value, len(value)) for _, value in rows]
    pairs = zip(rows, buffers, strict=True)
    yield (attribute * len(rows))(
        *(attribute(kind, ctypes.addressof(at), len(at)) for (kind, _), at in pairs)
    )


class CacheSubject(Subject):
    """Public keys, the list of keys, the last scope and the device's identity, as clients remember them."""

    name = "caches"
    what = "`DiskCache`: list, public keys, scope, identity"
    tells = False
    kept = ("hem/*.keys", "hem/*.list", "hem/*.scope", "hem/*.eid", "hem/*.changed")

    def _cache(self) -> DiskCache:
        os.environ["XDG_CACHE_HOME"] = str(self.folder)
        return DiskCache("https://kills.example")

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        public = chance.randbytes(32)
        writes = [
            Write("list", {"list": text(chance, 4000)}),
            Write("public", {f"key {kid_of(public)}": public.hex()}),
            Write("scope", {"scope": f"keymgmt:use:{chance.randbytes(16).hex()}"}),
            Write("identity", {"eid": b64(chance.randbytes(32))}),
        ]
        if "list" in state and chance.random() < 0.3:
            writes.append(Write("forget", {"list": None}))
        chance.shuffle(writes)
        return writes

    def carry_out(self, write: Write) -> None:
        ((name, value),) = write.changes.items()
        cache = self._cache()
        if write.kind == "list":
            records = [
                KeyRecord(kid="0" * 32, type="ED25519", label=str(value), descr=b"", created=1, updated=1)
            ]
            cache.keep_listing("eid", records, listed=1)
            cache.note_change()
        elif write.kind == "forget":
            cache.forget_listing()
        elif write.kind == "scope":
            cache.keep_scope(str(value))
        elif write.kind == "identity":
            cache.keep_identity(str(value))
        else:
            cache.keep_public(name.removeprefix("key "), bytes.fromhex(str(value)))

    def read(self) -> list[tuple[str, str]]:
        cache, found = self._cache(), []
        listing = cache.listing()
        if listing is not None:
            found.append(("list", listing.records[0].label))
        elif cache.has_listing:
            raise Damaged("the list cannot be read")
        if (scope := cache.scope()) is not None:
            found.append(("scope", scope))
        if (eid := cache.identity()) is not None:
            found.append(("eid", eid))
        for path in self.folder.glob("hem/*.keys"):
            for line in path.read_bytes().splitlines():
                kid = line.partition(b" ")[0].decode()
                if (public := cache.public(kid)) is not None:  # else the line is torn, and counts for nothing
                    found.append((f"key {kid}", public.hex()))
        return found


_CONFIGURATION = """\
# what a person wrote here stays

[[device]]
name = "office"   # the one upstairs
url = "https://office.example"

# of the module
[pkcs11]
login_cache = 300
"""


class ConfigSubject(Subject):
    """The configuration file by ``hem config`` and by what ``hem init`` writes it with."""

    name = "configuration"
    what = "`hem config init`, `hem config set`, `config.editing.edit`"
    kept = ("config.toml",)

    @property
    def _path(self) -> Path:
        return self.folder / "config.toml"

    def begin(self) -> None:
        self._path.touch(mode=0o600)
        self._path.write_text(_CONFIGURATION)

    def plan(self, chance: random.Random, state: State) -> list[Write]:
        there = sorted(name for name in state if name != "office.timeout")
        name = _new_name(chance)
        writes = [
            Write("init", {name: f"https://{name}.example"}),
            Write("set", {"office.timeout": str(chance.randrange(8, 28000) / 8)}),
        ]
        if "office.timeout" in state and chance.random() < 0.3:
            writes.append(Write("unset", {"office.timeout": None}))
        if there:
            chosen = chance.choice(there)
            writes.append(Write("edit", {chosen: f"https://{_new_name(chance)}.example"}))
        chance.shuffle(writes)
        return writes

    life = 25

    def prepare(self) -> None:
        os.environ["HEM_CONFIG"] = str(self._path)

    def carry_out(self, write: Write) -> None:
        ((name, value),) = write.changes.items()
        self.prepare()
        if write.kind == "init":
            command("config", "init", "--offline", "--yes", "--url", str(value), "--name", name)
        elif write.kind == "set":
            command("config", "set", name, str(value))
        elif write.kind == "unset":
            command("config", "set", name, "--unset")
        else:
            edit(self._path, [Change("url", value, device=name)])

    def read(self) -> list[tuple[str, str]]:
        written = self._path.read_text()
        comments = [line.partition("#")[2] for line in written.splitlines() if "#" in line]
        if comments != [line.partition("#")[2] for line in _CONFIGURATION.splitlines() if "#" in line]:
            raise Damaged("comments are not what they were")
        try:
            config = read_config(self._path)
        except HemError as error:
            raise Damaged(str(error)) from error
        found = [(each.name, each.url) for each in config.devices if each.name != "office"]
        office = config.device("office")
        if "timeout" in written:
            found.append(("office.timeout", str(office.timeout)))
        return found
