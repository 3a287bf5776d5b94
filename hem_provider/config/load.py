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

A single device needs no file: ``HEM_URL`` and the variables of ``ENVIRONMENT``. No secret is kept
here, only where to find it. In a process with raised privileges the environment is ignored and
only ``/etc/hem/config.toml`` is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hem_provider.config.model import Config, DeviceConfig
from hem_provider.config.places import SYSTEM_FILE, config_path, is_there, passed_over
from hem_provider.config.settings import kinds_of, same_url, variables_of
from hem_provider.config.tables import DEFAULTS, device_of, parse_table
from hem_provider.config.toml_file import read_config
from hem_provider.errors import HemConfigError
from hem_provider.logs import WARNING, Logger
from hem_provider.records import fields, replace
from hem_provider.trust import ignored_variables, privileges_raised

__all__ = ["ENVIRONMENT", "device_from_url", "load_config", "new_device"]

#: Environment variable → setting of the one device that ``HEM_URL`` names.
ENVIRONMENT: Mapping[str, str] = variables_of(DeviceConfig)
#: The same, for those that count with a file too.
_OVERRIDING: Mapping[str, str] = variables_of(DeviceConfig, overriding=True)
_KINDS = kinds_of(DeviceConfig)


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
            raise HemConfigError("HEM_CONFIG and HEM_URL are both set: unset one of them", code="E-SETTING")
        named = bool(os.environ.get("HEM_CONFIG")) and not privileges_raised()
        if not named and not is_there(path):
            return Config(passed_over=passed_over())
    return _overridden(read_config(path))


def _overridden(config: Config) -> Config:
    """With what the environment says of every device."""
    given = {} if privileges_raised() else _variables(os.environ, _OVERRIDING)
    values = parse_table(given, _KINDS, _where_variable)
    return replace(config, devices=tuple(replace(each, **values) for each in config.devices))


def _log_ignored(variables: tuple[str, ...]) -> None:
    Logger("hem_provider").log(
        WARNING,
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
    unknown = sorted(set(given) - set(_KINDS))
    if unknown:
        raise TypeError(f"unknown setting {unknown[0]!r}; known: {', '.join(_KINDS)}")

    def where(setting: str) -> str:
        return f"setting {setting!r}" if setting in {"url", *given} else _where_variable(setting)

    url = device_of({"url": url}, where).url  # one that is none is told before anything else
    values = _over(_known_of(url), given)
    return device_of(_plain({**values, "url": url}), where)


def new_device(url: str, **settings: object) -> DeviceConfig:
    """A device that no file knows: as ``device_from_url``, from what is given and the environment alone."""
    given = {name: value for name, value in settings.items() if value is not None}
    named = None if privileges_raised() else os.environ.get("HEM_URL")
    applies = not privileges_raised() and (not named or same_url(named, url))
    known: dict[str, object] = _variables(os.environ) if applies else {}
    known.pop("name", None)

    def where(setting: str) -> str:
        return f"setting {setting!r}" if setting in {"url", *given} else _where_variable(setting)

    return device_of(_plain({**_over(known, given), "url": url}), where)


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
            values = {setting.name: getattr(each, setting.name) for setting in fields(each)}
            known = {name: value for name, value in values.items() if value != DEFAULTS.get(name)}
    if privileges_raised():
        return known
    variables = _variables(os.environ, _OVERRIDING if os.environ.get("HEM_URL") else ENVIRONMENT)
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


def _from_environment(environ: Mapping[str, str]) -> Config:
    device = device_of(_variables(environ), _where_variable)
    return Config(devices=(device,), source="the environment")


def _variables(environ: Mapping[str, str], known: Mapping[str, str] = ENVIRONMENT) -> dict[str, object]:
    """Settings that the environment has, as TOML would have them; ``known``: variable → setting."""
    return {
        setting: _KINDS[setting].from_text(environ[variable])
        for variable, setting in known.items()
        if environ.get(variable)
    }


def _where_variable(setting: str) -> str:
    return next((variable for variable, each in ENVIRONMENT.items() if each == setting), setting)
