"""What ``hem device upgrade`` does: tell what the file is, have it verified, ask, install, and look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hem_provider.cli.confirming import confirm
from hem_provider.cli.fresh import fresh_or_logged_in
from hem_provider.cli.meter import Meter
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, UsageFault
from hem_provider.config.login_source import can_ask
from hem_provider.device.hem import Hem
from hem_provider.device.upgrading import Image, ImageFacts, facts_of, version_in
from hem_provider.errors import HemConfigError, HemOperationFailed
from hem_provider.files import read_file

__all__ = ["upgrade"]

_SCOPE = "system:upgrade"
#: Where the magic of a tar archive stands (POSIX ustar).
_TAR = slice(257, 262)
#: Longest verification, in seconds.
_VERIFIES = 300.0


def upgrade(options: Given) -> int:
    """``hem device upgrade``: its exit status."""
    image = Image.DASHBOARD if options.dashboard else Image.FIRMWARE
    data = _read(options.file, image)
    facts = facts_of(data)
    if not options.yes and not can_ask():
        raise UsageFault("there is no terminal to ask on whether the image is to be installed; give --yes")
    with fresh_or_logged_in(options.device, mobile=options.mobile, scope=_SCOPE) as hem:
        before = hem.version()
        if before.model == "EPA":
            raise HemOperationFailed(f"{hem.config.name} takes no upgrade this way: only USB devices do")
        running = version_in(before.firmware)
        _tell(options.file, image, facts, running, hem)
        with Meter("uploading") as sent, Meter("verifying") as checked:
            hem.admin.stage(image, data, progress=sent.moved, timeout=_VERIFIES, looked=checked.waited)
        say("signature: good, the device has verified it")
        restarts = " It restarts." if image is Image.FIRMWARE else ""
        confirm(f"Install it on {hem.config.name}?{restarts}", yes=options.yes)
        with Meter("installing") as meter:
            hem.admin.install(image, wait=options.wait, looked=meter.waited)
        after = version_in(hem.version().firmware)
    if image is Image.FIRMWARE:
        _check(hem, facts, running, after)
    document: dict[str, Any] = {
        "device": hem.config.name,
        "image": image.name.lower(),
        "sha256": facts.sha256,
        "before": running,
        "after": after,
    }
    if options.json:
        print_json(document)
    elif image is Image.FIRMWARE:
        print(f"{hem.config.name} runs firmware {after} now; it was {running}.")
        print("Its clock is not set: the next login checks in, or hem checkin does.")
    else:
        print(f"{hem.config.name} has the new dashboard; its firmware is {after} still.")
    return DONE


def _read(path: Path, image: Image) -> bytes:
    try:
        data = read_file(path, "the image", limit=image.limit, trusted=False)
    except OSError as error:
        raise HemConfigError(f"{path}: cannot read the image: {error.strerror}") from None
    if not data:
        raise HemConfigError(f"{path}: is empty; no image is")
    if len(data) > image.limit:
        raise HemConfigError(f"{path}: over {image.limit} bytes; no {image.name.lower()} is larger")
    if image is Image.FIRMWARE and data[_TAR] == b"ustar":
        raise UsageFault(f"{path}: is an archive, as dashboards are; give --dashboard for one")
    return data


def _tell(path: Path, image: Image, facts: ImageFacts, running: str, hem: Hem) -> None:
    says = facts.version or "not told by the file"
    rows = [
        ("file", f"{path.name}, {facts.size} bytes"),
        ("SHA-256", facts.sha256),
        ("version", f"{says}{' (as the file says)' if facts.version else ''}"),
        ("running", f"{running} on {hem.config.name}"),
    ]
    if image is Image.DASHBOARD:
        del rows[2]
    if hem.config.url.startswith("http://"):
        rows.append(("way", "plain HTTP: the signature protects the image, nothing the login's token"))
    for name, value in rows:
        say(f"{name}: {value}")


def _check(hem: Hem, facts: ImageFacts, running: str, after: str) -> None:
    """That it runs what was installed, as far as that can be told."""
    if facts.version is not None and after != facts.version:
        raise HemOperationFailed(
            f"{hem.config.name}: the device has restarted with firmware {after}, not {facts.version}; "
            + ("nothing has changed" if after == running else f"it was {running}")
        )
