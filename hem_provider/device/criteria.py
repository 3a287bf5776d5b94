"""What keys are looked for by, and which fit."""

from __future__ import annotations

from hem_provider.arguments import as_bytes, as_text
from hem_provider.device.creation import key_type_named
from hem_provider.device.key import Key

__all__ = ["criteria", "matches"]


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
        and (application_id is None or key.application_id == application_id)
    )
