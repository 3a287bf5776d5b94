"""The forms of a public half that ``hem keys public`` gives, as one table."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.adapters.minisign import public_file
from hem_provider.device.key import Key
from hem_provider.keys.publicforms import FORMS as OF_KEYS
from hem_provider.keys.publicforms import Form

__all__ = ["FORMS"]


def _age(key: Key) -> bytes:
    from hem_provider.adapters.age.publictext import recipient_text  # loads cryptography

    return f"{recipient_text(key)}\n".encode()


#: Name of a form → how it is made.
FORMS: Mapping[str, Form] = {**OF_KEYS, "age": Form(_age), "minisign": Form(public_file)}
