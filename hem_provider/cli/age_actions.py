"""What the actions of ``hem age`` do."""

from __future__ import annotations

from typing import Any

from hem_provider.adapters.age.devicekeys import recipient_of
from hem_provider.adapters.age.identities import identity_of
from hem_provider.cli.agekeys import named_keys
from hem_provider.cli.output import check_target, print_json, write
from hem_provider.cli.shape import Given
from hem_provider.config import load_config
from hem_provider.printable import printable

__all__ = ["identity", "recipient"]


def recipient(options: Given) -> int:
    """``hem age recipient``: its exit status."""
    with named_keys(options.names, device=options.device, mobile=options.mobile) as found:
        shown = [str(recipient_of(*keys)) for keys in found]
    if options.json:
        print_json({"recipients": shown})
    else:
        print(*shown, sep="\n")
    return 0


def identity(options: Given) -> int:
    """``hem age identity``: its exit status."""
    check_target(options.output, force=options.force)
    device = load_config().device(options.device).name
    made: list[dict[str, Any]] = []
    with named_keys(options.names, device=device, mobile=options.mobile) as found:
        for keys in found:
            to = recipient_of(*keys)
            one = identity_of(device, to, *keys[1:])
            labels = {each.kid: each.label for each in keys}
            made.append(
                {
                    "device": device,
                    "keys": [{"kid": kid, "label": labels[kid]} for kid in one.kids],
                    "recipient": str(to),
                    "identity": str(one),
                }
            )
    text = "".join(_lines(each) for each in made)
    if options.output is not None or not options.json:
        write(text.encode("utf-8"), options.output, force=options.force)
    if options.json:
        print_json({"identities": made})
    return 0


def _lines(made: dict[str, Any]) -> str:
    """As ``age-keygen`` writes a file; its comments say what is what."""
    named = ", ".join(f"{printable(each['label'])} ({each['kid']})" for each in made["keys"])
    told = f"# HEM {printable(made['device'])}, key {named}\n# public key: {made['recipient']}\n"
    return f"{told}{made['identity']}\n"
