"""What ``hem config init`` does: ask for what no option says, look who answers, and write it down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hem_provider.cli.confirming import ask, confirm
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, Declined, UsageFault
from hem_provider.config import DeviceConfig, config_path, load_config
from hem_provider.config.login_source import can_ask
from hem_provider.config.passphrase import checked_command, passphrase_from_file
from hem_provider.config.places import is_there
from hem_provider.config.settings import same_url
from hem_provider.config.tables import device_of
from hem_provider.errors import HemConfigError, HemError, HemTLSError, HemUnreachable
from hem_provider.files import named_path
from hem_provider.printable import printable
from hem_provider.records import mutable, replace

if TYPE_CHECKING:
    from hem_provider.device.introduction import Introduction

__all__ = ["init"]

_USUAL_URL, _USUAL_NAME = "https://my.ence.do", "hem"
_SCHEMES = ("https://", "http://", "emulator:", "unix:")


@mutable
class _Found:
    """What looking at the device gave; ``None``: it was not looked at."""

    reached: bool | None = None
    initialized: bool | None = None


def init(options: Given) -> int:
    """``hem config init``: its exit status."""
    target = _target()
    known = load_config(target).devices if is_there(target) else ()
    settings = _settings(options, known)
    found = _Found()
    if not options.offline:
        _introduce(settings, found)
    _choose_login(options, settings)
    config = _typed(settings)
    _check_login(config)
    say(printable(f"This goes into {target}:"))
    for name, value in settings.items():
        say(printable(f"  {name} = {value}"))
    if can_ask():
        confirm(f"Write {target}?", yes=options.yes)
    _write(target, config.name, settings)
    if options.json:
        document = {"path": str(target), "device": config.name, "settings": settings}
        print_json({**document, "reached": found.reached, "initialized": found.initialized})
        return DONE
    print(printable(f"{config.name} is configured in {target}."))
    if found.initialized is False:
        print("It is factory-fresh: hem init brings it into use.")
    else:
        print("hem keys list shows its keys.")
    return DONE


def _target() -> Path:
    """The file to write. ``HemConfigError`` where it would not be read."""
    target = config_path()
    if target is None:
        raise HemConfigError("HEM_URL is set, and no file is read while it is: unset it first")
    return target


def _settings(options: Given, known: tuple[DeviceConfig, ...]) -> dict[str, object]:
    """What was typed as options, and answers about the device itself."""
    url = options.url or _ask("Where is the device?", _USUAL_URL, "--url URL")
    if not url.startswith(_SCHEMES):
        url = f"https://{url}"
    url = _typed({"url": url}).url
    same = next((each for each in known if same_url(each.url, url)), None)
    if same is not None:
        raise HemConfigError(f"{url} is configured already, as {same.name}; hem config set changes it")
    taken = {each.name for each in known}
    usual = _USUAL_NAME if _USUAL_NAME not in taken else f"{_USUAL_NAME}{len(taken) + 1}"
    asked = options.name is None and can_ask() and not options.yes
    name = _ask("What do you call it?", usual, "--name NAME") if asked else options.name or usual
    if name in taken:
        raise HemConfigError(f"a device is called {name!r} already; give it another --name")
    settings: dict[str, object] = {"name": name, "url": url}
    if options.ca_file is not None:
        settings["ca_file"] = str(options.ca_file.absolute())
    if options.pin is not None:
        settings["pin_sha256"] = options.pin
    _typed(settings)
    return settings


def _typed(settings: dict[str, object]) -> DeviceConfig:
    """The device; ``UsageFault`` for what was typed and is not accepted."""
    try:
        return device_of(settings, _option)
    except HemConfigError as error:
        raise UsageFault(str(error)) from None


def _ask(question: str, usual: str, instead: str) -> str:
    return ask(f"{question} [{usual}] ", instead=instead) or usual


def _option(setting: str) -> str:
    """Where a value came from, for messages."""
    names = {"pin_sha256": "--pin"}
    return names.get(setting, f"--{setting.replace('_', '-')}")


def _introduce(settings: dict[str, object], found: _Found) -> None:
    """Ask the device for its status; where it is not trusted, let a person compare its certificate."""
    from hem_provider.device.hem import Hem

    config = device_of(settings, _option)
    trusted = "ca_file" in settings or "pin_sha256" in settings
    try:
        with Hem(replace(config, agent="never")) as hem:
            status = hem.status()
    except HemTLSError as error:
        if trusted or not config.url.startswith("https://"):
            raise
        settings.update(_compared(config, error))
        _introduce(settings, found)
        return
    except HemUnreachable as error:
        if not can_ask():
            raise HemUnreachable(f"{error}; --offline writes the configuration without asking it") from None
        say(f"hem: {error}")
        confirm("The device does not answer. Go on without it?", yes=False)
        found.reached = False
        return
    found.reached, found.initialized = True, status.initialized
    state = "in use" if status.initialized else "factory-fresh"
    say(f"{config.url} answers, and is {state}.")


def _compared(config: DeviceConfig, error: HemError) -> dict[str, object]:
    """What to trust, once a person has said that what is presented is the device's, or by which authority it
    is told. ``Declined`` otherwise."""
    from hem_provider.device.introduction import introduced

    seen = introduced(config)
    if not can_ask():
        raise HemTLSError(
            f"{config.url}: no authority of this machine vouches for its certificate. Compare the SHA-256 of "
            f"its public key, {seen.pin}, and give it as --pin, or --ca-file of its authority"
        ) from None
    say(f"hem: {error}")
    say("\n".join(_told(seen)))
    answer = ask(
        "Is this the certificate of your device? y trusts its key, also when it is renewed; the path of a CA "
        "file trusts that authority instead. [y/FILE/N] ",
        instead="--pin or --ca-file",
    )
    if answer.casefold() in ("y", "yes"):
        return {"pin_sha256": seen.pin}
    if answer[:1] in ("/", "~", "."):
        return {"ca_file": str(named_path(answer).absolute())}
    raise Declined("nothing was written, as you say")


def _told(seen: Introduction) -> list[str]:
    return [
        "Compare this with what the device's owner has, or with what you see on a line that nobody else has:",
        f"  subject      {seen.subject or 'no name'}",
        f"  issuer       {seen.issuer or 'no name'}",
        f"  valid until  {seen.not_after:%Y-%m-%d}",
        f"  certificate  {_colons(seen.fingerprint)}",
        f"  public key   {seen.pin}",
    ]


def _colons(digits: str) -> str:
    """As ``openssl x509 -fingerprint -sha256`` prints it."""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)).upper()


def _choose_login(options: Given, settings: dict[str, object]) -> None:
    """Where logins come from: as options say, else asked."""
    given = {
        "auth": options.auth,
        "passphrase_file": options.passphrase_file and str(options.passphrase_file.absolute()),
        "passphrase_command": options.passphrase_command,
    }
    given = {name: value for name, value in given.items() if value}
    if not given and can_ask() and not options.yes:
        answer = ask(
            "Where does the passphrase come from? [a]sk each time, [p]hone, a [f]ile, a [c]ommand: ",
            instead="--auth, --passphrase-file or --passphrase-command",
        )
        given = _answered(answer[:1].lower())
    settings.update(given)


def _answered(letter: str) -> dict[str, object]:
    if letter == "p":
        return {"auth": "mobile"}
    if letter == "f":
        return {
            "passphrase_file": str(named_path(ask("Which file? ", instead="--passphrase-file")).absolute())
        }
    if letter == "c":
        return {"passphrase_command": ask("Which command? ", instead="--passphrase-command")}
    if letter in ("a", ""):
        return {}
    raise UsageFault(f"{letter!r} is none of a, p, f, c")


def _check_login(config: DeviceConfig) -> None:
    """That the source can be used, before it is written down. No passphrase is kept or told."""
    if config.passphrase_file is not None:
        passphrase_from_file(config.passphrase_file)
    if config.passphrase_command is not None:
        checked_command(config.passphrase_command)


def _write(target: Path, name: str, settings: dict[str, object]) -> None:
    from hem_provider.config.editing import Change, edit

    given = {setting: value for setting, value in settings.items() if setting != "name"}
    edit(target, [Change(setting, value, device=name) for setting, value in given.items()])
