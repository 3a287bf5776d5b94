"""The units for the log run what there is, for several devices, and end where trying again is no use."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
import trustme
from support.logcopies import filled
from support.receivers import Taker

from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.cli import statuses

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"


def setting(unit, name):
    (value,) = re.findall(f"^{name}=(.*)$", (UNITS / unit).read_text("utf-8"), re.MULTILINE)
    return value


def words(unit, instance="siem", options="", **variables):
    """What the unit runs, without the program."""
    program, *found = setting(unit, "ExecStart").split()
    assert program == "/usr/bin/hem"
    for name, value in {"%i": instance, **{f"${{{key}}}": each for key, each in variables.items()}}.items():
        found = [each.replace(name, value) for each in found]
    assert not [each for each in found if each.startswith("$") and each != "$OPTIONS"]
    return [word for each in found for word in (options.split() if each == "$OPTIONS" else [each])]


#: Unit → what its file of variables has.
LASTING = {
    "hem-log-export@.service": {"TARGET": "tcp://127.0.0.1:9"},
    "hem-log-follow@.service": {"COMMAND": "true"},
}
CURSORS = {"hem-log-export@.service": "cursors", "hem-log-follow@.service": "followers"}


@pytest.fixture(autouse=True)
def devices(monkeypatch, tmp_path):
    file = tmp_path / "config.toml"
    tables = (f'[[device]]\nname = "{each}"\nurl = "emulator:{tmp_path}/{each}"\n' for each in ("a", "b"))
    file.write_text("".join(tables))
    file.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(file))


@pytest.mark.parametrize("unit", LASTING)
@pytest.mark.parametrize(
    ("state", "options", "said"),
    [
        ("no device", "", "say which device"),
        ("another device", "--device c", "no device is called 'c'"),
        ("no such option", "--device a --colour", "--colour"),
        ("cursor", "--device a", "this is no cursor"),
        ("copy", "--device a", "its chain is another"),
        ("name", "--device a", "--name: '-x'"),
    ],
)
def test_what_cannot_mend_itself_is_not_tried_again(unit, state, options, said, run):
    filled(usual_folder("a"), 3)
    copy = LogCopy(usual_folder("a"))
    if state == "cursor":
        (copy.folder / CURSORS[unit]).mkdir()
        (copy.folder / CURSORS[unit] / "siem.json").write_text("x")
        (copy.folder / CURSORS[unit] / "siem.json").chmod(0o600)
    elif state == "copy":
        (day,) = copy.days()
        day.path.write_bytes(day.path.read_bytes().replace(b'"after":0', b'"after":1'))
    given = words(unit, "-x" if state == "name" else "siem", options, **LASTING[unit])
    status, _, told = run(*given)
    assert (status != statuses.DONE, said in told) == (True, True), told
    assert str(status) in setting(unit, "RestartPreventExitStatus").split(), told


def test_a_receiver_that_may_be_mended_is_tried_again(run):
    filled(usual_folder("a"), 3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Taker(context=context) as taker:
        given = words("hem-log-export@.service", "siem", "--device a", TARGET=taker.url)
        status, _, told = run(*given)
    assert "certificate" in told
    assert str(status) not in setting("hem-log-export@.service", "RestartPreventExitStatus").split()


def test_with_several_devices_each_has_an_instance(run):
    status, _, told = run(*words("hem-log-collect.service"))
    assert (status, "say which device" in told) == (statuses.FAILED, True)
    for each in ("a", "b"):
        status, _, told = run(*words("hem-log-collect@.service", each))
        assert told.startswith(f"hem: {each} (emulator:"), told  # it was this one that was asked
    assert run(*words("hem-log-collect@.service", "c"))[0] == statuses.NOT_FOUND
    assert {each.stem for each in UNITS.glob("hem-log-collect*.timer")} == {
        each.stem for each in UNITS.glob("hem-log-collect*.service")
    }
