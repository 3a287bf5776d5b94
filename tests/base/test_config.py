"""Devices from file and environment: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.config import (
    DeviceConfig,
    config_path,
    device_from_url,
    load_config,
    read_passphrase,
    toml_file,
)
from hem_provider.errors import HemConfigError

GOOD = """
[[device]]
name = "office"
url = "https://my.ence.do/"
slot = 3
ca_file = "/etc/hem/ca.pem"
pin_sha256 = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
passphrase_command = ["pass", "show", "hem"]
spacing = 0.15
key_filter = ["web*"]

[[device]]
name = "spare"
url = "emulator:/var/lib/hem/spare.db"

[pkcs11]
login_cache = 0
"""


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("HEM_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(tmp_path: Path, text: str) -> str:
    path = write(tmp_path / "config.toml", text)
    with pytest.raises(HemConfigError) as caught:
        load_config(path)
    return str(caught.value)


def test_a_file_gives_each_device_its_settings(tmp_path):
    config = load_config(write(tmp_path / "config.toml", GOOD))
    office, spare = config.devices
    assert office.url == "https://my.ence.do"
    assert (office.slot, office.spacing, office.key_filter) == (3, 0.15, ("web*",))
    assert office.pin_sha256 == "00" * 32
    assert office.passphrase_command == ("pass", "show", "hem")
    assert spare.url == "emulator:/var/lib/hem/spare.db"
    assert config.pkcs11.login_cache == 0
    assert config.device("spare") is spare


def test_the_file_named_by_hem_config_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_CONFIG", str(write(tmp_path / "elsewhere.toml", GOOD)))
    assert [each.name for each in load_config().devices] == ["office", "spare"]


def test_the_personal_file_is_found_without_any_variable(tmp_path):
    write(tmp_path / ".config" / "hem" / "config.toml", GOOD)
    assert config_path() == tmp_path / ".config" / "hem" / "config.toml"
    assert len(load_config().devices) == 2


def test_xdg_config_home_moves_the_personal_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    write(tmp_path / "xdg" / "hem" / "config.toml", GOOD)
    assert len(load_config().devices) == 2


def test_one_device_needs_only_the_environment(monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    monkeypatch.setenv("HEM_CA_FILE", "/etc/ca.pem")
    monkeypatch.setenv("HEM_TIMEOUT", "12.5")
    (device,) = load_config().devices
    assert (device.url, device.ca_file, device.timeout) == ("https://my.ence.do", Path("/etc/ca.pem"), 12.5)


def test_nothing_configured_is_no_device_and_asking_for_one_says_how():
    config = load_config()
    assert config.devices == ()
    with pytest.raises(HemConfigError, match=r"HEM_URL.*\[\[device\]\]"):
        config.device()


def test_a_missing_hem_config_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(HemConfigError, match="absent.toml.*No such file"):
        load_config()


def test_file_and_url_at_once_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_CONFIG", str(write(tmp_path / "c.toml", GOOD)))
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    with pytest.raises(HemConfigError, match="both set"):
        load_config()


def test_several_devices_must_be_told_apart_by_name(tmp_path):
    config = load_config(write(tmp_path / "config.toml", GOOD))
    with pytest.raises(HemConfigError, match="office, spare"):
        config.device()
    with pytest.raises(HemConfigError, match="'cellar'.*office, spare"):
        config.device("cellar")


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ('url = "ftp://host"', r"https://HOST"),
        ('url = "https://user:pw@host"', r"https://HOST"),
        ('url = "https://"', r"https://HOST"),
        ('url = "emulator:"', r"emulator:PATH"),
        ('url = "https://h"\nslot = -1', r"'slot'.*whole number"),
        ('url = "https://h"\nslot = true', r"'slot'.*whole number"),
        ('url = "https://h"\ntimeout = "soon"', r"'timeout'.*seconds from 1 to 3600"),
        ('url = "https://h"\ntimeout = 0', r"'timeout'.*seconds from 1 to 3600"),
        ('url = "https://h"\ninsecure = "yes"', r"'insecure'.*true or false"),
        ('url = "https://h"\npin_sha256 = "abcd"', r"'pin_sha256'.*64 hex digits"),
        ('url = "https://h"\nauth = "card"', r"'auth'.*\"passphrase\" or \"mobile\""),
        ('url = "https://h"\nca_file = "ca.pem"', r"'ca_file'.*absolute path"),
        ('url = "https://h"\nkey_filter = []', r"'key_filter'.*list"),
        ('url = "https://h"\nname = "ü"', r"'name'.*printable ASCII"),
        ('url = "https://h"\ncloud_url = "http://h"', r"'cloud_url'.*https"),
        ('url = "https://h"\ninsecure = true\nca_file = "/x"', r"'insecure'.*contradicts"),
        ('url = "https://h"\npassphrase_file = "/x"\npassphrase_command = ["y"]', r"contradicts"),
        ('url = "https://h"\npassphrase = "secret!"', r"unknown setting; accepted: url, name"),
        ('name = "x"', r"'url'.*missing"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line_and_what_is_accepted(tmp_path, line, accepted):
    message = refused(tmp_path, f"# comment\n[[device]]\n{line}\n")
    assert "config.toml, line " in message
    assert re.search(accepted, message), message
    assert "secret!" not in message


def test_the_line_is_that_of_the_second_device(tmp_path):
    text = '[[device]]\nname="a"\nurl="https://a"\n\n[[device]]\nname="b"\nurl="https://b"\nslot="one"\n'
    assert "line 8" in refused(tmp_path, text)


def test_two_devices_cannot_share_a_name_or_a_slot(tmp_path):
    assert "name = 'hem'" in refused(tmp_path, '[[device]]\nurl="https://a"\n[[device]]\nurl="https://b"\n')
    text = '[[device]]\nname="a"\nslot=1\nurl="https://a"\n[[device]]\nname="b"\nslot=1\nurl="https://b"\n'
    assert "slot = 1" in refused(tmp_path, text)


def test_broken_toml_says_where(tmp_path):
    assert "line 2" in refused(tmp_path, "[[device]]\nurl = \n")


def test_an_unknown_table_and_a_plain_device_table_are_refused(tmp_path):
    assert "unknown setting 'devices'" in refused(tmp_path, "[devices]\n")
    assert "[[device]]" in refused(tmp_path, '[device]\nurl="https://a"\n')
    assert "'login_cache'" in refused(tmp_path, "[pkcs11]\nlogin_cache = 301\n")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path, mode):
    path = write(tmp_path / "config.toml", GOOD, mode)
    with pytest.raises(HemConfigError, match="others may write.*chmod go-w"):
        load_config(path)


def test_a_file_in_a_directory_that_others_may_write_is_refused(tmp_path):
    folder = tmp_path / "open"
    path = write(folder / "config.toml", GOOD)
    folder.chmod(0o777)
    with pytest.raises(HemConfigError, match="the directory of the configuration"):
        load_config(path)
    folder.chmod(0o1777)  # sticky: nobody can replace a file of ours
    assert load_config(path).devices


def test_with_raised_privileges_only_the_system_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("hem_provider.config.places.privileges_raised", lambda: True)
    monkeypatch.setenv("HEM_URL", "https://attacker.example")
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "evil.toml"))
    assert config_path() == Path("/etc/hem/config.toml")


def test_a_device_given_in_code_is_checked_alike():
    device = device_from_url("https://h", ca_file=Path("/ca.pem"), key_filter=("a",), timeout=None)
    assert device == DeviceConfig(url="https://h", ca_file=Path("/ca.pem"), key_filter=("a",))
    with pytest.raises(HemConfigError, match="setting 'spacing'"):
        device_from_url("https://h", spacing=99)
    with pytest.raises(TypeError, match="unknown setting 'pasphrase'"):
        device_from_url("https://h", pasphrase="x")


def test_a_passphrase_file_is_read_without_its_line_end(tmp_path):
    path = write(tmp_path / "secret", "correct horse\r\n")
    assert read_passphrase(DeviceConfig(url="https://h", passphrase_file=path)) == "correct horse"
    assert read_passphrase(DeviceConfig(url="https://h")) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"\n", "empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * 4097, "over 4096 bytes")],
)
def test_a_useless_passphrase_file_is_refused(tmp_path, content, message):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(HemConfigError, match=message):
        read_passphrase(DeviceConfig(url="https://h", passphrase_file=path))


def test_a_passphrase_file_that_others_may_write_is_refused(tmp_path):
    path = write(tmp_path / "secret", "pw", 0o622)
    with pytest.raises(HemConfigError, match="others may write the passphrase file"):
        read_passphrase(DeviceConfig(url="https://h", passphrase_file=path))


def test_a_passphrase_command_is_run_and_its_failures_are_told(tmp_path):
    def ask(*command: str) -> str | None:
        return read_passphrase(DeviceConfig(url="https://h", passphrase_command=command))

    assert ask("printf", "from a command\\n") == "from a command"
    with pytest.raises(HemConfigError, match="status 1"):
        ask("false")
    with pytest.raises(HemConfigError, match="no program 'no-such-program'"):
        ask("no-such-program")
    script = write(tmp_path / "script", "#!/bin/sh\necho pw\n", 0o777)
    with pytest.raises(HemConfigError, match="others may write the passphrase command"):
        ask(str(script))


@given(
    st.dictionaries(
        st.sampled_from(["url", "slot", "timeout", "insecure", "name", "auth", "x"]),
        st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.floats(), st.lists(st.text())),
    )
)
def test_any_settings_give_a_device_or_a_config_error(settings):
    settings.pop("x", None)
    url = settings.pop("url", "https://h")
    try:
        device = device_from_url(url, **settings)
    except HemConfigError:
        return
    assert isinstance(device, DeviceConfig)


AGENT_FILE = (
    '[[device]]\nurl = "https://a"\nname = "a"\nagent = "always"\n[[device]]\nurl = "https://b"\nname = "b"\n'
)


def test_the_environment_overrides_what_a_file_says_of_agents(tmp_path, monkeypatch):
    path = write(tmp_path / "config.toml", AGENT_FILE)
    assert [each.agent for each in load_config(path).devices] == ["always", "auto"]
    monkeypatch.setenv("HEM_CONFIG", str(path))
    assert [each.agent for each in load_config().devices] == ["always", "auto"]
    monkeypatch.setenv("HEM_AGENT", "never")
    assert [each.agent for each in load_config().devices] == ["never", "never"]
    assert device_from_url("https://a").agent == "never"
    assert device_from_url("https://elsewhere").agent == "never"
    assert device_from_url("https://a", agent="always").agent == "always"  # what the call says


def test_it_holds_for_whatever_device_a_program_names(monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://a")
    monkeypatch.setenv("HEM_AGENT", "always")
    assert load_config().device().agent == "always"
    assert device_from_url("https://a").agent == "always"
    assert device_from_url("https://another").agent == "always"
    monkeypatch.setattr("hem_provider.config.load.privileges_raised", lambda: True)
    monkeypatch.setattr("hem_provider.config.load.config_path", lambda: None)
    assert device_from_url("https://another", agent="auto").agent == "auto"


@pytest.mark.parametrize("text", ["Always", "yes", "1"])
def test_another_word_for_it_is_refused(tmp_path, monkeypatch, text):
    path = write(tmp_path / "config.toml", AGENT_FILE)
    monkeypatch.setenv("HEM_CONFIG", str(path))
    monkeypatch.setenv("HEM_AGENT", text)
    told = f'HEM_AGENT: {text!r}; accepted: "auto" or "never" or "always"'
    for read in (load_config, lambda: device_from_url("https://a")):
        with pytest.raises(HemConfigError) as caught:
            read()
        assert str(caught.value) == told
    path.write_text('[[device]]\nurl = "https://a"\nagent = 7\n')
    with pytest.raises(HemConfigError, match="line 3: 'agent': 7; accepted: \"auto\" or"):
        load_config()


def test_a_file_that_is_named_in_a_call_is_not_overridden_in_a_process_with_raised_privileges(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "config.toml", AGENT_FILE)
    monkeypatch.setenv("HEM_AGENT", "never")
    monkeypatch.setattr("hem_provider.config.load.privileges_raised", lambda: True)
    assert [each.agent for each in load_config(path).devices] == ["always", "auto"]


@pytest.mark.parametrize("quotes", ['"' * 3, "'" * 3])
def test_a_line_is_that_of_the_setting_and_not_of_a_text_like_it(tmp_path, quotes):
    path = tmp_path / "config.toml"
    name = f"{quotes}\n[[device]]\ntimeout = 3\n{quotes}"
    text = f"[[device]]\nurl = 'https://a.example'\nname = {name}\ntimeout = 'soon'\n"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(HemConfigError, match="'name'|line 7: 'timeout'") as refused:
        load_config(path)
    assert toml_file.parse_document(path, text.encode()).line("device", 0, "timeout") == 7, refused


def test_a_byte_order_mark_is_told(tmp_path):
    with pytest.raises(HemConfigError, match="begins with a byte order mark"):
        toml_file.parse_config(tmp_path / "c.toml", b"\xef\xbb\xbf[pkcs11]\n")
