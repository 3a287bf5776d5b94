"""One passphrase file, one reading of it, whoever reads; what looks like a slip is told as one."""

from __future__ import annotations

import pytest
from support.laboratory import PASSPHRASE

from hem_provider.cli.commands import emulator
from hem_provider.config import DeviceConfig, read_passphrase
from hem_provider.config.passphrase import doubt
from hem_provider.errors import HemAuthenticationError, HemConfigError

READINGS = {
    b"one line": "one line",
    b"one line\n": "one line",
    b"one line\r\n": "one line",
    b" kept blanks \n": " kept blanks ",
    "pässword\n".encode(): "pässword",
}
REFUSED = {
    b"first\nsecond\n": "2 lines; accepted: the passphrase alone",
    b"first\n\n": "2 lines",
    b"a\rb": "2 lines",
    b"\xef\xbb\xbfpass\n": "byte order mark",
    b"": "empty",
    b"\n": "empty",
}


def readers(path):
    """The client's and the emulator's way to read one file."""
    yield lambda: read_passphrase(DeviceConfig(url="https://h", passphrase_file=path))
    yield lambda: emulator._secret(str(path), "--passphrase-file")


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
def test_a_refused_passphrase_that_looks_like_a_slip_is_told_so(bench, given, hint):
    for attempt in (lambda: bench.connect(given).keys.search(), lambda: bench.connect().login(given)):
        with pytest.raises(HemAuthenticationError, match=hint) as refused:
            attempt()
        assert PASSPHRASE not in str(refused.value)
        assert "horse" not in str(refused.value)


def test_a_wrong_passphrase_without_a_slip_gets_no_hint(bench):
    with pytest.raises(HemAuthenticationError) as refused:
        bench.connect("something else").keys.search()
    assert "blank" not in str(refused.value)
    assert doubt("something else") is None
