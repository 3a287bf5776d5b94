"""The forms of a public half that ``hem keys public`` gives, as one table."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.adapters.age.publictext import recipient_text
from hem_provider.keys.publicforms import FORMS as OF_KEYS
from hem_provider.keys.publicforms import Form

__all__ = ["FORMS"]

#: Name of a form → how it is made.
FORMS: Mapping[str, Form] = {**OF_KEYS, "age": Form(lambda key: f"{recipient_text(key)}\n".encode())}
