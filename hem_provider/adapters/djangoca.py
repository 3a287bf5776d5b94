"""Key backends for django-ca: authorities, and responders of OCSP, whose keys are in a HEM.

In the settings of the project::

    _HEM = "hem_provider.adapters.djangoca"
    CA_KEY_BACKENDS = {"default": {"BACKEND": f"{_HEM}.HemBackend"}}
    CA_OCSP_KEY_BACKENDS = {"default": {"BACKEND": f"{_HEM}.HemOCSPBackend"}}

The option ``device`` names one of several configured devices. ``manage.py init_ca`` gets ``--key-label``,
under which the device keeps the key; the database keeps its KID and its public half. A certificate, a CRL and
an answer of OCSP are one call each, and have at most ``MAX_MESSAGE`` bytes before they are signed.
django-ca 3.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from cryptography import x509

from hem_provider.config.login_source import CONFIGURABLE
from hem_provider.device.hem import Hem, Key, connect
from hem_provider.device.naming import check_label
from hem_provider.errors import HemConfigError, KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keytypes import KID_FORM

__all__ = ["Authorities", "Responders"]

#: django-ca's key type and curve → device type.
_TYPES = {
    ("EC", "secp256r1"): "SECP256R1",
    ("EC", "secp384r1"): "SECP384R1",
    ("EC", "secp521r1"): "SECP521R1",
    ("EC", "secp256k1"): "SECP256K1",
    ("Ed25519", None): "ED25519",
    ("Ed448", None): "ED448",
}
_CURVES = tuple(curve for _, curve in _TYPES if curve)
_KINDS = tuple(dict.fromkeys(kind for kind, _ in _TYPES))
_HASHES = ("SHA-256", "SHA-384", "SHA-512")
#: What the database keeps of a key.
_KEPT = {"kid": KID_FORM, "type": "|".join(_TYPES.values()), "public": "(?:[0-9a-f]{2})+"}


class _Keys:
    """The device of a backend, which is opened when it is first needed."""

    #: The option ``device``: the name of a configured one.
    device: str | None = None
    _opened: Hem | None = None

    supported_key_types = _KINDS
    supported_hash_algorithms = _HASHES
    supported_elliptic_curves = _CURVES

    @property
    def hem(self) -> Hem:
        """No I/O but the configuration's: ``HemConfigError``."""
        if self._opened is None:
            self._opened = connect(name=self.device)
        return self._opened

    def _create(self, label: str, kind: str, curve: str | None) -> Key:
        if (kind, curve) not in _TYPES:
            raise ValueError(f"{kind} {curve or ''}: no HEM makes such keys; accepted: {_told()}")
        return self.hem.keys.create(_TYPES[kind, curve], label=label, usage={"sign"})

    def _key(self, kept: Any) -> Key:
        """The key that the database tells of. No I/O but the disk's. ``ValueError``."""
        _check_kept(kept)
        return self.hem.keys.told_of(kept["kid"], kept["type"], bytes.fromhex(kept["public"]))

    def _private(self, kept: Any) -> Any:
        return self._key(kept).private_key()


class Authorities(_Keys):
    """Keys of authorities: ``HemBackend`` but for django-ca's own ``KeyBackend``. What the device refuses is
    a ``HemError``."""

    #: Of ``KeyBackend``: what the backend's name puts before arguments and options.
    argparse_prefix: str
    options_prefix: str
    #: ``pydantic``'s classes of what is asked for a key: that is made, that is used.
    create_model: type[Any]
    use_model: type[Any]

    title: ClassVar[str] = "Keep private keys in an Encedo HEM"
    description: ClassVar[str] = "The device makes the key, which never leaves it."

    def add_create_private_key_arguments(self, group: Any) -> None:
        """``--key-label``."""
        group.add_argument(
            f"--{self.argparse_prefix}key-label",
            metavar="LABEL",
            help="the key's label in the device, 1 to 32 ASCII characters",
        )

    def add_store_private_key_group(self, parser: Any) -> None:
        """None: no key is brought along."""

    def add_use_private_key_group(self, parser: Any) -> None:
        """None: where the login comes from is configured."""

    def get_create_private_key_options(
        self, key_type: str, key_size: int | None, elliptic_curve: str | None, options: dict[str, Any]
    ) -> Any:
        """``ValueError``, which is told in a line, without a label or for one that would not name its key."""
        from django_ca.conf import model_settings

        label = options.get(f"{self.options_prefix}key_label")
        if not label:
            raise ValueError(f"--{self.argparse_prefix}key-label is needed: the key's label in the device")
        check_label(label)
        if key_type == "EC" and elliptic_curve is None:
            elliptic_curve = model_settings.CA_DEFAULT_ELLIPTIC_CURVE
        return self.create_model(
            key_type=key_type, key_size=key_size, key_label=label, elliptic_curve=elliptic_curve
        )

    def get_use_parent_private_key_options(self, ca: Any, options: dict[str, Any]) -> Any:  # noqa: ARG002
        """None are needed."""
        return self.use_model()

    def get_use_private_key_options(self, ca: Any, options: dict[str, Any]) -> Any:  # noqa: ARG002
        """None are needed."""
        return self.use_model()

    def get_store_private_key_options(self, options: dict[str, Any]) -> Any:  # noqa: ARG002
        """None: ``store_private_key`` refuses."""
        return self.use_model()

    def is_usable(
        self,
        ca: Any,
        use_private_key_options: Any = None,
    ) -> bool:
        """Whether the database tells of a key, and a login is at hand. The device is not asked."""
        try:
            self.check_usable(ca, use_private_key_options)
        except ValueError:
            return False
        return True

    def check_usable(self, ca: Any, use_private_key_options: Any) -> None:  # noqa: ARG002
        """``ValueError`` says why ``is_usable`` is false."""
        _check_kept(ca.key_backend_options)
        try:
            hem = self.hem
        except HemConfigError as error:
            raise ValueError(str(error)) from None
        if not hem.session.has_any_login:
            raise ValueError(
                f"{hem.config.name}: no login is at hand; run 'hem agent unlock', or configure {CONFIGURABLE}"
            )

    def create_private_key(self, ca: Any, key_type: str, options: Any) -> tuple[Any, Any]:
        """A new key in the device, also where there is one of this label."""
        key = self._create(options.key_label, key_type, options.elliptic_curve)
        ca.key_backend_options = _kept(key)
        return key.public_key(), self.use_model()

    def store_private_key(self, ca: Any, key: Any, certificate: Any, options: Any) -> None:  # noqa: ARG002
        """Refused: ``KeyNotExportable``."""
        raise KeyNotExportable("private keys cannot be brought to a HEM: it makes them itself, with init_ca")

    def sign_data(
        self,
        ca: Any,
        use_private_key_options: Any,  # noqa: ARG002
        data: bytes,
        *,
        algorithm: Any = None,
        padding: Any = None,
        signature_algorithm: Any = None,
    ) -> bytes:
        """1 to ``MAX_MESSAGE`` bytes; ``signature_algorithm`` for EC keys, and nothing for others."""
        if algorithm is not None or padding is not None:
            raise ValueError("algorithm and padding are for RSA and DSA, of which a HEM has none")
        private = self._private(ca.key_backend_options)
        arguments = () if signature_algorithm is None else (signature_algorithm,)
        return bytes(private.sign(data, *arguments))

    def sign_certificate(
        self,
        ca: Any,
        use_private_key_options: Any,  # noqa: ARG002
        public_key: Any,
        serial: int,
        algorithm: Any,
        issuer: x509.Name,
        subject: x509.Name,
        not_after: datetime,
        extensions: Sequence[Any],
    ) -> x509.Certificate:
        """One call. ``MessageTooLong`` where what is signed has more than ``MAX_MESSAGE`` bytes."""
        from django_ca.utils import get_cert_builder

        builder = get_cert_builder(not_after, serial=serial)
        builder = builder.public_key(public_key).issuer_name(issuer).subject_name(subject)
        for each in extensions:
            builder = builder.add_extension(each.value, critical=each.critical)
        made: x509.Certificate = builder.sign(self._private(ca.key_backend_options), algorithm)
        return made

    def sign_certificate_revocation_list(
        self,
        ca: Any,
        use_private_key_options: Any,  # noqa: ARG002
        builder: x509.CertificateRevocationListBuilder,
        algorithm: Any,
    ) -> x509.CertificateRevocationList:
        """One call. ``MessageTooLong`` for more than 45 to 49 entries, with reasons 33 to 36."""
        return builder.sign(self._private(ca.key_backend_options), algorithm)


class Responders(_Keys):
    """Keys of responders, one for each authority, to which each new certificate is issued: ``HemOCSPBackend``
    but for django-ca's own ``OCSPKeyBackend``."""

    #: Of ``OCSPKeyBackend``: by which hash a request is signed.
    get_csr_algorithm: Callable[[str], Any]

    def create_private_key(
        self,
        ca: Any,
        key_type: str,
        key_size: int | None,  # noqa: ARG002
        elliptic_curve: Any,
    ) -> x509.CertificateSigningRequest:
        """The authority's key for answers, which is made when it is first asked for, and again where another
        type is wanted."""
        curve = None if elliptic_curve is None else elliptic_curve.name
        kept = ca.ocsp_key_backend_options["private_key"]
        if kept.get("type") != _TYPES.get((key_type, curve)):
            kept.clear()
            kept.update(_kept(self._create(f"ocsp {ca.serial}"[:32], key_type, curve)))
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        made: x509.CertificateSigningRequest = request.sign(
            self._private(kept), self.get_csr_algorithm(key_type)
        )
        return made

    def sign_ocsp_response(self, ca: Any, builder: Any, signature_hash_algorithm: Any) -> Any:
        """One call."""
        private = self._private(ca.ocsp_key_backend_options["private_key"])
        return builder.sign(private, signature_hash_algorithm)


def _kept(key: Key) -> dict[str, str]:
    return {"kid": key.kid, "type": key.type.name, "public": key.public_bytes().hex()}


def _check_kept(kept: Any) -> None:
    """``ValueError`` names what the database lacks."""
    for name, form in _KEPT.items():
        value = kept.get(name) if isinstance(kept, dict) else None
        if not isinstance(value, str) or not re.fullmatch(form, value):
            raise ValueError(
                f"key_backend_options: no {name} of a key in a HEM; it was made by another backend"
            )


def _told() -> str:
    return ", ".join(f"{kind} {curve or ''}".strip() for kind, curve in _TYPES)


@functools.cache
def _backends() -> Mapping[str, type[Any]]:
    """The classes for django-ca, which is not imported before: it wants the project's settings then."""
    try:
        from django_ca.key_backends import KeyBackend, OCSPKeyBackend
        from django_ca.key_backends.base import BaseModel, CreatePrivateKeyOptionsBaseModel
    except ImportError as error:
        raise lacking(__name__, error) from None

    class CreateOptions(CreatePrivateKeyOptionsBaseModel):
        """For a key that is to be made."""

        key_label: str
        elliptic_curve: str | None = None

    class UseOptions(BaseModel):
        """Nothing: where the login comes from is configured."""

    class HemBackend(Authorities, KeyBackend):
        """Keys of authorities are in a HEM."""

        create_model = CreateOptions
        use_model = UseOptions

    class HemOCSPBackend(Responders, OCSPKeyBackend):
        """Keys of responders are in a HEM."""

    return {each.__name__: each for each in (HemBackend, HemOCSPBackend)}


def __getattr__(name: str) -> Any:
    if name in ("HemBackend", "HemOCSPBackend"):
        return _backends()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
