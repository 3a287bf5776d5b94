"""One passphrase file, one reading of it, whoever reads; what looks like a slip is told as one."""

from __future__ import annotations

import pytest
from support.passphrases import PASSPHRASE
from support.secretfiles import READINGS, REFUSED

from hem_provider.cli.emulator_serving import read_secret
from hem_provider.config import DeviceConfig, read_passphrase
from hem_provider.config.passphrase import doubt
from hem_provider.errors import HemAuthenticationError, HemConfigError


def readers(path):
    """The client's and the emulator's way to read one file."""
    yield lambda: read_passphrase(DeviceConfig(url="https://h", passphrase_file=path))
    yield lambda: read_secret(str(path), "--passphrase-file")


@pytest.mark.parametrize("content", READINGS, ids=repr)
def test_client_and_emulator_read_a_passphrase_file_alike(tmp_path, content):
    path = tmp_path / "pw"
    path.write_bytes(content)
    path.chmod(0o600)
    assert [read() for read in readers(path)] == [READINGS[content]] * 2


@pytest.mark.parametrize("content", REFUSED, ids=repr)
def test_client_and_emulator_refuse_the_same_passphrase_files(tmp_path, content):
    path = tmp_path / "pw"
    path.write_bytes(content)
    path.chmod(0o600)
    for read in readers(path):
        with pytest.raises(HemConfigError, match=REFUSED[content]):
            read()


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (f"{PASSPHRASE} ", "ends with a blank or a line end"),
        (f"{PASSPHRASE}\n", "ends with a blank or a line end"),
        (f" {PASSPHRASE}", "begins with a blank"),
        (f"\ufeff{PASSPHRASE}", "begins with a byte order mark"),
    ],
)
def test_a_refused_passphrase_that_looks_like_a_slip_is_told_so(rig, given, hint):
    for attempt in (lambda: rig.connect(given).keys.search(), lambda: rig.connect().login(given)):
        with pytest.raises(HemAuthenticationError, match=hint) as refused:
            attempt()
        assert PASSPHRASE not in str(refused.value)
        assert "horse" not in str(refused.value)


def test_a_wrong_passphrase_without_a_slip_gets_no_hint(rig):
    with pytest.raises(HemAuthenticationError) as refused:
        rig.connect("something else").keys.search()
    assert "blank" not in str(refused.value)
    assert doubt("something else") is None


def test_a_passphrase_command_that_prints_without_end_is_stopped_at_the_bound():
    endless = DeviceConfig(url="https://h", passphrase_command=("yes",))
    with pytest.raises(HemConfigError, match="passphrase_command yes: a passphrase of over 4096 bytes"):
        read_passphrase(endless)


def test_a_passphrase_command_may_print_as_much_as_a_file_may_hold(tmp_path):
    script = tmp_path / "script"
    script.write_text("head -c 4095 /dev/zero | tr '\\0' x; sleep 0.1; echo\n")
    command = DeviceConfig(url="https://h", passphrase_command=("sh", str(script)))
    assert read_passphrase(command) == "x" * 4095


@pytest.mark.parametrize("script", ["sleep 30", "printf some; exec sleep 30", "exec >&-; exec sleep 30"])
def test_a_passphrase_command_that_does_not_end_is_stopped(monkeypatch, script):
    monkeypatch.setattr("hem_provider.config.passphrase._COMMAND_TIMEOUT", 0.3)
    with pytest.raises(HemConfigError, match=r"gave nothing within 0.3 s"):
        read_passphrase(DeviceConfig(url="https://h", passphrase_command=("sh", "-c", script)))
