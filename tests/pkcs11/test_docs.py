"""docs/pkcs11.md: its tables are held against the code, its commands are run and counted."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hem_pkcs11.bridge.parameters import _READERS
from hem_pkcs11.calls import CALLS
from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.mechanisms import MECHANISMS
from hem_pkcs11.objects.built_in import built_in_objects
from hem_pkcs11.objects.device_keys import key_attribute_types
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.public_keys import SessionPublicKey
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Mechanism, pack_ulong
from support.emulator import ServedEmulator

from hem_provider import connect
from tools import make_attributes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pkcs11.md"
ABSENT = "–"


def table(*head: str) -> list[list[str]]:
    """The cells of the table whose head begins with these columns."""
    lines = PAGE.read_text().splitlines()
    starts = [n for n, line in enumerate(lines) if cells(line)[: len(head)] == list(head)]
    assert len(starts) == 1, f"{head} is the head of {len(starts)} tables"
    rows = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return rows


def cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip("|").split("|")] if line.startswith("|") else []


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- functions ---------------------------------------------------------------------------------


def functions() -> dict[str, tuple[str, bool]]:
    """Function → the list it came with, and whether the C layer answers it alone."""
    source = (ROOT / "shim" / "src" / "functions.h").read_text()
    found = {}
    for version, body in re.findall(
        r"define HEM_FUNCTIONS_(\d_\d+)\(FORWARD, LOCAL\)(.*?)(?=#define|\Z)", source, re.DOTALL
    ):
        for kind, name in re.findall(r"\b(FORWARD|LOCAL)\((C_\w+)", body):
            found[name] = (version.replace("_", "."), kind == "LOCAL")
    return found


def documented_functions() -> dict[str, tuple[str, str]]:
    return {name: (row[1], row[2]) for row in table("functions", "since") for name in quoted(row[0])}


def test_every_function_is_told_with_the_list_it_came_with():
    assert {name: version for name, (version, _) in functions().items()} == {
        name: version for name, (version, _) in documented_functions().items()
    }


def test_functions_are_told_as_not_supported_exactly_where_nothing_runs():
    for name, (_, local) in functions().items():
        said = "CKR_FUNCTION_NOT_SUPPORTED" in documented_functions()[name][1]
        assert said == (name not in CALLS and not local), name


# --- mechanisms --------------------------------------------------------------------------------

#: Flags of CK_MECHANISM_INFO; other structures use the same bits otherwise.
MECHANISM_FLAGS = [
    "HW", "MESSAGE_ENCRYPT", "MESSAGE_DECRYPT", "MESSAGE_SIGN", "MESSAGE_VERIFY", "MULTI_MESSAGE", "ENCRYPT",
    "DECRYPT", "DIGEST", "SIGN", "SIGN_RECOVER", "VERIFY", "VERIFY_RECOVER", "GENERATE", "GENERATE_KEY_PAIR",
    "WRAP", "UNWRAP", "DERIVE", "ENCAPSULATE", "DECAPSULATE", "EC_F_P", "EC_OID", "EC_CURVENAME",
    "EC_UNCOMPRESS", "EC_COMPRESS",
]  # fmt: skip


def test_mechanisms_are_told_in_order_with_flags_sizes_and_keys():
    told = []
    for name, flags, sizes, keys, *_ in table("mechanism", "flags"):
        smallest, _, largest = sizes.partition("–")
        told.append(
            (
                CKM[quoted(name)[0].removeprefix("CKM_")],
                sum(int(CKF[flag.upper()]) for flag in flags.split()),
                (int(smallest), int(largest)) if largest and smallest else (0, 0),
                frozenset() if keys == ABSENT else frozenset(CKK[each] for each in keys.split(", ")),
            )
        )
    assert told == [
        (row.type, int(row.flags), (row.min_size, row.max_size), row.key_types) for row in MECHANISMS.values()
    ]
    assert {flag for row in table("mechanism", "flags") for flag in row[1].upper().split()} <= set(
        MECHANISM_FLAGS
    )


def test_the_structures_of_mechanism_parameters_are_those_that_are_read():
    for name, _, _, _, parameter, _ in table("mechanism", "flags"):
        mechanism = CKM[quoted(name)[0].removeprefix("CKM_")]
        told = {each for each in quoted(parameter) if each.startswith("CK_") and "MESSAGE" not in each}
        read = {each for each in _READERS.get(mechanism, {}) if each.startswith("CK_")}
        assert told - {"CK_ULONG"} == read, name
        assert ("CK_ULONG" in told) == MECHANISMS[mechanism].general


# --- attributes --------------------------------------------------------------------------------


def assert_told(rows: list[list[str]], column: int, types: Any) -> None:
    told = {quoted(row[0])[0].removeprefix("CKA_") for row in rows if row[column] != ABSENT}
    assert told == {CKA(each).name for each in types}


@pytest.mark.parametrize(
    ("column", "object_class"), [(1, CKO.PUBLIC_KEY), (2, CKO.PRIVATE_KEY), (3, CKO.SECRET_KEY)]
)
def test_attributes_of_keys_in_the_device_are_told(column, object_class):
    assert_told(table("attribute", "public"), column, key_attribute_types(object_class))


@pytest.mark.parametrize(
    ("column", "item"),
    [
        (4, SessionPublicKey(1, KINDS["SECP256R1"], b"", b"", b"")),
        (5, SessionSecretKey(1, b"", CKK.AES, flags=frozenset())),
    ],
)
def test_attributes_of_keys_in_memory_are_told(column, item):
    assert_told(table("attribute", "public"), column, item.attribute_types())


def test_attributes_of_fixed_objects_are_told():
    profile, mechanism = built_in_objects()[0], built_in_objects()[-1]
    assert_told(table("attribute", "certificate"), 3, profile.attribute_types())
    assert_told(table("attribute", "certificate"), 4, mechanism.attribute_types())


def test_attributes_of_certificates_and_data_are_told(core: Any, certificate: bytes):
    session = core.session()
    for column, values in (
        (1, [(CKA.CLASS, pack_ulong(CKO.CERTIFICATE)), (CKA.VALUE, certificate)]),
        (2, [(CKA.CLASS, pack_ulong(CKO.DATA))]),
    ):
        handle = core.ok("C_CreateObject", session, values)
        item: Pkcs11Object = core.module.slots[0].objects.get(handle, private=True)
        assert_told(table("attribute", "certificate"), column, item.attribute_types())


@pytest.fixture
def certificate() -> bytes:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    key, now = Ed25519PrivateKey.generate(), datetime.datetime.now(datetime.UTC)
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
    return builder.sign(key, None).public_bytes(Encoding.DER)


#: What a cell of the attribute tables says of a key whose template was silent.
CONSTANTS = {
    f"{how}{name}": value
    for how in ("fixed: ", "kept (descr): template, else ", "kept (memory): template, else ")
    for name, value in (("true", b"\x01"), ("false", b"\x00"), ("empty", b""))
}


def test_the_attribute_tables_are_what_the_rules_say():
    made = make_attributes.page(PAGE.read_text())
    assert PAGE.read_text() == made, "run: python tools/make_attributes.py"
    stale = made.replace("| `CKA_CLASS` | fixed: the class", "| `CKA_CLASS` | kept: anything", 1)
    assert stale != made
    assert make_attributes.page(stale) == made


def test_every_attribute_of_the_standard_is_told():
    told = {
        name
        for row in table("attribute", "public") + table("attribute", "certificate")
        for name in quoted(row[0])
    }
    text = PAGE.read_text()
    rest = text[
        text.index("<!-- attributes that no object has") : text.index("<!-- end of attributes that no")
    ]
    assert told | {f"CKA_{name}" for name in quoted(rest)} == {f"CKA_{each.name}" for each in CKA}
    assert len(CKA) == 157


def test_attributes_that_are_told_to_be_constant_are(device_core: Any):
    session = device_core.user_session()
    table_of_objects = device_core.module.slots[0].objects
    public, private = device_core.ok(
        "C_GenerateKeyPair", session, Mechanism(CKM.EC_KEY_PAIR_GEN),
        [(CKA.EC_PARAMS, KINDS["SECP256R1"].ec_params)], [],
    )  # fmt: skip
    secret = device_core.ok(
        "C_GenerateKey", session, Mechanism(CKM.AES_KEY_GEN), [(CKA.VALUE_LEN, pack_ulong(32))]
    )
    items = [table_of_objects.get(each, private=True) for each in (public, private, secret)]
    items.append(SessionPublicKey(1, KINDS["SECP256R1"], items[0].key.public_bytes(), b"", b""))
    items.append(SessionSecretKey(1, bytes(32), CKK.AES, flags=frozenset()))
    checked = 0
    for name, *told in table("attribute", "public"):
        kind = CKA[quoted(name)[0].removeprefix("CKA_")]
        for cell, item in zip(told[:-1], items, strict=True):
            constant = cell.partition(";")[0]
            if constant in CONSTANTS:
                assert item.attribute(kind) == CONSTANTS[constant], (name, item.describe())
                checked += 1
            elif constant == "secret: sensitive":
                with pytest.raises(Pkcs11Error, match="ATTRIBUTE_SENSITIVE"):
                    item.attribute(kind)
                checked += 1
    device_core.ok("C_CloseSession", session)
    assert checked > 50


# --- key types ---------------------------------------------------------------------------------


def test_every_type_of_the_device_is_told():
    assert [row[0] for row in table("device type")] == list(KINDS)
    assert len(KINDS) == 23


@pytest.mark.parametrize("row", table("device type"), ids=lambda row: row[0])
def test_what_is_told_to_choose_a_type_makes_that_type(device_core: Any, row: list[str]):
    name, mechanism, chooser, _ = row
    how = Mechanism(CKM[quoted(mechanism)[0].removeprefix("CKM_")])
    template = chosen(chooser)
    session = device_core.user_session()
    if MECHANISMS[how.type].flags & CKF.GENERATE_KEY_PAIR:
        handle = device_core.ok("C_GenerateKeyPair", session, how, template, [])[0]
    else:
        handle = device_core.ok("C_GenerateKey", session, how, template)
    item = device_core.module.slots[0].objects.get(handle, private=True)
    assert item.key.type.name == name
    device_core.ok("C_CloseSession", session)


def chosen(cell: str) -> list[tuple[int, bytes]]:
    """The one attribute that the cell names, with its value."""
    if cell == "the mechanism":
        return []
    kind = CKA[quoted(cell)[0].removeprefix("CKA_")]
    if kind == CKA.EC_PARAMS:
        return [(kind, bytes.fromhex(quoted(cell)[1]))]
    value = re.search(r"= (\d+)", cell)
    assert value is not None
    return [(kind, pack_ulong(int(value[1])))]


def test_the_tools_examples_make_the_types_they_stand_beside(
    library: Path, environment: dict[str, str], emulator: ServedEmulator
):
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        for name, _, _, example in table("device type"):
            for command in quoted(example):
                tool(library, environment, emulator, f"--login {command} --label docs-{name}")
                hem.keys.refresh()
                key = hem.keys.find(label=f"docs-{name}")
                assert key.type.name == name
                hem.keys.delete(key)


def tool(
    library: Path,
    environment: dict[str, str],
    emulator: ServedEmulator,
    arguments: str,
    *,
    program: str = "pkcs11-tool",
    folder: Path | None = None,
) -> None:
    """Run it as the page shows it; module and PIN are added."""
    words = shlex.split(arguments)
    pin = ["--pin", emulator.passphrase] if "--login" in words else []
    added = {
        "pkcs11-tool": ["--module", str(library), *pin],
        "p11tool": ["--provider", str(library), "--set-pin", emulator.passphrase],
    }
    done = subprocess.run(
        [program, *added[program], *words], env=environment, cwd=folder,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)


# --- costs -------------------------------------------------------------------------------------


@pytest.fixture
def three_keys(tmp_path: Path) -> Iterator[ServedEmulator]:
    """The device that the table of costs speaks of."""
    folder = tmp_path / "device"
    folder.mkdir()
    with ServedEmulator(folder) as served:
        with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem:
            hem.keys.create("SECP256R1", label="web", application_id=b"\x11", usage={"sign"})
            hem.keys.create("ED25519", label="ed", application_id=b"\x12", usage={"sign"})
            hem.keys.create("AES256", label="aes", application_id=b"\x21", usage={"cipher"})
        yield served


def test_commands_cost_what_the_page_says(library: Path, three_keys: ServedEmulator, tmp_path: Path):
    environment = environment_of(three_keys, tmp_path)
    (tmp_path / "data").write_text("text")
    told, measured = {}, {}
    for command, *costs in table("command", "no cache: requests, logins"):
        program, _, arguments = quoted(command)[0].partition(" ")
        if shutil.which(program) is None:
            continue  # GnuTLS is not everywhere
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        told[arguments] = [with_this_opensc(each) for each in costs]
        measured[arguments] = []
        for _ in costs:
            before = len(three_keys.calls())
            tool(library, environment, three_keys, arguments, program=program, folder=tmp_path)
            made = len(three_keys.calls(before)), three_keys.logins(before)
            measured[arguments].append("{}, {}".format(*made))
    assert measured == told
    assert len(told) > 10


def with_this_opensc(cost: str) -> str:
    """Of a cell "before; from OpenSC X.Y on after", what holds for the version at hand."""
    before, newer, rest = cost.partition("; from OpenSC ")
    if not newer:
        return before
    version, after = rest.split(" on ")
    said = subprocess.run(["opensc-tool", "--info"], capture_output=True, text=True, check=True).stdout
    here = re.match(r"OpenSC (\d+)\.(\d+)", said)
    assert here is not None, said
    return (
        after
        if [int(each) for each in here.groups()] >= [int(each) for each in version.split(".")]
        else before
    )


def environment_of(served: ServedEmulator, home: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    return clean | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "HEM_URL": served.https,
        "HEM_CA_FILE": str(served.ca_file),
    }
