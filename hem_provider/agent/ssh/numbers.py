"""Numbers and names of the ssh-agent protocol (RFC 9987, OpenSSH's ``PROTOCOL.agent``)."""

from __future__ import annotations

import enum

__all__ = ["ADD", "MOST_LISTED", "QUERY", "SESSION_BIND", "TOKEN", "Number"]


class Number(enum.IntEnum):
    """What a message begins with: requests first, then answers."""

    REQUEST_IDENTITIES = 11
    SIGN_REQUEST = 13
    ADD_IDENTITY = 17
    REMOVE_IDENTITY = 18
    REMOVE_ALL_IDENTITIES = 19
    ADD_SMARTCARD_KEY = 20
    REMOVE_SMARTCARD_KEY = 21
    LOCK = 22
    UNLOCK = 23
    ADD_ID_CONSTRAINED = 25
    ADD_SMARTCARD_KEY_CONSTRAINED = 26
    EXTENSION = 27

    FAILURE = 5
    SUCCESS = 6
    IDENTITIES_ANSWER = 12
    SIGN_RESPONSE = 14
    EXTENSION_FAILURE = 28
    EXTENSION_RESPONSE = 29


#: Keys that OpenSSH's clients take from a listing.
MOST_LISTED = 2048
#: The token that stands for the device's keys in ``ssh-add -s`` and ``-e``; ``hem:LABEL`` for some of them.
TOKEN = "hem"  # noqa: S105 - no secret
#: Names of extensions: RFC 9987's, OpenSSH's, and our own, which is the message that adds the keys of a token
#: with an answer for people: ``added`` and what, or ``refused`` and why.
QUERY, SESSION_BIND, ADD = "query", "session-bind@openssh.com", "add@hem-provider"
