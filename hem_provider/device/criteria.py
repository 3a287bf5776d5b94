"""What keys are looked for by, and which fit."""

from __future__ import annotations

from hem_provider.arguments import as_bytes, as_text
from hem_provider.device.creation import key_type_named
from hem_provider.device.description import parse_description
from hem_provider.device.key import Key
from hem_provider.keytypes import parse_attributes
from hem_provider.rest.keymgmt import KeyRecord

__all__ = ["criteria", "identifies", "matches", "means"]


def criteria(label: str | None, type: str | None, application_id: bytes | None) -> dict[str, object]:
    """What to look for, checked: ``TypeError``, ``ValueError``."""
    if label is not None:
        as_text("label", label)
    if type is not None:
        key_type_named(type)
    if application_id is not None:
        as_bytes("application_id", application_id)
    return {"label": label, "type": type, "application_id": application_id}


def matches(key: Key, label: str | None, type: str | None, application_id: bytes | None) -> bool:
    """Whether a key has all that is given; what is not known yet of it is asked for."""
    return (
        (label is None or key.label == label)
        and (type is None or (key.attributes.key_type is not None and key.type.name == type))
        and (
            application_id is None
            # Parsing thousands of descriptions takes longer than looking for the bytes.
            or (key.descr.endswith(application_id) and key.application_id == application_id)
        )
    )


def means(record: KeyRecord, label: str | None, type: str | None, application_id: bytes | None) -> bool:
    """The same of a record, which there may be too many of for a ``Key`` each."""
    if label is not None and record.label != label:
        return False
    if type is not None:
        kind = parse_attributes(record.type).key_type
        if kind is None or kind.name != type:
            return False
    return application_id is None or identifies(record, application_id)


def identifies(record: KeyRecord, application_id: bytes) -> bool:
    """Whether this is the application's own id of a key."""
    if not record.descr.endswith(application_id):
        return False
    own = parse_description(record.descr)
    return own is not None and (own.application_id or None) == application_id
