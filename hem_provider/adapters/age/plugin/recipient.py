"""The state machine ``recipient-v1``: age encrypts (https://c2sp.org/age-plugin, "Wrapping").

``age1tag1…``, ``age1tagpq1…`` and ``age1pq1…`` are age's own since 1.3; where the plugin stands as
``age-plugin-tag``, ``age-plugin-tagpq`` or ``age-plugin-pq``, older ones encrypt to them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hem_provider.adapters.age.header import FILE_KEY
from hem_provider.adapters.age.identities import parse_identity
from hem_provider.adapters.age.plugin.devices import Devices
from hem_provider.adapters.age.plugin.protocol import Client, ProtocolFault
from hem_provider.adapters.age.recipients import Recipient, check_together, parse
from hem_provider.errors import HemError

__all__ = ["wrap"]

#: What other recipients of a file have to be, too.
_POSTQUANTUM = "postquantum"
#: Most recipients and files of one run.
_MOST = 10_000


def wrap(client: Client, devices: Devices) -> None:
    """Run it to its end. ``ProtocolFault``, ``OSError``; every other error is told to the client."""
    recipients: list[str] = []
    identities: list[str] = []
    file_keys: list[bytes] = []
    labelled = False
    for command in client.commands():
        if command.kind == "add-recipient" and command.arguments:
            recipients.append(command.arguments[0])
        elif command.kind == "add-identity" and command.arguments:
            identities.append(command.arguments[0])
        elif command.kind == "wrap-file-key":
            file_keys.append(command.body)
        elif command.kind == "extension-labels":
            labelled = True
        if max(len(recipients), len(identities), len(file_keys)) > _MOST:
            raise ProtocolFault(f"more than {_MOST} recipients, identities or files at once")

    def of_identity(text: str) -> Recipient:
        identity = parse_identity(text)
        if identity is None:
            raise ValueError("it is every key of every device, and can only decrypt; name a key")
        return devices.recipient(identity)

    found = _each(client, "recipient", recipients, parse)
    found += _each(client, "identity", identities, of_identity)
    if len(found) == len(recipients) + len(identities):
        _wrap_all(client, found, file_keys, labelled=labelled)
    client.end()


def _each(
    client: Client, what: str, texts: Sequence[str], parse: Callable[[str], Recipient]
) -> list[Recipient]:
    """The recipients; one that is none is told."""
    found = []
    for number, text in enumerate(texts):
        try:
            found.append(parse(text))
        except ProtocolFault:
            raise
        except (ValueError, HemError) as error:
            client.fail(what, number, error=f"this {what} cannot be encrypted to: {error}")
    return found


def _wrap_all(
    client: Client, recipients: Sequence[Recipient], file_keys: Sequence[bytes], *, labelled: bool
) -> None:
    sizes = {len(each) for each in file_keys}
    try:
        if sizes - {FILE_KEY}:
            raise ValueError(f"a file's key of {max(sizes - {FILE_KEY})} bytes; it has {FILE_KEY}")
        together = check_together(recipients)
        stanzas = [[each.wrap(key) for each in together] for key in file_keys]
    except (ValueError, HemError) as error:
        client.fail("internal", error=str(error))
        return
    if labelled and together[0].kind.hybrid:
        client.call("labels", _POSTQUANTUM)
    for number, those in enumerate(stanzas):
        for each in those:
            client.call("recipient-stanza", str(number), each.kind, *each.arguments, body=each.body)
