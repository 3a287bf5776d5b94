"""Public keys between the device's form and native ``cryptography`` keys, for users of ``keys``."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from hem_provider.keytypes import KEY_TYPES, Family
from hem_provider.publickeys import curve, device_form, load_public, type_of

__all__ = ["CURVES", "device_form", "load_public", "type_of"]

#: Device type → curve.
CURVES: Mapping[str, ec.EllipticCurve] = {
    name: curve(name) for name, kind in KEY_TYPES.items() if kind.family is Family.EC
}
