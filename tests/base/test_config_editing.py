"""Changes of the configuration file: what is not meant survives, and no bad file is written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from hem_provider.config.editing import Change, edit
from hem_provider.config.toml_file import read_config
from hem_provider.errors import HemConfigError
from hem_provider.files import replacement

FILE = """\
# of all
[[device]]  # the first
name = "office"
url = "https://one.example"   # where it is

[pkcs11]
login_cache = 10 # short

# the other
[[device]]
url = "https://two.example"
key_filter = [
    "web*",  # servers
    "mail",
]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    path.chmod(0o640)
    return path


def test_a_value_is_changed_and_all_else_stays_as_it_is(path):
    config = edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_text() == FILE.replace("one", "new")
    assert config == read_config(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_table_without_a_name_is_the_device_of_the_default_name(path):
    edit(path, [Change("timeout", 60, device="hem"), Change("key_filter", None, device="hem")])
    (office, other) = read_config(path).devices
    assert (office.timeout, other.timeout, other.key_filter) == (30.0, 60.0, ())
    listed = '[\n    "web*",  # servers\n    "mail",\n]'
    assert path.read_text() == FILE.replace(f"key_filter = {listed}", "timeout = 60")


def test_a_setting_of_the_module_is_changed_and_taken_away(path):
    edit(path, [Change("login_cache", 20)])
    assert "login_cache = 20 # short" in path.read_text()
    edit(path, [Change("login_cache", None), Change("login_cache", None)])
    assert "login_cache" not in path.read_text()


def test_a_device_is_added_at_the_end(path):
    change = Change("url", "https://three.example", device="third")
    config = edit(path, [change, Change("ca_file", "/etc/ca.pem", device="third")])
    assert [each.name for each in config.devices] == ["office", "hem", "third"]
    assert path.read_text().startswith(FILE)
    assert path.read_text().endswith(
        'name = "third"\nurl = "https://three.example"\nca_file = "/etc/ca.pem"\n'
    )


@pytest.mark.parametrize("content", [None, "", "# mine\n", "[pkcs11]\nlogin_cache = 5\n"])
def test_a_first_device_is_written_where_there_was_none(tmp_path, content):
    path = tmp_path / "new" / "hem" / "config.toml"
    if content is not None:
        path.parent.mkdir(parents=True)
        path.touch(mode=0o600)
        path.write_text(content)
    before = os.umask(0o022)
    try:
        edit(path, [Change("url", "https://my.ence.do", device="hem")])
    finally:
        os.umask(before)
    assert read_config(path).device().url == "https://my.ence.do"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith(content or "")
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_a_file_with_line_ends_of_another_system_keeps_them(path):
    path.write_bytes(FILE.replace("\n", "\r\n").encode())
    edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_bytes() == FILE.replace("one", "new").replace("\n", "\r\n").encode()


def test_a_link_leads_where_it_led(path, tmp_path):
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    edit(link, [Change("url", "https://new.example", device="office")])
    assert link.is_symlink()
    assert "new.example" in path.read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change("url", "ftp://x", device="office"), "'url'.*accepted: https://HOST"),
        (Change("urll", "https://x", device="office"), "'urll'.*unknown setting"),
        (Change("timeout", 0.5, device="office"), "'timeout'.*accepted: seconds from 1"),
        (Change("url", None, device="office"), "'url'.*missing"),
        (Change("ca_file", "/etc/ca.pem", device="new"), "'url'.*missing"),
        (Change("name", "hem", device="office"), "two devices have name = 'hem'"),
        (Change("login_cache", object()), "cannot be written"),
        (Change("login_cache", 1000), "'login_cache'.*accepted"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(path, change, told):
    with pytest.raises(HemConfigError, match=told) as refused:
        edit(path, [change])
    assert str(path) in str(refused.value)
    assert path.read_text() == FILE


@pytest.mark.parametrize(
    "content",
    [
        'device = [{name = "office", url = "https://one.example"}]\n',
        '[[device]]\nname = "office"\nurl = "https://a.b"\n[device.firmware_limits]\nmessage = 4096\n',
    ],
)
def test_a_layout_that_is_not_followed_is_told_instead_of_said_to_be_done(path, content):
    path.write_text(content)
    for value in ({"message": 2048}, None, {"message": 4096}):
        change = Change("firmware_limits", value, device="office")
        with pytest.raises(HemConfigError, match="by hand"):
            edit(path, [change, Change("timeout", 5, device="office")])
        assert path.read_text() == content


def test_a_table_of_sizes_is_written_on_a_line(path):
    config = edit(path, [Change("firmware_limits", {"message": 65536, "descr": 128}, device="hem")])
    assert config.device("hem").firmware_limits.descr == 128
    assert "firmware_limits = {message = 65536, descr = 128}\n" in path.read_text()


def test_a_line_that_looks_like_a_table_is_a_value(path):
    lines = '[[device]]\nurl = "https://two.example"\nkey_filter = [\n"""\n[pkcs11]""",\n\'x\'\n]\n'
    path.write_text(lines.replace('"""\n[pkcs11]"""', '"[pkcs11]"').replace('[\n"', '[\n    "a",\n"'))
    before = path.read_text()
    edit(path, [Change("login_cache", 5)])
    assert path.read_text() == f"{before}\n[pkcs11]\nlogin_cache = 5\n"


@pytest.mark.parametrize("content", ["[[device]\n", "device = 3\n", "odd = 1\n"])
def test_a_file_that_cannot_be_used_is_not_changed(path, content):
    path.write_text(content)
    with pytest.raises(HemConfigError):
        edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_text() == content


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replacement.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_text() == FILE
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_a_change_by_another_program_meanwhile_is_not_lost(path, monkeypatch):
    from hem_provider.config import editing

    read = editing.read_bytes
    looks = []

    def other(place):
        looks.append(place)
        if len(looks) == 2:  # an editor, which knows no lock
            path.write_text(FILE + "# theirs\n")
        return read(place)

    monkeypatch.setattr(editing, "read_bytes", other)
    with pytest.raises(HemConfigError, match="changed by another program"):
        edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_text() == FILE + "# theirs\n"


def test_a_change_that_changes_nothing_writes_nothing(path):
    before = path.stat()
    edit(path, [Change("url", "https://one.example", device="office")])
    assert path.stat().st_ino == before.st_ino


def test_changes_at_once_are_all_made(path):
    names = ["timeout", "connect_timeout", "spacing", "slot"]
    program = (
        "import pathlib, sys\nfrom hem_provider.config.editing import Change, edit\n"
        "sys.stdin.readline()\n"
        "edit(pathlib.Path(sys.argv[1]), [Change(sys.argv[2], 7, device='office')])\n"
    )
    at_work = [
        subprocess.Popen([sys.executable, "-c", program, str(path), each], stdin=subprocess.PIPE)
        for each in names
    ]
    for each in at_work:
        each.stdin.write(b"\n")
        each.stdin.close()
    assert [each.wait() for each in at_work] == [0] * len(names)
    office = read_config(path).device("office")
    assert [getattr(office, each) for each in names] == [7] * len(names)


def test_who_waits_for_others_in_vain_is_told(path, monkeypatch):
    from hem_provider.config import editing
    from hem_provider.files import folder_lock

    monkeypatch.setattr(editing, "_PATIENCE", 0.05)
    with folder_lock(path.parent, 1.0), pytest.raises(TimeoutError, match="another process has held it"):
        edit(path, [Change("url", "https://new.example", device="office")])
    assert path.read_text() == FILE
