"""The setting ``firmware_limits``: where it comes from, what it accepts, and who alone states the sizes."""

from __future__ import annotations

import token
import tokenize
from pathlib import Path

import pytest

from hem_provider import connect
from hem_provider.config import FIRMWARE_1_2_2, DeviceConfig, FirmwareLimits, device_from_url, load_config
from hem_provider.config.limits import limits_from
from hem_provider.errors import HemConfigError

ROOT = Path(__file__).parents[2]
URL = "https://my.ence.do"


def test_the_default_is_firmware_1_2_2():
    limits = DeviceConfig(url=URL).firmware_limits
    assert limits == FIRMWARE_1_2_2 == FirmwareLimits() == limits_from({})
    assert (limits.message, limits.context, limits.derivation_context) == (2048, 255, 64)
    assert (limits.label, limits.descr, limits.body, limits.scope) == (32, 64, 7300, 127)


def test_a_file_says_the_limits_of_its_device(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    path.write_text(f'[[device]]\nurl = "{URL}"\nfirmware_limits = {{ message = 65536, descr = 128 }}\n')
    monkeypatch.setenv("HEM_CONFIG", str(path))
    limits = load_config().device().firmware_limits
    assert (limits.message, limits.descr, limits.context) == (65536, 128, 255)
    assert device_from_url(URL).firmware_limits == limits  # as for a device that is named in code
    assert device_from_url(URL, firmware_limits={"context": 100}).firmware_limits.message == 2048


def test_the_environment_says_them_in_pairs(monkeypatch):
    monkeypatch.setenv("HEM_URL", URL)
    monkeypatch.setenv("HEM_FIRMWARE_LIMITS", "message=4096, descr=128")
    assert load_config().device().firmware_limits == limits_from({"message": 4096, "descr": 128})


def test_connect_takes_a_mapping_or_the_value():
    for given in ({"message": 4096}, limits_from({"message": 4096})):
        assert connect(URL, passphrase="x", firmware_limits=given).limits.message == 4096


@pytest.mark.parametrize(("message", "body"), [(64, 7300), (2048, 7300), (4096, 10032), (65536, 91952)])
def test_a_body_has_as_much_room_beside_the_message_as_on_1_2_2(message, body):
    assert limits_from({"message": message}).body == body
    assert limits_from({"message": message, "body": 9000}).body == 9000


@pytest.mark.parametrize(
    "value",
    [
        {"message": 63}, {"message": 2**19 + 1}, {"message": True}, {"message": "4096"}, {"message": 4096.0},
        {"context": 0}, {"context": 256}, {"descr": 129}, {"body": 7299}, {"label": 33}, {"msg": 4096},
    ],
)  # fmt: skip
def test_another_name_or_size_is_refused_saying_what_is_accepted(value):
    accepted = (
        r"firmware_limits.*a table of sizes in bytes, \{ message = 65536, descr = 128 \}; "
        r"message 64 to 524288, context 1 to 255, derivation_context 1 to 1024, descr 64 to 128, "
        r"body 7300 to 1048576"
    )
    with pytest.raises(HemConfigError, match=accepted):
        connect(URL, firmware_limits=value)


@pytest.mark.parametrize("text", ["65536", "message", "message=", "message=1k", "=5", "message=1,,"])
def test_a_variable_that_is_no_pairs_is_refused(monkeypatch, text):
    monkeypatch.setenv("HEM_URL", URL)
    monkeypatch.setenv("HEM_FIRMWARE_LIMITS", text)
    with pytest.raises(HemConfigError, match="HEM_FIRMWARE_LIMITS.*a table of sizes"):
        load_config()


#: Where a number that is one of the limits is another thing.
OTHER_THINGS = {
    "hem_provider/rest/kdf.py",  # rounds of BIP39
    "hem_provider/rest/broker.py",  # characters of a link
    "hem_provider/rest/sharedfields.py",  # characters of a certificate request
    "hem_provider/rest/fields.py",  # characters of a JWT
    "hem_provider/measuring/cipher_cases.py",  # sizes to measure
    "hem_provider/cli/commands/bench.py",
    "hem_provider/agent/ssh/numbers.py",  # keys of a listing
}


def test_nothing_else_knows_the_size_of_a_message_or_a_body():
    knowing = set()
    for folder in ("hem_provider", "shim/hem_pkcs11"):
        for path in (ROOT / folder).rglob("*.py"):
            with path.open("rb") as file:
                words = {
                    each.string for each in tokenize.tokenize(file.readline) if each.type == token.NUMBER
                }
            if words & {"2048", "2056", "2064", "7300"}:
                knowing.add(str(path.relative_to(ROOT)))
    emulator = {each for each in knowing if each.startswith("hem_provider/emulator/")}
    stated = {"hem_provider/keytypes.py", "hem_provider/config/limits.py"}
    assert knowing - emulator - OTHER_THINGS == stated
