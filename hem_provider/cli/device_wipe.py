"""What ``hem device wipe`` does: refuse, tell what is lost, ask, and look whether it is done."""

from __future__ import annotations

from hem_provider.cli.confirming import confirm_by_name
from hem_provider.cli.login import logged_in
from hem_provider.cli.meter import Meter
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, UsageFault
from hem_provider.config import config_path, load_config
from hem_provider.config.login_source import can_ask
from hem_provider.errors import HemConfigError

__all__ = ["wipe"]

#: Labels that are named; of more only the number is told.
_MOST_NAMED = 5
#: Longest until it is back, in seconds; without its certificate it is not.
_BACK = 60.0


def wipe(options: Given) -> int:
    """``hem device wipe``: its exit status."""
    config = load_config().device(options.device)
    if not config.allow_wipe:
        raise HemConfigError(
            f"{config.name}: its configuration does not allow a wipe; nothing was done. Where it is meant: "
            + (
                f"hem config set {config.name}.allow_wipe true"
                if config_path() is not None
                else "configure it in a file instead of the environment (hem config init), with allow_wipe"
            )
        )
    if not options.yes and not can_ask():
        raise UsageFault(f"there is no terminal to type {config.name} on; give --yes")
    with logged_in(options.device, mobile=options.mobile) as hem:
        labels = sorted(each.label for each in hem.keys)
        own = hem.admin.configuration()
        _tell_losses(config.name, own.user, own.hostname, labels)
        confirm_by_name("All of this is lost for good, for everybody.", config.name, yes=options.yes)
        with Meter("wiping") as meter:
            back = hem.admin.wipe(confirm=own.eid, wait=_BACK, looked=meter.waited)
    if options.json:
        print_json({"device": config.name, "keys_destroyed": len(labels), "answers": back})
        return DONE
    print(f"{config.name} is wiped: {_number(labels)} destroyed. It is as it came from the factory.")
    if not back:
        print("It does not answer here: its certificate may be gone, so try its address with http://.")
    print("hem init brings it into use again.")
    return DONE


def _tell_losses(name: str, user: str, hostname: str, labels: list[str]) -> None:
    named = ", ".join(labels[:_MOST_NAMED]) + (", …" if len(labels) > _MOST_NAMED else "")
    lines = (
        f"Wiping {name} ({hostname}, of {user}) destroys, with no way back:",
        f"- {_number(labels)}{f': {named}' if labels else ''}; what was encrypted for them stays closed,",
        "  what trusts their signatures has to trust others",
        "- both passphrases and all paired phones",
        "- all settings, the name, and maybe the TLS certificate",
        "- the log, and the key that vouches for it",
        "- the contents of its disks: they are formatted when it is brought into use again",
    )
    say("\n".join(lines))


def _number(labels: list[str]) -> str:
    return f"{len(labels)} key{'' if len(labels) == 1 else 's'}"
