"""The second half of ``hem init``: all that a device with an owner needs to be used. Each step finds out
whether it is done, so that all can be gone through again after whatever ended them: the device tells most,
the journal the rest."""

from __future__ import annotations

from typing import Any

from hem_provider.cli.choosing import check_nameable
from hem_provider.cli.confirming import ask, show
from hem_provider.cli.init.answers import question
from hem_provider.cli.init.reaching import answers_there, check_place
from hem_provider.cli.init.setup import Setup
from hem_provider.cli.output import print_json
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import DeviceConfig
from hem_provider.config.login_source import can_ask
from hem_provider.device.certificate import ADDRESS, NewCertificate, Order, prefix_of
from hem_provider.device.creation import check_label
from hem_provider.device.hem import Hem, Key
from hem_provider.device.phones import Phone
from hem_provider.errors import HemKeyNotFound, HemOperationFailed, HemTimeout
from hem_provider.records import replace
from hem_provider.waiting import CLOCK

__all__ = ["finish"]

#: Seconds: longest restart, longest formatting of the storage, and between two looks.
_BACK, _FORMAT, _LOOK = 120.0, 900.0, 1.0


def finish(setup: Setup) -> None:
    """All that a device with an owner needs to be used."""
    journal = setup.present()
    final = setup.config()
    _await_storage(setup)
    secure = _secured(setup, final)
    used = final if secure else replace(final, url=setup.found.address)
    setup.where.write(used)  # not before: by an address without TLS no keys are used
    with Hem(used) as hem:
        hem.login(setup.passphrase, scope="system:config", by_device=True)
        if journal.restart:
            hem.admin.reboot(wait=_BACK)
            journal.restart = False
            journal.save()
        if hem.status().time is None:
            hem.check_in()
        phone = _phone(setup, hem) if secure else None
        key = _key(setup, hem) if secure else None
        _tell(setup, hem, phone, key)
    journal.remove()


def _await_storage(setup: Setup) -> None:
    """Until the storage of a USB device is formatted."""
    told = False
    for _ in CLOCK.looks(_FORMAT, _LOOK):
        if setup.hem.status().format in (None, "done"):
            return
        if not told:
            show("The device formats its storage; this takes some minutes.")
            told = True
    raise HemTimeout(f"{setup.found.address}: the storage is not formatted after {_FORMAT:g} s")


def _secured(setup: Setup, final: DeviceConfig) -> bool:
    """Whether the device is reached over HTTPS, for which it gets a certificate where it has none."""
    if final.url.startswith("emulator:"):
        return True
    if not final.url.startswith("https:"):
        show(f"By {final.url}, without TLS, the device does not work with keys or phones.")
        return False
    if answers_there(final):
        return True
    if setup.options.no_certificate:
        show(
            f"Without a certificate for {final.url} the device does not work with keys or phones. It is "
            f"configured by {setup.found.address}."
        )
        return False
    hostname = setup.present().answers["hostname"]
    if setup.found.version.model != "PPA":
        raise HemOperationFailed(f"{final.url} is not reached: a rack device brings its own certificate")
    prefix = prefix_of(hostname)
    if prefix is None:
        raise HemOperationFailed(
            f"there is no certificate for {hostname}, which is not in ence.do: --no-certificate ends "
            "without one"
        )
    check_place(setup)
    show("Getting a certificate from the vendor's service; the device restarts then.")
    got = setup.hem.certificate.obtain_default() if prefix == "my" else _obtain(setup, prefix)
    setup.hem.admin.await_device(_BACK)
    setup.present().restart = False
    if not answers_there(final):
        show(f"Waiting until {final.url} answers, up to {_BACK / 60:g} minutes.")
    for _ in CLOCK.looks(_BACK, _LOOK):
        if answers_there(final):
            show(f"Its certificate is good until {got.not_after:%Y-%m-%d}.")
            return True
    raise HemTimeout(
        f"{final.url}: the device does not answer there, although it has a certificate for {hostname}; if it "
        "is reached by another URL: hem init --url https://HOST"
    )


def _obtain(setup: Setup, prefix: str) -> NewCertificate:
    """Order a certificate for a name of the owner's; one that was ordered before is waited for."""
    journal = setup.present()
    order = None if journal.order is None else Order(*journal.order)

    def note(new: Order) -> None:
        journal.order = (new.number, new.pin)
        journal.save()

    return setup.hem.certificate.obtain(prefix, address=ADDRESS, order=order, ordered=note)


def _phone(setup: Setup, hem: Hem) -> Phone | None:
    """Pair a phone, if one is wanted and none is paired."""
    journal = setup.present()
    # One that is known was paired before it was broken off; a look costs a login.
    there = hem.phones.list() if setup.goes_on else []
    if there or journal.phone:
        return there[0] if there else None
    wanted: bool | None = setup.options.phone
    if wanted is None:
        wanted = can_ask() and ask(
            "Pair a phone, which approves logins in the place of the passphrase? [y/N] ",
            instead="--phone",
        ).casefold() in ("y", "yes")
    phone = None
    if wanted:
        from hem_provider.cli.phones_actions import pair_now

        phone = pair_now(hem, image=setup.options.png)
        show(f"{phone.label!r} is paired.")
    journal.phone = True
    journal.save()
    return phone


def _key(setup: Setup, hem: Hem) -> Key | None:
    """Make a first key, if one is wanted."""
    journal, label = setup.present(), setup.options.key
    key: Key | None = None
    if journal.key:
        return None
    if label is None and can_ask():
        label = question("Label of a first key (may be empty)", "--key", None, _label, default="")
    if label:
        key = _found(hem, label) if setup.goes_on else None
        key = key or hem.keys.create(setup.options.key_type or "SECP256R1", label=label)
        show(f"Key {key.label!r} is {key.kid}.")
    journal.key = True
    journal.save()
    return key


def _tell(setup: Setup, hem: Hem, phone: Phone | None, key: Key | None) -> None:
    """What there is now, and what to write down."""
    settings = hem.admin.configuration()
    document: dict[str, Any] = {
        "device": hem.config.name,
        "url": hem.config.url,
        "eid": settings.eid,
        "instance_id": settings.instance_id,
        "owner": settings.user,
        "hostname": settings.hostname,
        "configuration": None if setup.where.path is None else str(setup.where.path),
        "phone": None if phone is None else phone.kid,
        "key": None if key is None else key.kid,
    }
    if setup.options.json:
        print_json(document)
        return
    print(f"{hem.config.name} is ready at {hem.config.url}. Write down, beside the master secret:")
    for title, name in (("owner", "owner"), ("host name", "hostname"), ("identity", "eid"),
                        ("instance", "instance_id")):  # fmt: skip
        print(f"  {title:10}{document[name] or '-'}")
    if setup.where.path is not None:
        print(f"It is configured in {setup.where.path}. See hem keys list.")
    else:
        print(f"To use it: export HEM_URL={hem.config.url}")


def _found(hem: Hem, label: str) -> Key | None:
    """The key that was made before it was broken off."""
    try:
        return hem.keys.find(label=label)
    except HemKeyNotFound:
        return None


def _label(text: str) -> str:
    try:
        if text:
            check_label(text)
        check_nameable(text)
    except UsageFault as error:
        raise ValueError(str(error)) from None
    return text
