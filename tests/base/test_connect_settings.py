"""A device named by its URL in code: which settings it takes from where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hem_provider
from hem_provider.config import DeviceConfig, device_from_url
from hem_provider.errors import HemConfigError

FILE = """
[[device]]
name = "office"
url = "https://my.ence.do"
pin_sha256 = "{pin}"
passphrase_command = ["pass", "show", "hem"]
timeout = 7

[[device]]
name = "spare"
url = "https://spare.ence.do:8443/"
insecure = true
"""
PIN, OTHER_PIN = "11" * 32, "22" * 32


@pytest.fixture
def configured(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    path.write_text(FILE.format(pin=PIN))
    path.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(path))
    return path


@pytest.mark.parametrize("url", ["https://my.ence.do", "https://MY.ence.do:443/", "https://my.ence.do/"])
def test_connect_takes_the_settings_of_the_configured_device_of_that_url(configured, url):
    config = hem_provider.connect(url).config
    assert (config.name, config.pin_sha256, config.timeout) == ("office", PIN, 7)
    assert config.passphrase_command == ("pass", "show", "hem")


def test_another_device_takes_nothing_of_it(configured):
    for url in ("https://my.ence.do:444", "http://my.ence.do", "https://your.ence.do"):
        assert device_from_url(url) == DeviceConfig(url=url)


def test_what_the_call_says_goes_first(configured):
    config = hem_provider.connect(
        "https://my.ence.do", pin_sha256=OTHER_PIN, timeout=9, name="mine", passphrase_file="/run/pw"
    ).config
    assert (config.pin_sha256, config.timeout, config.name) == (OTHER_PIN, 9, "mine")
    assert (config.passphrase_file, config.passphrase_command) == (Path("/run/pw"), None)
    assert device_from_url("https://my.ence.do", insecure=True).pin_sha256 is None
    assert device_from_url("https://spare.ence.do:8443", ca_file="/ca.pem").insecure is False
    assert device_from_url("https://my.ence.do", ca_file="/ca.pem").pin_sha256 == PIN  # both must fit


def test_connect_takes_the_environments_certificate_and_passphrase(monkeypatch):
    monkeypatch.setenv("HEM_CA_FILE", "/etc/ca.pem")
    monkeypatch.setenv("HEM_PIN_SHA256", PIN)
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "/run/pw")
    config = hem_provider.connect("https://any.example").config
    assert (config.ca_file, config.pin_sha256) == (Path("/etc/ca.pem"), PIN)
    assert config.passphrase_file == Path("/run/pw")
    assert device_from_url("https://any.example", ca_file="/mine.pem").ca_file == Path("/mine.pem")


def test_the_environments_settings_belong_to_the_device_it_names(monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://one.example")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "/run/pw")
    assert device_from_url("https://one.example/").passphrase_file == Path("/run/pw")
    assert device_from_url("https://two.example").passphrase_file is None


def test_the_environment_goes_before_the_file(configured, monkeypatch):
    monkeypatch.setenv("HEM_PIN_SHA256", OTHER_PIN)
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "/run/pw")
    config = device_from_url("https://my.ence.do")
    assert (config.pin_sha256, config.passphrase_file, config.passphrase_command) == (
        OTHER_PIN, Path("/run/pw"), None,
    )  # fmt: skip
    assert config.timeout == 7


def test_a_wrong_variable_is_told_by_its_name_and_value(monkeypatch):
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "user.txt")
    with pytest.raises(HemConfigError, match=r"^HEM_PASSPHRASE_FILE: 'user.txt'; accepted: an absolute path"):
        device_from_url("https://any.example")
    monkeypatch.setenv("HEM_URL", "https://any.example")
    with pytest.raises(HemConfigError, match=r"^HEM_PASSPHRASE_FILE: 'user.txt'"):
        hem_provider.connect()


def test_a_file_that_is_not_ours_to_read_is_none_for_a_call_with_a_url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "hem").mkdir()
    path = tmp_path / "hem" / "config.toml"
    path.write_text("[[device]]\nurl = 'https://any.example'\ntimeout = 9\n")
    path.chmod(0o600)
    assert device_from_url("https://any.example").timeout == 9
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for others than the file's owner
    assert device_from_url("https://any.example") == DeviceConfig(url="https://any.example")
    monkeypatch.setenv("HEM_CONFIG", str(path))  # named: then it counts
    assert device_from_url("https://any.example").timeout == 9


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://a/b",
        "https://a?x=1",
        "https://a#b",
        "https://u@h",
        "https://h:0",
        "https://h:x",
    ],
)
def test_what_is_no_device_is_refused_and_shown(url):
    with pytest.raises(HemConfigError, match=r"setting 'url': .*; accepted: https://HOST"):
        hem_provider.connect(url)


def test_a_password_in_a_url_is_not_shown(monkeypatch):
    for setting in ("url", "cloud_url"):
        with pytest.raises(HemConfigError) as refused:
            device_from_url(**{"url": "https://h", setting: "https://user:hunter2@h"})
        assert "hunter2" not in str(refused.value)
    config = device_from_url("https://h", cloud_proxy="http://user:hunter2@proxy:3128")
    assert "hunter2" not in repr(config)
    assert "hunter2" not in repr(hem_provider.connect("https://h", cloud_proxy="http://u:hunter2@proxy:1"))
    with pytest.raises(HemConfigError) as refused:
        device_from_url("https://h", cloud_proxy="ftp://user:hunter2@proxy")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("setting", ["timeout", "connect_timeout", "spacing", "slot"])
def test_a_number_is_a_number_in_every_setting(tmp_path, setting):
    path = tmp_path / "c.toml"
    path.write_text(f'[[device]]\nurl = "https://h"\n{setting} = "5"\n')
    path.chmod(0o600)
    with pytest.raises(HemConfigError, match=rf"line 3: '{setting}': '5'; accepted: .* without quotes"):
        hem_provider.connect(config_file=path)
    with pytest.raises(HemConfigError, match=rf"'{setting}': '5'"):
        device_from_url("https://h", **{setting: "5"})


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("FALSE", False)])
def test_the_environment_writes_flags_and_numbers_as_text(monkeypatch, text, value):
    monkeypatch.setenv("HEM_URL", "https://h")
    monkeypatch.setenv("HEM_INSECURE", text)
    monkeypatch.setenv("HEM_TIMEOUT", "5")
    assert (device_from_url("https://h").insecure, device_from_url("https://h").timeout) == (value, 5)
    monkeypatch.setenv("HEM_INSECURE", "perhaps")
    with pytest.raises(HemConfigError, match="HEM_INSECURE: 'perhaps'; accepted: true or false"):
        device_from_url("https://h")
