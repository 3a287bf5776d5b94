"""The first half of ``hem init``: from a fresh device to one that knows its owner; or, where that was done, a
login."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from hem_provider.cli.confirming import confirm, show
from hem_provider.cli.init.answers import STORAGE, Answers, answers
from hem_provider.cli.init.journal import Journal
from hem_provider.cli.init.reaching import check_hostname, check_place
from hem_provider.cli.init.setup import Setup, set_clock
from hem_provider.cli.newpassphrase import new_passphrase
from hem_provider.cli.statuses import UsageFault
from hem_provider.cli.terminal import moving
from hem_provider.config.login_source import ask_passphrase, can_ask
from hem_provider.config.passphrase import passphrase_from_file
from hem_provider.device.administration import Image, NewDevice, check_master, new_master_words
from hem_provider.device.certificate import ADDRESS, prefix_of
from hem_provider.errors import HemConfigError, HemOperationFailed
from hem_provider.files import read_file
from hem_provider.records import asdict, replace

__all__ = ["begin", "go_on"]

#: Longest restart, in seconds.
_BACK = 120.0


def begin(setup: Setup) -> None:
    """From a fresh device to one that knows its owner."""
    set_clock(setup)
    _upgrade(setup)
    journal = setup.journal = _known(setup) or _new_journal(setup)
    chosen = _ask(setup, journal)
    passphrase = new_passphrase(
        "passphrase of the device",
        file=setup.options.passphrase_file,
        option="--passphrase-file",
        about=(chosen.owner, chosen.email, chosen.name, chosen.hostname),
        weak=setup.options.weak,
    )
    master = _master(setup, chosen, passphrase)
    _agree(setup, chosen)
    new = NewDevice(
        user=chosen.owner,
        email=chosen.email,
        hostname=chosen.hostname,
        address=f"{ADDRESS}/24",
        storage_mode=STORAGE[chosen.storage],
        disk0_sectors=chosen.disk_sectors,
    )
    journal.restart = True  # until the device says otherwise
    journal.save()
    setup.begun = True
    done = setup.hem.admin.initialize(new, passphrase=passphrase, master=master)
    setup.passphrase = passphrase
    journal.restart = done.reboot_required
    journal.save()
    show(f"The device is {chosen.owner}'s now.")


def go_on(setup: Setup) -> None:
    """Log in to a device that is initialised, if its setup was begun here. ``HemOperationFailed``."""
    set_clock(setup)
    identity = setup.hem.probe()
    journal = Journal.of(identity.eid)
    if journal is None or not journal.answers:
        raise HemOperationFailed(
            f"{setup.found.address}: the device is initialised already, for {identity.label!r}; "
            "to use it, set HEM_URL or write its entry into the configuration; 'hem device wipe' makes "
            "it factory-fresh and destroys its keys"
        )
    show(f"Its setup was begun here as {journal.answers['name']!r}; going on.")
    setup.journal = journal
    if setup.options.url is not None and setup.options.url != journal.url:
        journal.url = setup.options.url
        setup.config()  # an address that is none is refused now
        journal.save()
    file: Path | None = setup.options.passphrase_file
    config = replace(setup.hem.config, name=journal.answers["name"])
    setup.passphrase = ask_passphrase(config) if file is None else passphrase_from_file(file)
    setup.hem.login(setup.passphrase, scope="system:config", by_device=True)


def _upgrade(setup: Setup) -> None:
    file: Path | None = setup.options.firmware
    if file is None:
        return
    data = read_file(file, "the firmware", limit=Image.FIRMWARE.limit, trusted=False)
    digest = hashlib.sha256(data).hexdigest()
    former = _known(setup)
    if former is not None and former.firmware == digest:
        return
    show(f"Firmware {file}: {len(data)} bytes, SHA-256 {digest}.")
    confirm("Install it?", yes=setup.options.yes)
    setup.hem.admin.upgrade(Image.FIRMWARE, data, progress=_sent)
    setup.hem.admin.await_device(_BACK)
    set_clock(setup)
    show(f"The device has {setup.hem.version().firmware} now.")
    journal = _known(setup) or _new_journal(setup)
    journal.firmware = digest
    journal.save()


def _known(setup: Setup) -> Journal | None:
    return Journal.of(setup.hem.admin.fresh_identity())


def _new_journal(setup: Setup) -> Journal:
    return Journal(setup.hem.admin.fresh_identity(), setup.found.address, "")


def _ask(setup: Setup, journal: Journal) -> Answers:
    """What the owner chooses; kept, so that it is typed once."""
    options = setup.options
    chosen = answers(
        options,
        journal.answers,
        setup.hem.status(),
        setup.found.version,
        setup.where.names,
        lambda hostname: check_hostname(setup, hostname),
    )
    plain = setup.found.address.startswith("http:")
    journal.url = options.url or (f"https://{chosen.hostname}" if plain else setup.found.address)
    journal.answers = asdict(chosen)
    setup.config()  # an address that is none is refused now
    journal.save()
    check_place(setup)
    prefix = prefix_of(chosen.hostname)
    wanted = plain and not options.no_certificate and prefix not in (None, "my")
    if wanted and not setup.hem.certificate.is_free(str(prefix)):
        raise HemOperationFailed(f"{chosen.hostname}: somebody has this name; choose another by --hostname")
    return chosen


def _master(setup: Setup, chosen: Answers, passphrase: str) -> str:
    """The master secret: of a file, or 24 words that are made now, or a passphrase of the owner's."""
    file: Path | None = setup.options.master_file
    about = (chosen.owner, chosen.email, chosen.name, chosen.hostname, passphrase)
    if file is not None:
        secret = _of_file(file, about, weak=setup.options.weak)
    elif not can_ask():
        raise UsageFault("there is no terminal to show the master secret's words on: give --master-file FILE")
    elif setup.options.master_passphrase:
        secret = new_passphrase(
            "master passphrase of the device",
            option="--master-file",
            about=about,
            weak=setup.options.weak,
        )
        try:
            check_master(secret)
        except ValueError as error:
            raise HemConfigError(f"the master passphrase: {error}; nothing was done") from None
    else:
        from hem_provider.cli.init.words import ask_back, show_once

        secret = new_master_words()
        show_once(secret)
        ask_back(secret)
    if secret == passphrase:
        raise HemConfigError("the master secret is the passphrase: choose another; nothing was done")
    return secret


def _of_file(file: Path, about: Sequence[str], *, weak: bool) -> str:
    """24 words, or a passphrase that is judged as every other."""
    try:
        secret = passphrase_from_file(file)
        if check_master(secret) or secret == about[-1]:  # the user's passphrase, which is refused as such
            return secret
    except ValueError as error:
        raise HemConfigError(f"--master-file {file}: {error}") from None
    return new_passphrase(
        "master passphrase of the device", file=file, option="--master-file", about=about, weak=weak
    )


def _agree(setup: Setup, chosen: Answers) -> None:
    show(f"The device becomes {chosen.owner}'s, under the name of {chosen.hostname}.")
    show("Its host name and its master secret stay until it is wiped.")
    confirm("Go on?", yes=setup.options.yes)


def _sent(done: int, of: int) -> None:
    """Tell how much of the firmware is sent, where a line can be written again."""
    if moving(sys.stderr):
        print(f"\rSent: {100 * done // of} %", end="\n" if done == of else "", file=sys.stderr, flush=True)
