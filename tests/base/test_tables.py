"""Facts that stand once: what C must repeat, and what is stored or documented, is held to the tables."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hem_pkcs11 import constants, host
from hem_pkcs11.calls import CALLS
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.login import MAX_PIN
from hem_pkcs11.mechanisms import MECHANISMS, limit_word

from hem_provider import ecdsa, keytypes
from hem_provider.config import passphrase
from hem_provider.config.limits import ACCEPTED
from hem_provider.config.login_source import CONFIGURABLE
from hem_provider.device import description
from hem_provider.device.description import Description, Limits
from hem_provider.device.usage import USAGES, device_mode
from hem_provider.keys import CLASSES
from hem_provider.keytypes import DIGESTS, ECDSA, KEY_TYPES, KID_DIGITS, MAX_CONTEXT, MAX_MESSAGE, Family
from hem_provider.publickeys import curve, kid_of
from hem_provider.rest.keymgmt import check_kid
from hem_provider.symmetric.family import FAMILIES

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "shim" / "openssl"
#: The emulator shares nothing with the client: it has numbers of its own.
CODE = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("hem_provider", "shim")
    for path in sorted((ROOT / folder).rglob("*.[pch]*"))
    if path.suffix in {".py", ".c", ".h"} and "emulator" not in path.relative_to(ROOT).parts
}
EC = {name for name, kind in KEY_TYPES.items() if kind.family is Family.EC}


def read(*parts: str) -> str:
    return ENGINE.joinpath(*parts).read_text()


# --- what C repeats -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("HEM_MESSAGE_USUAL", MAX_MESSAGE),
        ("HEM_MESSAGE_MAX", ACCEPTED["message"][-1]),
        ("HEM_PIN_MAX", MAX_PIN),
        ("HEM_KID_DIGITS", KID_DIGITS),
    ],
)
def test_the_engine_has_the_sizes_of_the_table(name, size):
    assert re.findall(rf"^#define {name} (\d+)", read("sizes.h"), re.MULTILINE) == [str(size)]


def test_the_engine_has_the_constants_of_the_standard_as_the_module_has_them():
    defined = re.findall(r"^#define (CK[A-Z])_(\w+) (0x[0-9A-F]+|\d+)UL", read("pkcs11.h"), re.MULTILINE)
    assert len(defined) > 40
    for group, name, number in defined:
        assert getattr(constants, group)[name] == int(number, 0), f"{group}_{name}"


def test_the_engine_signs_with_the_digests_of_the_table():
    source = read("ec.c")
    rows = re.findall(r"\{NID_(\w+), CKM_ECDSA_(\w+)\}", source)
    assert rows == [(name, name.upper()) for name in ECDSA]
    *first, last = (f"SHA-{name.removeprefix('sha')}" for name in ECDSA)
    assert f"the device signs with {', '.join(first)} and {last}" in source


def test_the_engine_has_room_for_every_raw_public_key():
    [room] = re.findall(r"unsigned char raw\[(\d+)\]", "".join(map(Path.read_text, ENGINE.glob("*.c"))))
    raw = (Family.EDWARDS, Family.MONTGOMERY)
    assert int(room) >= max(kind.public_size for kind in KEY_TYPES.values() if kind.family in raw)


def test_the_engine_names_the_sources_of_a_login_that_a_configuration_can_have():
    quoted = CONFIGURABLE.replace('"', '\\"')
    assert f'"{quoted}"' in read("pin.c")


def test_the_c_layer_hands_on_as_many_words_as_the_arguments_take():
    header = (ROOT / "shim" / "src" / "functions.h").read_text().replace("\\\n", " ")
    shapes = dict(re.findall(r"^#define (\w+_WORDS) (.*)$", header, re.MULTILINE))
    until = r"(?=\b(?:FORWARD|LOCAL)\(C_|#define|#endif)"
    forwards = re.findall(rf"FORWARD\((C_\w+),(.*?){until}", header, re.DOTALL)
    assert {name for name, _ in forwards} >= set(CALLS)
    for name, rest in forwards:
        if name in CALLS:
            words = rest
            while "_WORDS" in words:
                words = re.sub(r"\b\w+_WORDS\b", lambda shape: shapes[shape[0]], words)
            given = len(re.findall(r"\b[NP]\(", words))
            assert given == sum(map(words_of, CALLS[name].kinds)), name


def words_of(kind):
    """How many of C's arguments an argument takes."""
    if hasattr(kind, "words"):
        return kind.words
    from hem_pkcs11.bridge.memory import Memory

    return Memory(None).widths.get(kind, 1)


# --- one statement of each ------------------------------------------------------------------------


#: Number → where it may stand: where it is stated, and where it means something else.
PLACES = {
    MAX_MESSAGE: {
        "hem_provider/keytypes.py": "MAX_MESSAGE = 2048",
        "shim/openssl/sizes.h": "HEM_MESSAGE_USUAL",
        "hem_provider/rest/kdf.py": "pbkdf2_hmac",
        "hem_provider/rest/broker.py": "_LINK",
        "hem_provider/agent/ssh/numbers.py": "MOST_LISTED = 2048",
    },
    MAX_CONTEXT: {
        "hem_provider/keytypes.py": "MAX_CONTEXT = 255|CURVE25519|ED25519",
        "shim/openssl/sizes.h": "HEM_PIN_MAX",
        "shim/hem_pkcs11/login.py": "MAX_PIN = 255",
        "hem_provider/ecdsa.py": "in their shortest form",
        "hem_provider/adapters/syslog.py": "_HOSTNAME, _MSGID = 255, 32",
        "hem_provider/rest/configuration.py": r"text\(0, 255\)",
        "hem_provider/rest/system.py": r"text\(0, 255\)",
    },
}


@pytest.mark.parametrize("number", PLACES)
def test_a_size_stands_in_one_place(number):
    for name, text in CODE.items():
        lines = [line for line in text.splitlines() if re.search(rf"\b{number}\b", line)]
        meant = PLACES[number].get(name, "(?!)")
        assert [line for line in lines if not re.search(meant, line)] == [], name


@pytest.mark.parametrize(
    "words",
    [
        "SHA256WithECDSA",
        "SHA2-384",
        "SHA3-384",
        "SECP521R1()",
        "[0-9a-f]{32}",
        'Family.EDWARDS: "ExDSA"',
        'Family.EDWARDS: frozenset({"sign"})',
    ],
)
def test_no_list_of_names_stands_a_second_time(words):
    vault = "hem_provider/adapters/keyring/vault/format.py"  # a file format has its own
    example = {"hem_provider/device/hem.py"}  # a docstring's
    files = {"hem_provider/files.py", "hem_provider/files/replacement.py"}  # names of temporary files
    found = {name for name, text in CODE.items() if words in text}
    assert found <= {vault, *example, *files}


def test_a_kid_has_one_form():
    kid = kid_of(b"any")
    assert len(kid) == KID_DIGITS
    assert re.fullmatch(keytypes.KID_FORM, kid)
    assert check_kid(kid.upper()) == kid


# --- tables that go together ----------------------------------------------------------------------


def test_every_curve_has_what_each_layer_knows_of_it():
    assert set(ecdsa.ORDERS) == EC
    for name in EC:
        assert curve(name).key_size == KEY_TYPES[name].bits == ecdsa.ORDERS[name].bit_length()
        assert set(KEY_TYPES[name].sign_algorithms) == set(ECDSA.values())


def test_every_type_has_usages_and_a_kind_and_a_class_or_is_symmetric():
    assert set(USAGES) == {kind.family for kind in KEY_TYPES.values()} == set(Family)
    assert set(KINDS) == set(KEY_TYPES)
    assert set(CLASSES) == {name for name, kind in KEY_TYPES.items() if not kind.symmetric}


def test_the_mode_of_an_ec_key_is_the_type_strings_tokens():
    both = device_mode(KEY_TYPES["SECP256R1"], frozenset({"sign", "derive"}))
    assert both == "ECDH,ExDSA"
    listed = keytypes.parse_attributes(f"ATT,PKEY,{both},SECP256R1")
    assert (listed.ecdh, listed.exdsa) == (True, True)


def test_digests_of_hmac_are_key_types():
    assert set(DIGESTS.values()) == {name for name, kind in KEY_TYPES.items() if kind.family is Family.HMAC}


def test_mode_families_are_described():
    assert set(FAMILIES) == set(description.MODE_FAMILIES) == USAGES[Family.AES]


def test_limits_know_each_mechanism_of_keys_that_the_module_offers():
    words = {limit_word(each) for each, row in MECHANISMS.items() if row.key_types and row.algorithm}
    assert words == {f"ecdsa-{name}" for name in ECDSA} <= set(description.MECHANISMS)


def test_the_largest_description_fits_into_a_key():
    largest = Description(
        application_id=bytes(description.MAX_APPLICATION_ID),
        families=frozenset(description.MODE_FAMILIES),
        limits=Limits(frozenset(description.DENIABLE), frozenset(description.MECHANISMS)),
    )
    assert len(largest.pack()) <= keytypes.MAX_DESCR


def test_a_passphrase_file_may_hold_any_pin():
    assert passphrase.MAX_BYTES > MAX_PIN


def test_what_the_module_needs_of_a_host_is_what_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = dict(each.split(">=") for each in project["dependencies"])
    for name, oldest in host.REQUIREMENTS.items():
        assert tuple(map(int, needed[name].split("."))) == oldest[: needed[name].count(".") + 1], name
