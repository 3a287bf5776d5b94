"""OpenPGP certificates of a device's keys, version 4 (RFC 4880, RFC 6637, RFC 9580).

Only what is needed is written here: packets of public keys and of the signatures that bind them. No library
that is kept well makes them with a private key that lies elsewhere. Reading is left to the programs that
certificates are for.
"""

from __future__ import annotations

from hem_provider.adapters.openpgp.certificate import FORMS, Subkey, certificate, revocation, signatures_of
from hem_provider.adapters.openpgp.holdings import Held, Holding, holdings
from hem_provider.adapters.openpgp.keys import PgpKey
from hem_provider.adapters.openpgp.packets import armored
from hem_provider.adapters.openpgp.places import (
    KINDS,
    LATEST,
    Place,
    Role,
    check_user_id,
    kept_name,
    place_of,
)

__all__ = [
    "FORMS",
    "KINDS",
    "LATEST",
    "Held",
    "Holding",
    "PgpKey",
    "Place",
    "Role",
    "Subkey",
    "armored",
    "certificate",
    "check_user_id",
    "holdings",
    "kept_name",
    "place_of",
    "revocation",
    "signatures_of",
]
