"""Whether a new device will be reached over HTTPS: found out before it has its owner, since its host name
stays, and before a certificate is ordered."""

from __future__ import annotations

from hem_provider.cli.init.setup import Setup
from hem_provider.config import DeviceConfig, new_device
from hem_provider.device import contact
from hem_provider.device.certificate import prefix_of
from hem_provider.device.hem import Hem
from hem_provider.errors import HemConnectionError, HemUnreachable
from hem_provider.records import replace

__all__ = ["answers_there", "check_hostname", "check_place"]

#: Names that lead to each device as it comes, without an order (device API §1.1).
_USUAL = "my"
_HTTPS = 443


def answers_there(config: DeviceConfig) -> bool:
    """Whether a device answers there with a certificate that is verified."""
    with Hem(config) as hem:
        try:
            hem.status()
        except HemConnectionError:
            return False
    return True


def check_hostname(setup: Setup, hostname: str) -> None:
    """``ValueError`` for a name that no certificate is for, where one is needed."""
    url = setup.options.url or f"https://{hostname}"
    if not _is_needed(setup, url) or prefix_of(hostname) is not None:
        return
    if not answers_there(_used(setup, url)):
        raise ValueError(
            f"{hostname!r} has no certificate, and gets none, since it is not in ence.do; accepted: "
            "my.ence.do, NAME.ence.do, and with --no-certificate any"
        )


def check_place(setup: Setup) -> None:
    """``HemUnreachable`` where the device will not be found by the URL that it is to have.

    A name of the owner's leads there once it is ordered, and cannot be looked up before.
    """
    config = setup.config()
    hostname = setup.present().answers["hostname"]
    if not _is_needed(setup, config.url):
        return
    if prefix_of(hostname) not in (None, _USUAL) and contact.place(config)[0] == hostname:
        return
    try:
        there = contact.addresses(config)
        if contact.place(config)[1] == _HTTPS and set(there) & set(contact.addresses(setup.hem.config)):
            return  # it is the device, which may take no connection there before it has a certificate
        contact.connect(config)
    except HemUnreachable as error:
        raise HemUnreachable(
            f"{config.url}: the device would not be reached there ({error}); say where it will be by "
            "--url https://HOST, or end without a certificate by --no-certificate"
        ) from None


def _is_needed(setup: Setup, url: str) -> bool:
    """Whether it is to get a certificate: what is found over HTTPS has one, a rack device brings its own."""
    plain = setup.found.address.startswith("http:")
    wanted = not setup.options.no_certificate and url.startswith("https:")
    return plain and wanted and setup.found.version.model == "PPA"


def _used(setup: Setup, url: str) -> DeviceConfig:
    settings = setup.hem.config
    there = new_device(url, name=settings.name, ca_file=settings.ca_file)
    return replace(settings, url=there.url, ca_file=there.ca_file, pin_sha256=there.pin_sha256)
