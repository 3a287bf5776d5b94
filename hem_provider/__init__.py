"""Use the keys of an Encedo HEM, a remote hardware key store, as if they were local.

>>> import hem_provider                                             # doctest: +SKIP
>>> hem = hem_provider.connect("https://my.ence.do", passphrase="…")    # doctest: +SKIP
>>> key = hem.keys.create("SECP256R1", label="web", usage={"sign"})     # doctest: +SKIP
>>> signature = key.private_key().sign(b"data", ec.ECDSA(hashes.SHA256()))   # doctest: +SKIP

Importing this package is cheap: the parts are loaded when first used.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses it, PYTHONPATH and --target do not
    raise ImportError(
        f"hem_provider needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}"
    )

from hem_provider import errors as _errors
from hem_provider import keyobjects as _keyobjects
from hem_provider._version import __version__
from hem_provider.errors import *  # noqa: F403 - all of them, and nothing else

TYPE_CHECKING = False  # without ``typing``, which takes as long to load as all the rest here
if TYPE_CHECKING:
    from hem_provider.device.hem import Hem, Key, connect
    from hem_provider.keys.keyset import KeySet

_DEVICE = ("Hem", "Key", "connect")

__all__ = ["Hem", "Key", "KeySet", "__version__", "connect"]
__all__ += _errors.__all__

__path__.append(f"{__path__[0]}/_moved")  # noqa: F405 - former names of modules


def _key_objects() -> _keyobjects.KeyObjects:
    from hem_provider import keys

    return keys


_keyobjects.hand_down(_key_objects)


def __getattr__(name: str) -> object:
    if name in _DEVICE:
        from hem_provider.device import hem

        return getattr(hem, name)
    if name == "KeySet":
        from hem_provider.keys.keyset import KeySet

        return KeySet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_DEVICE, "KeySet"})
