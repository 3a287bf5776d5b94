"""Where this user's files are, and how they are read, replaced and locked."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hem_provider import files
from hem_provider.cli.options import FILE, FILE_TEXT
from hem_provider.config import (
    Config,
    DeviceConfig,
    config_path,
    device_from_url,
    load_config,
    read_passphrase,
)
from hem_provider.device.cache import DiskCache
from hem_provider.errors import HemConfigError
from hem_provider.files import places
from hem_provider.publickeys import kid_of
from hem_provider.rest.tls import client_context
from hem_provider.rest.transports import Carriers

PLACES = {
    "XDG_CONFIG_HOME": (files.config_home, ".config"),
    "XDG_DATA_HOME": (files.data_home, ".local/share"),
    "XDG_CACHE_HOME": (files.cache_home, ".cache"),
}
#: They pause once on the way of a request, or wait for a wake-up; they do not look again and again.
ON_THE_WAY = {
    "hem_provider/device/recoveries.py",
    "hem_provider/rest/wakeup.py",
    "hem_provider/rest/turns.py",
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture(autouse=True)
def _own_home(monkeypatch, tmp_path):
    for name in (*PLACES, *(each for each in os.environ if each.startswith("HEM_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        places, "_home_in_database", lambda user: Path("/var/empty/ada") if user == "ada" else None
    )


def write(path: Path, text: str = "x", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


# --- where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", PLACES)
def test_a_directory_is_where_the_variable_says_else_below_the_home(monkeypatch, tmp_path, variable):
    place, below = PLACES[variable]
    assert place() == tmp_path / below
    monkeypatch.setenv(variable, "/else/where")
    assert place() == Path("/else/where")


@pytest.mark.parametrize("variable", PLACES)
@pytest.mark.parametrize("relative", ["", "relative", "./x", "~/x", "~"])
def test_a_relative_xdg_variable_is_ignored(monkeypatch, tmp_path, variable, relative):
    place, below = PLACES[variable]
    monkeypatch.setenv(variable, relative)
    assert place() == tmp_path / below


@pytest.mark.parametrize("value", [None, "", "relative", "~", "~/x"])
def test_without_home_and_passwd_entry_there_is_no_place(monkeypatch, value):
    monkeypatch.delenv("HOME") if value is None else monkeypatch.setenv("HOME", value)
    assert [place() for place, _ in PLACES.values()] == [None] * 3
    assert files.home() is None


def test_without_home_and_passwd_entry_nothing_is_read_or_made_below_the_working_directory(
    monkeypatch, tmp_path
):
    from hem_provider.adapters.keyring.vault.store import default_path
    from hem_provider.cli.pkcs11_install import default_directory

    write(tmp_path / "~" / ".config" / "hem" / "config.toml", "[[device]]\nurl = 'https://trap'\n")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", "~/.config")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setattr("hem_provider.config.places.SYSTEM_FILE", tmp_path / "none.toml")
    assert load_config().devices == ()
    with pytest.raises(HemConfigError, match="HOME='' is no directory"):
        load_config().device()
    DiskCache("https://my.ence.do").keep_scope("keymgmt:list")
    with pytest.raises(HemConfigError, match="no home"):
        default_path()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HemConfigError, match="no home"):
        default_directory()
    assert sorted(tmp_path.rglob("*")) == before


def as_somebody_else(program: str, folder: Path, **environment: str) -> str:
    """What a program prints that has given up root for a user who is not in the user database."""
    path = os.pathsep.join(filter(None, (str(Path(files.__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    given_up = "import os; os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
    imports = (
        "import pathlib, hem_provider.config; from hem_provider.config import load_config\n"
        "from hem_provider.device.cache import DiskCache\n"
        "hem_provider.config.places.SYSTEM_FILE = pathlib.Path('/nonexistent/hem')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import logging, tomllib\n{imports}{given_up}{program}"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


#: What a process does that is not root any more: caches something, looks for devices.
LOOK = (
    "DiskCache('https://h').keep_scope('keymgmt:list')\nprint([each.url for each in load_config().devices])\n"
)


@needs_root
def test_a_process_without_home_and_passwd_entry_makes_no_directory_called_tilde(tmp_path):
    (tmp_path / "~" / ".config" / "hem").mkdir(parents=True)
    write(tmp_path / "~" / ".config" / "hem" / "config.toml", "[[device]]\nurl = 'https://trap'\n", 0o644)
    tmp_path.chmod(0o777)
    before = sorted(tmp_path.rglob("*"))
    assert "trap" not in as_somebody_else(LOOK, tmp_path, XDG_CONFIG_HOME="conf", XDG_CACHE_HOME="cache")
    assert sorted(tmp_path.rglob("*")) == before


@needs_root
def test_a_worker_that_was_started_from_a_root_shell_does_without_roots_home(tmp_path):
    home = tmp_path / "root"
    write(home / ".config" / "hem" / "config.toml", "[[device]]\nurl = 'https://roots'\n")
    home.chmod(0o700)
    assert "roots" not in as_somebody_else(LOOK, Path("/"), HOME=str(home))
    home.chmod(0o755)  # may be searched, but the file is root's alone
    for each in home.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o600)
    assert "roots" not in as_somebody_else(LOOK, Path("/"), HOME=str(home))


def closed_to_this_process(monkeypatch, folder: Path) -> None:
    """As a home of root's is to a worker; for root itself by pretending."""
    folder.chmod(0)
    if os.geteuid() != 0:
        return
    real_stat, real_access = os.stat, os.access

    def closed(path) -> bool:
        return isinstance(path, str | os.PathLike) and Path(folder) in Path(path).parents

    def stat(path, *arguments, **named):
        if closed(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real_stat(path, *arguments, **named)

    def access(path, mode, **named):
        return False if Path(path) == folder else real_access(path, mode, **named)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "access", access)


def test_a_home_that_may_not_be_searched_is_as_if_it_were_not_there(monkeypatch, tmp_path):
    home = tmp_path / "root"
    write(home / ".config" / "hem" / "config.toml", "[[device]]\nurl = 'https://roots'\n")
    system = write(tmp_path / "etc" / "config.toml", "[[device]]\nurl = 'https://everybodys'\n")
    monkeypatch.setattr("hem_provider.config.places.SYSTEM_FILE", system)
    monkeypatch.setenv("HOME", str(home))
    try:
        closed_to_this_process(monkeypatch, home)
        assert files.home() is None
        assert config_path() == system
        assert [each.url for each in load_config().devices] == ["https://everybodys"]
        cache = DiskCache("https://my.ence.do")
        cache.keep_scope("keymgmt:list")
        assert cache.scope() is None
        system.unlink()
        with pytest.raises(HemConfigError, match="is no directory that user id .* may search"):
            load_config().device()
    finally:
        monkeypatch.undo()
        home.chmod(0o700)


def test_the_passwd_entry_is_next_when_home_is_closed(monkeypatch, tmp_path):
    home, own = tmp_path / "root", tmp_path / "own"
    home.mkdir()
    monkeypatch.setattr(places, "_home_in_database", lambda _user: own)
    monkeypatch.setenv("HOME", str(home))
    try:
        closed_to_this_process(monkeypatch, home)
        assert files.home() == own
    finally:
        monkeypatch.undo()
        home.chmod(0o700)


def test_a_personal_file_that_may_not_be_read_is_passed_over_and_told(monkeypatch, tmp_path):
    personal = write(tmp_path / ".config" / "hem" / "config.toml", "[[device]]\nurl = 'https://h'\n")
    monkeypatch.setattr("hem_provider.config.places.SYSTEM_FILE", tmp_path / "none.toml")
    monkeypatch.setattr("hem_provider.config.places._closed", lambda path: path == personal)
    assert load_config().devices == ()
    with pytest.raises(HemConfigError, match=f"{personal} may not be read by user id"):
        load_config().device()


@pytest.mark.parametrize(("text", "found"), [("~/x/y", "x/y"), ("~", ""), ("~//x", "x")])
def test_a_tilde_that_no_shell_has_replaced_is_the_home(tmp_path, text, found):
    assert files.named_path(text) == tmp_path / found


def test_a_tilde_with_a_name_is_that_users_home():
    assert files.named_path("~ada/x") == Path("/var/empty/ada/x")
    with pytest.raises(HemConfigError, match="'~bob/x': no home is known for '~bob'"):
        files.named_path("~bob/x")


def test_a_tilde_without_a_home_is_refused_naming_the_value(monkeypatch):
    monkeypatch.delenv("HOME")
    with pytest.raises(HemConfigError, match="'~/x': no home is known"):
        files.named_path("~/x")
    with pytest.raises(HemConfigError, match="passphrase_file.*no home is known"):
        device_from_url("https://h", passphrase_file="~/pw")


def test_a_tilde_in_variables_and_settings_makes_no_directory_of_that_name(monkeypatch, tmp_path):
    from hem_provider.adapters.keyring.vault.store import default_path

    monkeypatch.setenv("HEM_CONFIG", "~/conf.toml")
    assert config_path() == tmp_path / "conf.toml"
    monkeypatch.delenv("HEM_CONFIG")
    monkeypatch.setenv("KEYRING_PROPERTY_VAULT", "~/vault")
    assert default_path() == tmp_path / "vault"
    device = device_from_url("emulator:~/device.hem", passphrase_file="~/pw", ca_file="~/ca.pem")
    assert device.url == f"emulator:{tmp_path}/device.hem"
    assert (device.passphrase_file, device.ca_file) == (tmp_path / "pw", tmp_path / "ca.pem")


def test_a_tilde_in_an_option_is_the_home_and_an_unknown_user_is_a_usage_error(tmp_path, capsys):
    @click.command()
    @click.option("--vault", type=FILE)
    @click.option("--names", type=FILE_TEXT)
    def command(vault, names):
        return vault, names

    given = command.main(["--vault=~/x", "--names=-"], standalone_mode=False)
    assert given == (tmp_path / "x", "-")
    with pytest.raises(click.BadParameter, match="'~bob/x': no home is known for '~bob'"):
        command.main(["--vault=~bob/x"], standalone_mode=False)


# --- reading: type before mode ----------------------------------------------------------------------

#: Each setting that names a file: how it is used with a path.
USES: dict[str, Callable[[Path], object]] = {
    "configuration": load_config,
    "passphrase_file": lambda path: read_passphrase(DeviceConfig(url="https://h", passphrase_file=path)),
    "ca_file": lambda path: client_context(ca_file=path),
    "passphrase_command": lambda path: read_passphrase(
        DeviceConfig(url="https://h", passphrase_command=(str(path),))
    ),
}


@pytest.mark.parametrize("use", [each for each in USES if each != "passphrase_command"])
@pytest.mark.parametrize("kind", ["/dev/null", "/dev/zero", "/tmp", "fifo", "socket"])
def test_what_is_no_regular_file_is_told_by_its_type_and_never_to_be_changed(tmp_path, use, kind):
    path = Path(kind) if kind.startswith("/") else tmp_path / kind
    if kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind == "socket":
        os.mknod(path, 0o140666)
    with pytest.raises(HemConfigError) as caught:
        USES[use](path)
    said = str(caught.value)
    assert str(path) in said
    assert "chmod" not in said
    wanted = {"/tmp": "directory", "fifo": "a FIFO", "socket": "a socket"}.get(kind, "a character device")
    assert wanted in said


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_file_that_others_may_write_is_refused_with_the_chmod(tmp_path, use, mode):
    path = write(tmp_path / "file", "#!/bin/sh\necho pw\n", mode)
    with pytest.raises(HemConfigError, match=f"{path}: others may write .*run: chmod go-r?wx? {path}"):
        USES[use](path)


@pytest.mark.parametrize("use", USES)
def test_a_file_in_a_folder_that_others_may_write_is_refused(tmp_path, use):
    path = write(tmp_path / "open" / "a" / "b" / "file", "#!/bin/sh\necho pw\n", 0o700)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(HemConfigError, match=f"{tmp_path / 'open'}: others may write a directory"):
        USES[use](path)
    path.parent.chmod(0o775)
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(HemConfigError, match="others may write the directory of"):
        USES[use](path)


def test_a_link_through_a_folder_that_others_may_write_is_refused(tmp_path):
    target = write(tmp_path / "good" / "ca.pem")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(target)
    (tmp_path / "here.pem").symlink_to(Path("open") / "link")
    assert files.read_file(tmp_path / "here.pem", "the CA file", limit=9) == b"x"
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(HemConfigError, match=f"{tmp_path / 'open'}: others may write"):
        files.read_file(tmp_path / "here.pem", "the CA file", limit=9)
    (tmp_path / "open").chmod(0o1777)  # sticky, as /tmp: nobody can replace what is ours
    assert files.read_file(tmp_path / "here.pem", "the CA file", limit=9) == b"x"


@needs_root
def test_a_link_of_somebody_else_in_a_sticky_folder_is_refused(tmp_path):
    write(tmp_path / "file")
    (tmp_path / "link").symlink_to("file")
    os.lchown(tmp_path / "link", 12345, 12345)
    tmp_path.chmod(0o1777)
    with pytest.raises(HemConfigError, match="the link to the file belongs to user id 12345"):
        files.read_file(tmp_path / "link", "the file", limit=9)


@needs_root
def test_in_a_sandbox_the_systems_directories_belong_to_the_id_of_those_not_shown(tmp_path, monkeypatch):
    path = write(tmp_path / "system" / "own" / "file")
    os.chown(tmp_path / "system", 65534, 65534)
    with pytest.raises(HemConfigError, match="a directory on the way to the file belongs to user id 65534"):
        files.read_file(path, "the file", limit=9)
    monkeypatch.setattr("hem_provider.trust._hidden_owner", lambda: 65534)
    assert files.read_file(path, "the file", limit=9) == b"x"
    os.chown(path.parent, 65534, 65534)
    with pytest.raises(HemConfigError, match="the directory of the file belongs to user id 65534"):
        files.read_file(path, "the file", limit=9)


def test_a_working_directory_that_is_gone_does_not_matter(tmp_path, monkeypatch):
    path = write(tmp_path / "file")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert files.read_file(path, "the file", limit=9) == b"x"
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o444])
def test_a_secret_that_everybody_may_read_is_refused_with_the_chmod(tmp_path, mode):
    path = write(tmp_path / "pw", "Secret!", mode)
    with pytest.raises(
        HemConfigError, match=f"others may read the passphrase file.*chmod go-rwx {path}"
    ) as told:
        USES["passphrase_file"](path)
    assert "Secret!" not in str(told.value)
    path.chmod(0o400)
    assert USES["passphrase_file"](path) == path.read_text()


@needs_root
def test_the_group_may_read_a_secret_of_roots_and_nobody_elses(tmp_path, monkeypatch):
    path = write(tmp_path / "pw", "secret", 0o640)
    assert USES["passphrase_file"](path) == path.read_text()
    os.chown(path, 12345, 12345)
    os.chown(tmp_path, 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(HemConfigError, match="others may read the passphrase file"):
        USES["passphrase_file"](path)


@needs_root
def test_nobody_is_told_to_change_what_is_roots(tmp_path, monkeypatch):
    path = write(tmp_path / "pw", "secret", 0o644)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(HemConfigError, match="others may read.*it belongs to root, who alone") as told:
        USES["passphrase_file"](path)
    assert "chmod" not in str(told.value)


@pytest.mark.parametrize("named", ["absolute", "relative"])
def test_a_script_that_a_passphrase_command_names_is_held_to_the_same_rules(tmp_path, named, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = write(tmp_path / "script", "echo pw\n", 0o600)
    command = ("sh", str(script) if named == "absolute" else "script")
    assert read_passphrase(DeviceConfig(url="https://h", passphrase_command=command)) == "pw"
    script.chmod(0o622)
    with pytest.raises(HemConfigError, match="others may write a file that the passphrase command names"):
        read_passphrase(DeviceConfig(url="https://h", passphrase_command=command))


@pytest.mark.parametrize(("setting", "way"), [("ca_file", "device"), ("cloud_ca_file", "cloud")])
def test_a_ca_file_that_others_may_write_is_refused_before_anybody_is_asked(tmp_path, setting, way):
    path = write(tmp_path / "ca.pem", "", 0o666)
    transports = Carriers(device_from_url("https://127.0.0.1:1", **{setting: path}))
    with pytest.raises(HemConfigError, match=f"{path}: others may write the CA file"):
        getattr(transports, way)()


_DAMAGE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"\0",
            b"[" * 100_000,
            b"a = " + b"[" * 50_000,
            b"a = " + b"9" * 5000,
            b"\xff\xfe",
            b"[[device]]",
        ]
    ),
)


def result_or_error(action: Callable[[], object]) -> object:
    """Any other exception than ours fails the test."""
    try:
        return action()
    except HemConfigError as error:
        return error


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_DAMAGE)
@example(b'[[device]]\nurl = "https://[::1"\n')
@example(b'[[device]]\nurl = "https://h"\nca_file = "/\\u0000"\n')
@example(b'[[device]]\nurl = "https://h"\npassphrase_file = "~nobody-here/x"\n')
@example(b'[[device]]\nurl = "https://h"\npin_sha256 = "\xc3\xbc"\n')
@example(b'[[device]]\nurl = "https://h"\ncloud_proxy = "http://[x"\n')
@example(b'[[device]]\nurl = "https://h"\ntimeout = ' + b"9" * 400)
def test_any_bytes_are_a_configuration_or_an_error_of_ours(tmp_path, content):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    path.chmod(0o600)
    said = result_or_error(lambda: load_config(path))
    assert isinstance(said, Config) or str(path) in str(said)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_DAMAGE)
def test_any_bytes_are_a_passphrase_or_an_error_of_ours(tmp_path, content):
    path = tmp_path / "pw"
    path.write_bytes(content)
    path.chmod(0o600)
    said = result_or_error(lambda: USES["passphrase_file"](path))
    assert said
    assert isinstance(said, str) or str(path) in str(said)


# --- writing -----------------------------------------------------------------------------------------


def test_a_replaced_file_is_whole_and_its_owners_alone_whatever_the_umask(tmp_path):
    umask = os.umask(0)
    try:
        files.make_folders(tmp_path / "a" / "b")
        files.replace_file(tmp_path / "a" / "b" / "file", b"new")
    finally:
        os.umask(umask)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"
    assert [each.stat().st_mode & 0o777 for each in sorted(tmp_path.rglob("*"))] == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
def test_a_file_that_cannot_be_replaced_is_as_it_was_and_nothing_is_left(tmp_path, monkeypatch, name):
    path = write(tmp_path / "file", "old")

    def fail(*_arguments, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="No space"):
            files.replace_file(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_are_swept_when_old_and_only_those_of_the_file(tmp_path):
    mine, others = tmp_path / f".file.{'0' * 16}.tmp", tmp_path / f".other.{'0' * 16}.tmp"
    young = tmp_path / f".file.{'1' * 16}.tmp"
    for each in (mine, others, young):
        each.write_text("x")
    for each in (mine, others):
        os.utime(each, (time.time() - 4000,) * 2)
    files.sweep(tmp_path, "file")
    assert set(tmp_path.iterdir()) == {others, young}
    files.sweep(tmp_path / "none")


def test_the_cache_on_a_full_disk_raises_nothing_and_stays_as_it_was(tmp_path, monkeypatch):
    cache = DiskCache("https://my.ence.do")
    cache.keep_scope("keymgmt:list")
    before = {each: each.read_bytes() for each in (tmp_path / ".cache" / "hem").iterdir()}

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        cache.keep_scope("keymgmt:use:" + "0" * 32)
        cache.keep_listing("eid", [])
        DiskCache("https://my.ence.do").forget_listing()
    assert {each: each.read_bytes() for each in (tmp_path / ".cache" / "hem").iterdir()} == before
    assert DiskCache("https://my.ence.do").scope() == "keymgmt:list"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["keys", "list", "scope"]), _DAMAGE)
@example("list", b'{"format": 1, "eid": 5, "records": []}')
@example("list", b'{"format": 1, "eid": "e", "records": 5}')
@example(
    "list",
    b'{"format":1,"eid":"e","records":[{"kid":"00000000000000000000000000000000","type":"AES128","label":"x",'
    b'"descr":"","created":Infinity,"updated":1}]}',
)
@example(
    "list",
    b'{"format":1,"eid":"e","records":[{"kid":"00000000000000000000000000000000","type":"AES128","label":"\\ud800",'
    b'"descr":"","created":1,"updated":1}]}',
)
def test_any_bytes_in_a_cache_file_count_as_nothing(tmp_path, kind, content):
    cache = DiskCache("https://my.ence.do")
    cache.keep_scope("keymgmt:list")
    path = cache.place(kind)
    path.write_bytes(content)
    path.chmod(0o600)
    fresh = DiskCache("https://my.ence.do")
    assert fresh.public("0" * 32) is None
    listing = fresh.listing()
    assert listing is None or all(each.label.encode() for each in listing.records)
    assert fresh.scope() in (None, "keymgmt:list")
    path.unlink()


@pytest.mark.parametrize("kind", ["keys", "list", "scope"])
def test_a_fifo_among_the_cache_files_makes_nobody_wait(kind):
    cache = DiskCache("https://my.ence.do")
    path = cache.place(kind)
    os.mkfifo(path)
    assert cache.public("0" * 32) is None
    assert (cache.listing(), cache.scope()) == (None, None)
    cache.keep_scope("keymgmt:list")
    cache.keep_listing("eid", [])


@pytest.mark.parametrize(
    ("what", "only_in"),
    [
        (r"^ *(import|from) fcntl", {"hem_provider/files/locks.py", "hem_provider/files/queues.py"}),
        (r"(environ(\.get\(|\[)|_base\()\"XDG_", {"hem_provider/files/places.py"}),
        (r"(?<!asyncio)\.sleep\(", {"hem_provider/waiting.py", *ON_THE_WAY}),
        (r"\.(rename|replace)\((path|new|target)", {"hem_provider/files/replacement.py"}),
        (r"\bmkdir\(mode=0o700|makedirs", {"hem_provider/files/folders.py"}),
    ],
)
def test_each_mechanism_stands_in_one_place(what, only_in):
    """The emulator shares no code with the client, and has its own."""
    root = Path(files.__file__).parents[2]
    product = [*(root / "hem_provider").rglob("*.py"), *(root / "shim" / "hem_pkcs11").rglob("*.py")]
    found = {
        str(path.relative_to(root))
        for path in product
        if re.search(what, path.read_text("utf-8"), re.MULTILINE)
    }
    assert {each for each in found if not each.startswith("hem_provider/emulator/")} == only_in


def test_a_lock_on_a_byte_is_had_once_and_ends_with_the_open_file(tmp_path):
    path = write(tmp_path / "file", "")
    first, second, third = (os.open(path, os.O_RDWR) for _ in range(3))
    lock, other = files.ByteLock(5), files.ByteLock(6)
    assert lock.take(first)
    assert lock.take(first)  # it has it
    assert not lock.take(second)
    begun = time.monotonic()
    assert not lock.take(second, 0.05)
    assert time.monotonic() - begun >= 0.05
    assert other.take(second)
    assert [lock.is_held(each) for each in (first, second, third)] == [False, True, True]
    lock.give(first)
    assert not lock.is_held(third)
    assert lock.take(second)
    os.close(second)
    assert not lock.is_held(third)
    assert lock.take(third, 0.05)
    os.close(first)
    os.close(third)


def test_a_lock_on_a_byte_that_cannot_be_had_at_all_is_an_error(tmp_path):
    handle = os.open(write(tmp_path / "file"), os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.ByteLock(0).take(handle)
    os.close(handle)


def test_a_folder_of_ones_own_is_made_once_and_refused_when_others_may_write_it(tmp_path):
    files.make_private(tmp_path / "a" / "b")
    files.make_private(str(tmp_path / "a" / "b"))
    assert [(tmp_path / each).stat().st_mode & 0o777 for each in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o770)
    with pytest.raises(PermissionError, match="others may write this directory"):
        files.make_private(tmp_path / "a")
    for name, make in (("link", lambda path: path.symlink_to(tmp_path / "a" / "b")), ("file", Path.touch)):
        make(tmp_path / name)
        with pytest.raises(NotADirectoryError):
            files.make_private(tmp_path / name)


def test_a_file_that_is_written_in_parts_is_replaced_whole(tmp_path):
    place = tmp_path / "file"
    place.write_text("before")
    with files.replacing(place, mode=0o644) as handle:
        os.write(handle, b"af")
        assert place.read_text() == "before"
        os.write(handle, b"ter")
    assert place.read_text() == "after"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_file_stays_as_it_was_when_writing_its_parts_fails(tmp_path):
    place = tmp_path / "file"
    place.write_text("before")
    try:
        with files.replacing(place) as handle:
            os.write(handle, b"half")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert place.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.fixture(params=["without a name", "named"])
def way(request, monkeypatch):
    """Both ways that a file is written: file systems differ."""
    if request.param == "named":
        opened = os.open

        def without(path, flags, *rest, **named):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), str(path))
            return opened(path, flags, *rest, **named)

        monkeypatch.setattr(os, "open", without)
    return request.param


@pytest.mark.parametrize(
    ("way", "links"),
    [("without a name", True), ("named", True), ("named", False)],  # what has no name yet is linked
    indirect=["way"],
)
def test_a_file_that_comes_meanwhile_is_not_replaced_unless_it_may_be(tmp_path, monkeypatch, way, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_, **__: Path("/none/such").stat())
    place = tmp_path / "file"
    for replace, kept in ((False, "theirs"), (True, "ours")):
        place.unlink(missing_ok=True)

        def put(replace=replace):
            with files.replacing(place, replace=replace) as handle:
                os.write(handle, b"ours")
                place.write_text("theirs")

        if replace:
            put()
        else:
            with pytest.raises(FileExistsError) as told:
                put()
            assert (told.value.filename, told.value.filename2) == (str(place), None)
        assert place.read_text() == kept
        assert list(tmp_path.iterdir()) == [place]
    place.unlink()
    files.replace_file(place, b"first", mode=0o640, replace=False)
    assert (place.read_text(), list(tmp_path.iterdir())) == ("first", [place])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("replace", [True, False])
def test_a_new_file_has_its_mode_less_the_umask(tmp_path, replace):
    umask = os.umask(0o027)
    try:
        files.replace_file(tmp_path / "file", b"x", mode=0o644, replace=replace)
    finally:
        os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_nothing_is_left_of_a_writer_that_is_killed(tmp_path):
    program = (
        "import os, pathlib, signal\nfrom hem_provider import files\n"
        f"with files.replacing(pathlib.Path({str(tmp_path / 'file')!r})) as handle:\n"
        "    os.write(handle, b'secret')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -9
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_writing_names_the_file_that_was_to_be_replaced(tmp_path, monkeypatch):
    """What a full disk says of a handle has no name of its own."""
    path = tmp_path / "file"
    for name in ("write", "fsync"):

        def full(*_arguments):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="Disk quota exceeded") as caught:
                files.replace_file(path, b"new")
        assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_the_rights_of_the_one_before_when_it_takes_its_place(tmp_path, monkeypatch):
    """Not later: who is killed between would leave a file that its owner cannot read."""
    path = write(tmp_path / "file", "old")
    path.chmod(0o664)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    seen, real = [], Path.replace

    def replace(self, target):
        seen.append(self.stat())
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    before, umask = path.stat(), os.umask(0o077)
    try:
        files.replace_file(path, b"new", like=before)
    finally:
        os.umask(umask)
    assert [(each.st_mode, each.st_uid, each.st_gid) for each in (*seen, path.stat())] == [
        (before.st_mode, before.st_uid, before.st_gid)
    ] * 2


def test_a_public_key_behind_a_line_that_a_full_disk_cut_is_remembered(tmp_path):
    first, second = bytes(32), bytes(range(32))
    cache = DiskCache("https://my.ence.do")
    cache.keep_public(kid_of(first), first)
    path = cache.place("keys")
    whole = path.read_bytes()
    path.write_bytes(whole + b"0123456789abcdef0123456789abcdef AAA")
    DiskCache("https://my.ence.do").keep_public(kid_of(second), second)
    again = DiskCache("https://my.ence.do")
    assert (again.public(kid_of(first)), again.public(kid_of(second))) == (first, second)


def test_what_killed_writers_left_of_any_file_of_the_cache_is_swept_by_the_next(tmp_path):
    def left(name):
        path = tmp_path / ".cache" / "hem" / f".{name}.{'0' * 16}.tmp"
        path.write_text("x")
        os.utime(path, (time.time() - 4000,) * 2)
        return path

    cache = DiskCache("https://my.ence.do")
    cache.keep_scope("keymgmt:list")
    for write_one in (
        lambda: cache.keep_listing("eid", []),
        lambda: cache.keep_public(kid_of(bytes(32)), bytes(32)),
        cache.forget_listing,
    ):
        path = left(cache.place("scope").name)
        write_one()
        assert not path.exists()
