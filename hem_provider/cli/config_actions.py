"""What the actions of ``hem config`` do, but for ``init``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, FAILED, UsageFault
from hem_provider.config import config_path, load_config
from hem_provider.config.checking import environment_faults, file_faults
from hem_provider.config.effective import Section, Shown, effective
from hem_provider.config.model import DeviceConfig, Pkcs11Config
from hem_provider.config.places import is_there, places
from hem_provider.config.settings import COMMAND, Kind, RejectedValueError, kinds_of
from hem_provider.config.tables import DEFAULTS, shown
from hem_provider.errors import HemConfigError, HemError

__all__ = ["change", "check", "path", "settable", "show", "written"]

_DEVICE, _MODULE = kinds_of(DeviceConfig), kinds_of(Pkcs11Config)
_PKCS11 = "pkcs11"


def path(options: Given) -> int:
    """``hem config path``: its exit status. The path alone goes to standard output."""
    found = places()
    counting = next(each for each in found if each.counts)
    if options.json:
        listed = [
            {"place": each.called, "path": _text(each.path), "state": each.state, "counts": each.counts}
            for each in found
        ]
        print_json({"path": _text(counting.path), "places": listed})
        return DONE
    if counting.path is not None:
        print(counting.path, flush=True)
    for each in found:
        where = f" {each.path}" if each.path is not None else ""
        say(f"{'*' if each.counts else ' '} {each.called}{where}: {each.state}")
    return DONE


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def show(options: Given) -> int:
    """``hem config show``: its exit status."""
    found = effective()
    sections = _chosen(found.sections, options.names)
    if options.json:
        print_json({"source": found.source, "sections": [_document(each) for each in sections]})
        return DONE
    if not any(each.name is not None for each in found.sections):
        say(f"No device is configured ({found.source}): hem config init writes one.")
    from hem_provider.cli.drawing import draw

    rows = [
        (f"{each.name or _PKCS11}.{row.setting}", written(row.value), _from(row))
        for each in sections
        for row in each.settings
        if options.everything or row.kind != "default"
    ]
    if rows:
        draw(("setting", "value", "from"), rows)
    return DONE


def _chosen(sections: Sequence[Section], names: Sequence[str]) -> list[Section]:
    if not names:
        return list(sections)
    config = load_config()
    wanted = [None if name == _PKCS11 else config.device(name).name for name in names]
    return [each for each in sections if each.name in wanted]


def _document(section: Section) -> dict[str, Any]:
    settings = [
        {"setting": row.setting, "value": row.value, "from": row.kind, "place": row.origin or None}
        for row in section.settings
    ]
    return {"device": section.name, "settings": settings}


def written(value: object) -> str:
    """A value as a person reads it: texts without quotes, the rest as TOML has it."""
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _from(row: Shown) -> str:
    return row.origin or row.kind


def check(options: Given) -> int:
    """``hem config check``: its exit status, ``FAILED`` where there are faults."""
    where = options.file or config_path()
    none = where is not None and options.file is None and not is_there(where) and not places()[0].counts
    if where is None:
        source, faults = "the environment", environment_faults()
    else:
        source, faults = str(where), [] if none else file_faults(where)
    if options.json:
        print_json({"source": source, "faults": faults})
    else:
        for each in faults:
            print(each, flush=True)
        if faults:
            number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
            cure = (
                "hem config set and your editor mend them" if _there(where) else "hem config init writes it"
            )
            say(f"{source}: {number}; {cure}.")
        else:
            words = (
                "not there, so that no device is configured; hem config init writes it"
                if none
                else "no faults"
            )
            say(f"{source}: {words}.")
    return FAILED if faults else DONE


def _there(where: Path | None) -> bool:
    return where is None or is_there(where)


def settable() -> list[str]:
    """Every ``NAME.SETTING`` of the configured devices, for completion."""
    names: list[str] = []
    with suppress(HemError, OSError):
        names = [f"{device.name}.{each}" for device in load_config().devices for each in _DEVICE]
    return [*names, *(f"{_PKCS11}.{each}" for each in _MODULE)]


def change(options: Given) -> int:
    """``hem config set``: its exit status."""
    if options.unset is (options.value is not None):
        raise UsageFault("give a value, or --unset to take the setting away")
    where = config_path()
    if where is None:
        raise HemConfigError(
            "HEM_URL names the device, and no file is read: set its other variables, or unset HEM_URL"
        )
    from hem_provider.config.editing import Change, edit

    device, setting, kind = _named(where, options.setting)
    before = _present(device, setting)
    value = None if options.unset else _parsed(options.setting, kind, options.value)
    edit(where, [Change(setting, value, device=device)])
    if device is not None and setting == "name":
        device = str(value or DEFAULTS["name"])
    after = _present(device, setting)
    if options.json:
        rows = {"before": before, "after": after}
        told = {name: {"value": row.value, "from": row.kind} for name, row in rows.items()}
        print_json({"path": str(where), "device": device, "setting": setting, **told})
        return DONE
    name = f"{device or _PKCS11}.{setting}"
    print(f"{name}: {written(before.value)} ({_from(before)}) -> {written(after.value)} ({_from(after)})")
    if after.kind == "environment":
        say(f"{after.origin} is set and holds instead of the file.")
    return DONE


def _named(where: Path, word: str) -> tuple[str | None, str, Kind]:
    """Device (``None``: the module), setting and kind of ``NAME.SETTING``; NAME may be left out where there
    is one device."""
    if not is_there(where):
        raise HemConfigError(f"{where}: not there; hem config init writes it")
    name, _, setting = word.rpartition(".")
    config = load_config()
    is_device = name != _PKCS11 or any(each.name == name for each in config.devices)
    if name == _PKCS11 and (setting in _MODULE or not is_device):
        return None, setting, _kind(setting, _MODULE, "of the PKCS#11 module")
    device = config.device(name or None).name
    return device, setting, _kind(setting, _DEVICE, "of a device")


def _kind(setting: str, kinds: Mapping[str, Kind], whose: str) -> Kind:
    if setting in kinds:
        return kinds[setting]
    from difflib import get_close_matches

    meant = get_close_matches(setting, kinds, n=1)
    guess = f"; did you mean {meant[0]}?" if meant else f"; there are: {', '.join(kinds)}"
    raise HemConfigError(f"there is no setting {setting!r} {whose}{guess}")


def _parsed(word: str, kind: Kind, text: str) -> object:
    """The value as TOML has it: typed as variables of the environment are, or else as in TOML.
    ``UsageFault`` for what the setting does not accept."""
    value = kind.from_text(text)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    composed = text.lstrip()[:1] in ("[", "{")
    if _accepts(kind, value) and not (composed and kind is COMMAND):  # which takes any text as a command line
        return value
    import tomllib

    try:
        literal = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError) as error:
        if composed:
            raise UsageFault(f"{word}: {text!r} is not TOML: {error}") from None
        literal = value
    try:
        kind.parse(literal)
    except RejectedValueError as rejected:
        raise UsageFault(f"{word}: {shown(text)}; accepted: {rejected}") from None
    return literal


def _accepts(kind: Kind, value: object) -> bool:
    try:
        kind.parse(value)
    except RejectedValueError:
        return False
    return True


def _present(device: str | None, setting: str) -> Shown:
    """How it is now."""
    section = next(each for each in effective().sections if each.name == device)
    return next(each for each in section.settings if each.setting == setting)
