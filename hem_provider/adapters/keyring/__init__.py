"""A backend for ``keyring``: passwords that open only while the HEM is there.

``hem keyring init`` makes the vault; from then on ``keyring``, pip, twine and programs that call
``keyring.get_password`` use it. It is found through the entry point ``keyring.backends``; to choose
it among others::

    PYTHON_KEYRING_BACKEND=hem_provider.adapters.keyring.HemKeyring

``KEYRING_PROPERTY_VAULT`` and ``KEYRING_PROPERTY_DEVICE`` name another vault file, and the
configured device to use in place of the one in the vault.
"""

from __future__ import annotations

try:
    from hem_provider.adapters.keyring.backend import HemKeyring
except ModuleNotFoundError as error:  # who only asks whether there is a vault needs no keyring
    if (error.name or "").partition(".")[0] != "keyring":
        raise

__all__ = ["HemKeyring"]
