"""Which devices there are and how to reach them: settings from one TOML file or the environment.

The file is ``$HEM_CONFIG``, else ``$XDG_CONFIG_HOME/hem/config.toml`` (``~/.config`` when unset),
else ``/etc/hem/config.toml``; a home or a file in it that is closed to this process counts as if it
were not there::

    [[device]]
    name = "office"
    url = "https://my.ence.do"
    passphrase_file = "/run/secrets/hem"

    [pkcs11]
    login_cache = 300

A single device needs no file: ``HEM_URL`` and the variables of ``_ENVIRONMENT``. No secret is kept
here, only where to find it. In a process with raised privileges the environment is ignored and
only ``/etc/hem/config.toml`` is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from hem_provider.errors import HemConfigError
from hem_provider.files import config_home, named_path, read_file
from hem_provider.passphrase import passphrase_from_command, passphrase_from_file
from hem_provider.settings import (
    DEVICE_SETTINGS,
    PKCS11_SETTINGS,
    Parser,
    RejectedValueError,
    from_text,
    same_url,
)
from hem_provider.trust import ignored_variables, privileges_raised

__all__ = [
    "DEFAULT_CLOUD_URL",
    "Config",
    "DeviceConfig",
    "Pkcs11Config",
    "config_path",
    "device_from_url",
    "load_config",
    "read_passphrase",
]

DEFAULT_CLOUD_URL = "https://api.encedo.com"
SYSTEM_FILE = Path("/etc/hem/config.toml")
#: Characters of a refused value that a message shows.
_SHOWN = 80
#: Larger files are no configuration, in bytes.
_MAX_FILE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """One device. Times are in seconds, ``turn_timeout`` is ``timeout`` where it is ``None``;
    ``pin_sha256`` is the SHA-256 of the certificate's SubjectPublicKeyInfo, in lower-case hex."""

    url: str
    name: str = "hem"
    slot: int | None = None
    ca_file: Path | None = None
    pin_sha256: str | None = None
    insecure: bool = False
    auth: str = "passphrase"
    master_kdf: str = "auto"
    passphrase_file: Path | None = None
    passphrase_command: tuple[str, ...] | None = None
    connect_timeout: float = 4.0
    timeout: float = 30.0
    keygen_timeout: float = 120.0
    turn_timeout: float | None = None
    spacing: float = 0.0
    max_calls: int = 4096
    key_filter: tuple[str, ...] = ()
    allow_wipe: bool = False
    show_hidden: bool = False
    verify_signatures: bool = True
    cloud_url: str = DEFAULT_CLOUD_URL
    cloud_ca_file: Path | None = None
    cloud_proxy: str | None = field(default=None, repr=False)  # may hold a password


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Config:
    """Settings of the PKCS#11 module.

    ``login_cache``: seconds for which a verified PIN opens a new login without asking the device
    (0 = never; at most 300). ``device_random``: mix device entropy into ``C_GenerateRandom``.
    """

    login_cache: float = 300.0
    device_random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All devices, in slot order, and for messages where the settings came from, and which place
    could not be looked into (``passed_over``)."""

    devices: tuple[DeviceConfig, ...] = ()
    pkcs11: Pkcs11Config = Pkcs11Config()
    source: str = "nothing"
    passed_over: str = ""

    def device(self, name: str | None = None) -> DeviceConfig:
        """The device called ``name``, or the only one. Raises ``HemConfigError`` otherwise."""
        if not self.devices:
            raise HemConfigError(
                "no HEM is configured: set HEM_URL (for example https://my.ence.do), or write "
                f'[[device]] with url = "…" into {config_path() or SYSTEM_FILE}'
                + (f" ({self.passed_over})" if self.passed_over else "")
            )
        names = ", ".join(each.name for each in self.devices)
        if name is None:
            if len(self.devices) > 1:
                raise HemConfigError(f"{self.source}: say which device by its name: {names}")
            return self.devices[0]
        for each in self.devices:
            if each.name == name:
                return each
        raise HemConfigError(f"{self.source}: no device is called {name!r}; there are: {names}")


#: Environment variable → setting of the one device that ``HEM_URL`` names.
_ENVIRONMENT: Mapping[str, str] = {
    "HEM_URL": "url",
    "HEM_NAME": "name",
    "HEM_CA_FILE": "ca_file",
    "HEM_PIN_SHA256": "pin_sha256",
    "HEM_INSECURE": "insecure",
    "HEM_AUTH": "auth",
    "HEM_PASSPHRASE_FILE": "passphrase_file",
    "HEM_PASSPHRASE_COMMAND": "passphrase_command",
    "HEM_TIMEOUT": "timeout",
    "HEM_VERIFY_SIGNATURES": "verify_signatures",
    "HEM_MAX_CALLS": "max_calls",
    "HEM_CLOUD_URL": "cloud_url",
    "HEM_CLOUD_CA_FILE": "cloud_ca_file",
    "HEM_CLOUD_PROXY": "cloud_proxy",
}


def config_path() -> Path | None:
    """The file that would be read; ``None`` when the environment names the device instead."""
    if privileges_raised():
        return SYSTEM_FILE
    if explicit := os.environ.get("HEM_CONFIG"):
        return named_path(explicit)
    if os.environ.get("HEM_URL"):
        return None
    personal = _personal_file()
    if personal is None or _closed(personal) or (not _is_there(personal) and _is_there(SYSTEM_FILE)):
        return SYSTEM_FILE
    return personal


def _personal_file() -> Path | None:
    place = config_home()
    return None if place is None else place / "hem" / "config.toml"


def _is_there(path: Path) -> bool:
    """Also true of what cannot be used: that is told when it is read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _closed(path: Path) -> bool:
    """Whether the file, or a directory on the way to it, belongs to somebody else who does not let
    this process in: then it was not meant for it."""
    try:
        owner = path.stat().st_uid
    except PermissionError:
        return True
    except OSError:
        return False
    return owner != os.geteuid() and not os.access(path, os.R_OK, effective_ids=True)


def _passed_over() -> str:
    """Why the personal file was not looked at, for messages."""
    if privileges_raised():
        return ""
    personal = _personal_file()
    if personal is None:
        given = os.environ.get("HOME", "")
        return f"HOME={given!r} is no directory that user id {os.geteuid()} may search"
    return f"{personal} may not be read by user id {os.geteuid()}" if _closed(personal) else ""


def load_config(path: Path | None = None) -> Config:
    """Read ``path``, or the file or environment that applies; no file at all is no device.

    Raises ``HemConfigError`` naming file, line, setting and what is accepted.
    """
    if path is None:
        if ignored := ignored_variables():
            _log_ignored(ignored)
        path = config_path()
        if path is None:
            return _from_environment(os.environ)
        if "HEM_CONFIG" in os.environ and os.environ.get("HEM_URL") and not privileges_raised():
            raise HemConfigError("HEM_CONFIG and HEM_URL are both set: unset one of them")
        named = bool(os.environ.get("HEM_CONFIG")) and not privileges_raised()
        if not named and not _is_there(path):
            return Config(passed_over=_passed_over())
    return _from_file(path)


def _log_ignored(variables: tuple[str, ...]) -> None:
    import logging  # for this rare case only

    logging.getLogger("hem_provider").warning(
        "raised privileges: the environment is ignored (%s); only %s counts",
        ", ".join(variables),
        SYSTEM_FILE,
    )


def device_from_url(url: str, **settings: object) -> DeviceConfig:
    """A device given by the caller in code; ``settings`` are fields of ``DeviceConfig``.

    What is not given comes from the environment (``HEM_CA_FILE`` and the rest, unless ``HEM_URL``
    names another device, whose they are then), and from the configured device of the same URL.
    ``None`` stands for not given; paths may be ``str`` or ``Path``. Raises ``HemConfigError`` for a
    bad value and ``TypeError`` for a field that does not exist.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    unknown = sorted(set(given) - set(DEVICE_SETTINGS))
    if unknown:
        raise TypeError(f"unknown setting {unknown[0]!r}; known: {', '.join(DEVICE_SETTINGS)}")

    def where(setting: str) -> str:
        return f"setting {setting!r}" if setting in {"url", *given} else _where_variable(setting)

    url = _device({"url": url}, where).url  # one that is none is told before anything else
    values = _over(_known_of(url), given)
    return _device(_plain({**values, "url": url}), where)


#: Given in a call → what it stands in the place of.
_INSTEAD: Mapping[str, frozenset[str]] = {
    "insecure": frozenset({"ca_file", "pin_sha256"}),
    "ca_file": frozenset({"insecure"}),
    "pin_sha256": frozenset({"insecure"}),
    "passphrase_file": frozenset({"passphrase_command"}),
    "passphrase_command": frozenset({"passphrase_file"}),
}


def _over(base: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """``base`` with what is given over it, and without what that stands in the place of."""
    replaced = {each for name in given for each in _INSTEAD.get(name, ())}
    return {**{name: value for name, value in base.items() if name not in replaced}, **given}


def _known_of(url: str) -> dict[str, object]:
    """The settings that configuration and environment have for the device at ``url``."""
    known: dict[str, object] = {}
    for each in _configured().devices:
        if same_url(each.url, url):
            known = {name: value for name, value in asdict(each).items() if value != _DEFAULTS.get(name)}
    if privileges_raised() or os.environ.get("HEM_URL"):
        return known
    variables = _variables(os.environ)
    variables.pop("name", None)
    return _over(known, variables)


def _configured() -> Config:
    """What is configured. A file that applies by its place alone and is not ours to read is none:
    it is not for us then, and whoever asks names the device by its URL."""
    path = config_path()
    named = os.environ.get("HEM_CONFIG") and not privileges_raised()
    if path is not None and not named and path.exists() and not os.access(path, os.R_OK):
        return Config()
    return load_config()


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """As TOML would have them."""
    return {
        name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def read_passphrase(device: DeviceConfig) -> str | None:
    """The passphrase from the device's configured source, or ``None`` where there is none.

    Read afresh each time and never kept. One trailing line end is removed. Raises
    ``HemConfigError`` when the file or command fails, gives nothing, or others may write it.
    """
    if device.passphrase_file is not None:
        return passphrase_from_file(device.passphrase_file)
    if device.passphrase_command is not None:
        return passphrase_from_command(device.passphrase_command)
    return None


def _from_environment(environ: Mapping[str, str]) -> Config:
    device = _device(_variables(environ), _where_variable)
    return Config(devices=(device,), source="the environment")


def _variables(environ: Mapping[str, str]) -> dict[str, object]:
    """Settings that the environment has, as TOML would have them."""
    return {
        setting: from_text(setting, environ[variable])
        for variable, setting in _ENVIRONMENT.items()
        if environ.get(variable)
    }


def _where_variable(setting: str) -> str:
    return next((variable for variable, each in _ENVIRONMENT.items() if each == setting), setting)


def _from_file(path: Path) -> Config:
    import tomllib  # a device given by the environment needs no file

    try:
        data = read_file(path, "the configuration", limit=_MAX_FILE)
        if len(data) > _MAX_FILE:
            raise HemConfigError(f"{path}: over {_MAX_FILE} bytes; no configuration is as large")
        text = data.decode("utf-8").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except OSError as error:
        raise HemConfigError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise HemConfigError(f"{path}: not UTF-8 text at byte {error.start}") from None
    except ValueError as error:  # TOMLDecodeError, and numbers that are too long
        raise HemConfigError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise HemConfigError(f"{path}: not valid TOML: nested too deeply") from None
    for name in document:
        if name not in ("device", "pkcs11"):
            line = _line_of(text, None, 0, name)
            raise HemConfigError(
                f"{path}, line {line}: unknown setting {name!r}; accepted: [[device]], [pkcs11]"
            )
    tables = document.get("device", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise HemConfigError(
            f"{path}, line {_line_of(text, None, 0, 'device')}: write each device as a [[device]] table"
        )
    place = partial(_place, path, text)
    devices = tuple(_device(table, partial(place, "device", n)) for n, table in enumerate(tables))
    _check_distinct(path, devices)
    section = document.get("pkcs11", {})
    if not isinstance(section, dict):
        raise HemConfigError(f"{path}, line {_line_of(text, None, 0, 'pkcs11')}: write a [pkcs11] table")
    values = _parse(section, PKCS11_SETTINGS, partial(place, "pkcs11", 0))
    return Config(devices=devices, pkcs11=replace(Pkcs11Config(), **values), source=str(path))


def _place(path: Path, text: str, table: str, number: int, setting: str) -> str:
    return f"{path}, line {_line_of(text, table, number, setting)}: {setting!r}"


def _check_distinct(path: Path, devices: tuple[DeviceConfig, ...]) -> None:
    for setting in ("name", "slot"):
        seen = [getattr(each, setting) for each in devices if getattr(each, setting) is not None]
        twice = next((value for value in seen if seen.count(value) > 1), None)
        if twice is not None:
            raise HemConfigError(f"{path}: two devices have {setting} = {twice!r}; give each its own")


def _device(table: Mapping[str, object], where: Callable[[str], str]) -> DeviceConfig:
    values = _parse(table, DEVICE_SETTINGS, where)
    if "url" not in values:
        raise HemConfigError(f"{where('url')}: missing; accepted: https://HOST[:PORT], emulator:PATH")
    device = DeviceConfig(**values)
    if device.insecure and (device.ca_file or device.pin_sha256):
        raise HemConfigError(f"{where('insecure')}: contradicts ca_file and pin_sha256; remove one of them")
    if device.passphrase_file and device.passphrase_command:
        raise HemConfigError(
            f"{where('passphrase_command')}: contradicts passphrase_file; remove one of them"
        )
    return device


def _parse(
    table: Mapping[str, object],
    parsers: Mapping[str, Parser],
    where: Callable[[str], str],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting, value in table.items():
        if setting not in parsers:
            raise HemConfigError(f"{where(setting)}: unknown setting; accepted: {', '.join(parsers)}")
        try:
            values[setting] = parsers[setting](value)
        except RejectedValueError as rejected:
            raise HemConfigError(f"{where(setting)}: {_shown(value)}; accepted: {rejected}") from None
    return values


def _shown(value: object) -> str:
    """A refused value for messages: not at any length, and without the password of a URL."""
    text = re.sub(r"//[^/@]*@", "//…@", repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _line_of(text: str, table: str | None, number: int, setting: str) -> int:
    """The 1-based line of a setting, or of its table's header, for messages.

    ``tomllib`` gives no positions; this looks for the header of the ``number``-th such table and
    then for the setting. A layout it does not follow (inline tables) gives the nearest line.
    """
    header = re.compile(r"^\s*\[\[?\s*([^\]\s]+)\s*\]\]?")
    wanted = re.compile(rf"^\s*(?:\[\[?\s*)?[\"']?{re.escape(setting)}[\"']?\s*[=.\]]")
    current, seen, best = None, -1, 1
    for position, line in enumerate(text.splitlines(), 1):
        if found := header.match(line):
            current = found.group(1)
            if current == table:
                seen += 1
                if seen == number:
                    best = position
        inside = table is None or (current == table and seen == number)
        if inside and wanted.match(line):
            return position
    return best


_DEFAULTS: Mapping[str, object] = {
    each.name: each.default for each in fields(DeviceConfig) if each.default is not MISSING
}


def _complete() -> None:
    """The parser tables and the dataclasses must name the same settings."""
    for parsers, shape in ((DEVICE_SETTINGS, DeviceConfig), (PKCS11_SETTINGS, Pkcs11Config)):
        missing = {each.name for each in fields(shape)} ^ set(parsers)
        if missing:
            raise AssertionError(f"{shape.__name__}: {missing}")


_complete()
