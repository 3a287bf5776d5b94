"""What the actions of ``hem keys`` do that change nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hem_provider.cli.choosing import device_of, named_key
from hem_provider.cli.keys_forms import FORMS
from hem_provider.cli.keys_telling import print_all, print_one
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, write
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import load_config
from hem_provider.device.description import MAKERS, maker_of
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key

__all__ = ["public", "search", "show", "show_all"]

#: What makes a word a pattern of whole labels.
_JOKERS = frozenset("*?[")


def show_all(options: Given) -> int:
    """``hem keys list``: its exit status."""
    name, keys = _listed(options)
    print_all(name, keys, as_json=options.json, none=f"{name} has no keys.")
    return 0


def search(options: Given) -> int:
    """``hem keys search``: its exit status."""
    descr = None if options.descr is None else options.descr.encode("utf-8", "surrogateescape")
    if options.pattern is None and not any((descr, options.type, options.made_by, options.id)):
        raise UsageFault("say what to look for: part of a label, --type, --made-by, --id or --descr")
    name, keys = _listed(options, descr)
    found = [each for each in keys if _fits(each, options, descr)]
    print_all(name, found, as_json=options.json, none=f"{name} has no such key.")
    return 0


def show(options: Given) -> int:
    """``hem keys show``: its exit status."""
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        print_one(hem.config.name, named_key(hem, options.key), as_json=options.json)
    return 0


def public(options: Given) -> int:
    """``hem keys public``: its exit status."""
    form = FORMS[options.format]
    check_target(options.output, force=options.force, binary=form.binary, what=f"--format {options.format}")
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        data = form.make(named_key(hem, options.key))
    write(data, options.output, force=options.force)
    return 0


def _listed(options: Given, descr: bytes | None = None) -> tuple[str, list[Key]]:
    """The name of the device and its keys: as this user's programs listed them within 30 s, which costs
    neither call nor login, unless ``--fresh``; else those that the device finds, as far as it can look for
    what is wanted."""
    config = load_config().device(options.device)
    if not options.fresh:
        with Hem(config) as hem:
            known = hem.keys.recent()
            if known is not None:
                return config.name, known
    with logged_in(options.device, mobile=options.mobile) as hem:
        if options.fresh:
            hem.keys.refresh()
        starts = descr or MAKERS.get(getattr(options, "made_by", None) or "", b"")
        ends = b"" if starts else getattr(options, "id", None) or b""
        if starts or ends:
            return config.name, hem.keys.search_described(starts=starts, ends=ends)
        return config.name, list(hem.keys)


def _fits(key: Key, options: Given, descr: bytes | None) -> bool:
    return (
        (options.pattern is None or _is_called(key.label.casefold(), options.pattern.casefold()))
        and (options.type is None or key.type.name == options.type)
        and (options.made_by is None or maker_of(key.descr) == options.made_by)
        and (options.id is None or key.application_id == options.id)
        and (descr is None or key.descr.startswith(descr))
    )


def _is_called(label: str, pattern: str) -> bool:
    return fnmatchcase(label, pattern) if _JOKERS & set(pattern) else pattern in label
