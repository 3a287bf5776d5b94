"""A firmware with other limits, from a TOML file: it takes what the file says and keeps it in its state."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import fields
from pathlib import Path

import pytest
from support.rig import ADMIN, PASSPHRASE, Rig

from hem_provider.emulator import EmulatedDevice, inprocess, open_device
from hem_provider.emulator.control import run
from hem_provider.emulator.firmware import FIRMWARE_1_2_2, Firmware, Limits
from hem_provider.emulator.firmwarefile import load_firmware
from hem_provider.emulator.setup import initialise
from hem_provider.emulator.wsgiclient import call

WIDE = """
version = "1.7.0"
hardware = "PPA rev 3.0"
bootloader = "Encedo Secure Bootloader v3.0.0"

[limits]
message = 65536
context = 200
derivation = 100
label = 48
descr = 128
body = 131072

[quirks]
Q23 = 404
GET_BARE = false
"""


def b64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "firmware.toml"
    path.write_text(WIDE)
    return path


@pytest.fixture
def wide(make_rig, firmware):
    return make_rig(firmware=firmware)


def test_the_defaults_are_firmware_1_2_2(tmp_path):
    empty = tmp_path / "empty.toml"
    empty.touch()
    assert load_firmware(empty) == FIRMWARE_1_2_2 == Firmware()
    assert Limits() == Limits(message=2048, context=255, derivation=64, label=32)
    assert {row.name for row in fields(Limits)} == {"message", "context", "derivation", "label"}


def test_nothing_else_in_the_emulator_knows_the_limits_of_1_2_2():
    folder = Path(inprocess.__file__).parent
    elsewhere = set(folder.rglob("*.py")) - {folder / "firmware.py", folder / "quirks.py"}
    numbers = re.compile(r"\b(2048|2056|2064|7300|255)\b(?! bytes\.\"\"\")")
    assert not [str(path) for path in elsewhere if numbers.search(path.read_text())]


def test_the_versions_are_those_of_the_file_and_say_emulator(wide):
    answer = wide.call("GET", "/api/system/version").json()
    assert answer["fwv"] == "Encedo nGINE FW v1.7.0"
    assert answer["hwv"] == "PPA rev 3.0 EMULATOR"
    assert answer["blv"] == "Encedo Secure Bootloader v3.0.0"


@pytest.mark.parametrize("size", [2049, 40_000, 65_536])
def test_messages_up_to_the_limit_are_signed_and_encrypted(wide, size):
    signer, aes = wide.create("ED25519"), wide.create("AES256")
    signed = wide.crypto("exdsa/sign", signer, msg=b64(bytes(size)), alg="Ed25519")
    assert signed.status == 200
    verified = wide.crypto(
        "exdsa/verify", signer, msg=b64(bytes(size)), alg="Ed25519", sign=signed.json()["sign"]
    )
    assert verified.status == 200
    made = wide.crypto("cipher/encrypt", aes, msg=b64(bytes(size)), alg="AES256-CBC").json()
    opened = wide.crypto("cipher/decrypt", aes, msg=made["ciphertext"], alg="AES256-CBC", iv=made["iv"])
    assert opened.json()["plaintext"] == b64(bytes(size))


@pytest.mark.parametrize(
    ("path", "kind", "fields", "most"),
    [
        ("exdsa/sign", "ED25519", {"alg": "Ed25519"}, 65_536),
        ("hmac/hash", "SHA2-256", {}, 65_536),
        ("cipher/wrap", "AES256", {}, 65_536),
    ],
)
def test_one_byte_more_is_400(wide, path, kind, fields, most):
    kid = wide.create(kind)
    assert wide.crypto(path, kid, msg=b64(bytes(most)), **fields).status == 200
    assert wide.crypto(path, kid, msg=b64(bytes(most + 1)), **fields).status == 400


def test_decrypt_and_unwrap_take_what_encrypt_and_wrap_give(wide):
    kid = wide.create("AES256")
    wrapped = wide.crypto("cipher/wrap", kid, msg=b64(bytes(65_536))).json()["wrapped"]
    assert wide.crypto("cipher/unwrap", kid, msg=wrapped).status == 200
    made = wide.crypto("cipher/encrypt", kid, msg=b64(bytes(65_536)), alg="AES256-CBC").json()
    assert len(made["ciphertext"]) == len(b64(bytes(65_552)))
    assert (
        wide.crypto("cipher/decrypt", kid, msg=made["ciphertext"], alg="AES256-CBC", iv=made["iv"]).status
        == 200
    )


def test_contexts_and_labels_have_the_limits_of_the_file(wide):
    ed448 = wide.create("ED448", label="a" * 48)
    for size, status in ((200, 200), (201, 400)):
        signed = wide.crypto("exdsa/sign", ed448, msg=b64(b"x"), alg="Ed448", ctx=b64(bytes(size)))
        assert signed.status == status
    too_long = {"label": "a" * 49, "type": "ED448"}
    create = wide.call("POST", "/api/keymgmt/create", too_long, token=wide.token("keymgmt:gen"))
    assert create.status == 400
    agreed, peer = wide.create("CURVE25519"), wide.create("CURVE25519")
    for size, status in ((100, 200), (101, 400)):
        sealed = wide.crypto(
            "cipher/encrypt", agreed, msg=b64(b"x"), alg="AES256-GCM", ext_kid=peer, ctx=b64(bytes(size))
        )
        assert sealed.status == status


def test_a_descr_of_128_bytes_is_kept_found_and_read_back(wide):
    descr = bytes(range(128))
    kid = wide.create("ED25519", descr=b64(descr))
    search = {"descr": f"^{b64(descr)}"}
    found = wide.call("POST", "/api/keymgmt/search", search, token=wide.token("keymgmt:search")).json()
    assert [(entry["kid"], entry["descr"]) for entry in found["list"]] == [(kid, b64(descr))]
    got = wide.call("GET", f"/api/keymgmt/get/{kid}", token=wide.token("keymgmt:get")).json()
    assert got["descr"] == b64(descr)  # GET_BARE is off in the file


def test_what_the_file_leaves_out_is_as_1_2_2(make_rig, tmp_path):
    path = tmp_path / "some.toml"
    path.write_text("[limits]\ndescr = 128\n")
    rig = make_rig(firmware=path)
    kid = rig.create("ED25519")
    assert rig.crypto("exdsa/sign", kid, msg=b64(bytes(2048)), alg="Ed25519").status == 200
    assert rig.crypto("exdsa/sign", kid, msg=b64(bytes(2049)), alg="Ed25519").status == 400
    assert rig.call("GET", "/api/system/version").json()["fwv"] == "Encedo nGINE FW v1.2.2"


def test_a_switch_set_by_hand_wins_over_the_files_and_lasts(wide, firmware):
    values = run(wide.device, "quirks")
    assert (values["Q23"], values["Q8"], values["Q40"], values["U29"]) == (404, False, 131_072, 128)
    wide.quirk("Q23", "200")
    path = wide.device.store.path
    with EmulatedDevice(path, firmware=firmware) as again:
        assert run(again, "quirks")["Q23"] == 200


def test_a_later_start_without_the_option_keeps_it_and_a_reset_too(wide):
    path = wide.device.store.path
    with open_device(str(path)) as again:
        for how in (None, "reboot", "wipe", "factory"):
            if how is not None:
                run(again, "reset", {"how": how})
            assert call(again.device, "GET", "/api/system/version").json()["fwv"].endswith("v1.7.0")
            with again.model.transaction():
                assert again.model.switches.limits.message == 65_536


def test_another_file_takes_the_place_of_the_first(wide, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('version = "1.2.3"\n')
    with open_device(str(wide.device.store.path), firmware=other) as again:
        assert call(again.device, "GET", "/api/system/version").json()["fwv"].endswith("v1.2.3")
        assert run(again, "quirks")["U29"] == 64


def test_initialise_makes_a_device_of_a_firmware(tmp_path, firmware):
    path = tmp_path / "made.hem"
    initialise(path, passphrase=PASSPHRASE, admin_passphrase=ADMIN, firmware=firmware)
    with open_device(str(path)) as device:
        assert call(device.device, "GET", "/api/system/version").json()["fwv"].endswith("v1.7.0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit = 5", r"no key limit; accepted: version, hardware, bootloader, limits, quirks"),
        ("version = 122", r"version = 122; accepted: a text of 1 to 64 printable"),
        ('version = ""', r"version = ''; accepted"),
        ("limits = 4096", r"limits = 4096; accepted: a table, \[limits\]"),
        ("[limits]\nmsg = 4096", r"no key limits\.msg; accepted: limits\.message, limits\.context"),
        ("[limits]\nmessage = 0", r"limits\.message = 0; accepted: a whole number from 1 to 16777216"),
        ("[limits]\nmessage = true", r"limits\.message = True; accepted"),
        ('[limits]\ncontext = "255"', r"limits\.context = '255'; accepted: a whole number from 1 to 255"),
        ("[limits]\ncontext = 256", r"limits\.context = 256; accepted: a whole number from 1 to 255"),
        ("[limits]\ndescr = 1.5", r"limits\.descr = 1\.5; accepted: a whole number from 1 to 65535"),
        ("[limits]\nmessage = 65536", r"limits\.body = 7300; with limits\.message = 65536 accepted: 87896"),
        ("[limits]\ndescr = 128\n[quirks]\nU29 = 63", r"limits\.descr and quirks\.U29 say the same"),
        ("[quirks]\nQ99 = 1", r"quirks\.Q99: no quirk 'Q99'"),
        ("[quirks]\nQ23 = 500", r"quirks\.Q23: Q23 is one of 200, 404, not '500'"),
        ("[quirks]\nQ8 = 3", r"quirks\.Q8: Q8 is on or off, not '3'"),
        ("[quirks]\nQ8 = [1]", r"quirks\.Q8 = \[1\]; accepted: true, false, a number or a text"),
        ("message 64", r"not TOML"),
    ],
)
def test_a_faulty_file_is_refused_naming_file_key_value_and_what_is_accepted(tmp_path, text, said):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"firmware file .*bad\.toml: " + said):
        load_firmware(path)


def test_what_is_no_small_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none.toml: No such file"):
        load_firmware(tmp_path / "none.toml")
    with pytest.raises(ValueError, match="not a regular file"):
        load_firmware(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"binary\.toml: not TOML"):
        load_firmware(tmp_path / "binary.toml")


def test_the_command_takes_the_file_and_leaves_no_state_behind_when_it_is_faulty(tmp_path, firmware):
    (tmp_path / "user").write_text("passphrase one\n")
    (tmp_path / "admin").write_text("passphrase two\n")
    for file in ("user", "admin"):
        (tmp_path / file).chmod(0o600)
    bad = tmp_path / "bad.toml"
    bad.write_text("[limits]\nlabel = 0\n")

    def init(file):
        return subprocess.run(
            [sys.executable, "-m", "hem_provider.emulator", "init", "--state", "device.hem",
             "--firmware", str(file), "--passphrase-file", "user", "--admin-passphrase-file", "admin"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    refused = init(bad)
    assert refused.returncode == 1
    assert "limits.label = 0; accepted: a whole number from 1 to 255" in refused.stderr
    assert not (tmp_path / "device.hem").exists()
    made = init(firmware)
    assert made.returncode == 0, made.stderr
    rig = Rig(tmp_path / "device.hem", init=False)
    with rig.device.model.transaction():
        assert rig.device.model.switches.limits.message == 65_536
    rig.close()
