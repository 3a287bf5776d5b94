"""The messages of ``v2.KeyManagementService``, made from a description instead of generated code
(k8s.io/kms/apis/v2/api.proto, version v2 since Kubernetes 1.29)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["METHODS", "SERVICE"]

_Field = descriptor_pb2.FieldDescriptorProto
_TEXT, _BYTES = _Field.TYPE_STRING, _Field.TYPE_BYTES
#: In the place of a type: a map of texts to bytes.
_MAP = -1
#: Message → its fields, by name; the numbers are their places.
_FIELDS: Mapping[str, Mapping[str, int]] = {
    "StatusRequest": {},
    "StatusResponse": {"version": _TEXT, "healthz": _TEXT, "key_id": _TEXT},
    "DecryptRequest": {"ciphertext": _BYTES, "uid": _TEXT, "key_id": _TEXT, "annotations": _MAP},
    "DecryptResponse": {"plaintext": _BYTES},
    "EncryptRequest": {"plaintext": _BYTES, "uid": _TEXT},
    "EncryptResponse": {"ciphertext": _BYTES, "key_id": _TEXT, "annotations": _MAP},
}
_PACKAGE = "v2"
SERVICE = f"{_PACKAGE}.KeyManagementService"


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="hem_provider/kms.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            if kind == _MAP:
                _add_map(message, field, number)
            else:
                message.field.add(name=field, number=number, type=kind, label=_Field.LABEL_OPTIONAL)
    return file


def _add_map(message: Any, field: str, number: int) -> None:
    """A map is a repeated message of key and value (Protocol Buffers, "Maps", backwards compatibility)."""
    entry = message.nested_type.add(name=f"{field.capitalize()}Entry")
    entry.options.map_entry = True
    for place, (name, kind) in enumerate((("key", _TEXT), ("value", _BYTES)), 1):
        entry.field.add(name=name, number=place, type=kind, label=_Field.LABEL_OPTIONAL)
    message.field.add(
        name=field,
        number=number,
        type=_Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=f".{_PACKAGE}.{message.name}.{entry.name}",
    )


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()  # of our own: a client in the process may have generated ones
    pool.Add(_described())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _FIELDS
    }


_CLASSES = _classes()
#: Method → the classes of its request and its response.
METHODS: Mapping[str, tuple[Any, Any]] = {
    name: (_CLASSES[f"{name}Request"], _CLASSES[f"{name}Response"])
    for name in ("Status", "Decrypt", "Encrypt")
}
