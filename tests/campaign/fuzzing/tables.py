"""What the C harnesses take from Python, as a header: kinds of arguments, numbers of the standard, limits.

So the C layer's guards are held against what the bridge really reads: an argument that is added to
``hem_pkcs11.calls`` is fuzzed from then on.
"""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

from hem_pkcs11.bridge import memory, parameters
from hem_pkcs11.calls import CALLS, ArgumentKind
from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR
from hem_pkcs11.functions.random import MAX_RANDOM
from hem_pkcs11.keykinds import KINDS

__all__ = ["tables"]

FUNCTIONS = Path(__file__).parents[3] / "shim" / "src" / "functions.h"

_LETTERS = {
    ArgumentKind.SESSION: "s",
    ArgumentKind.NUMBER: "n",
    ArgumentKind.FLAG: "f",
    ArgumentKind.POINTER: "p",
    ArgumentKind.BYTES: "b",
    ArgumentKind.SECRET: "k",
    ArgumentKind.TEXT32: "x",
    ArgumentKind.MECHANISM: "m",
    ArgumentKind.TEMPLATE: "t",
    ArgumentKind.QUERY: "q",
    ArgumentKind.OUTPUT: "o",
    ArgumentKind.LAST_OUTPUT: "l",
    ArgumentKind.MESSAGE: "g",
    ArgumentKind.NO_MESSAGE: "G",
    ArgumentKind.NUMBERS: "u",
    ArgumentKind.FOUND: "F",
    ArgumentKind.FILL: "r",
    ArgumentKind.RESULT: "R",
    ArgumentKind.INITIALIZE: "I",
    ArgumentKind.INFO: "1",
    ArgumentKind.SLOT_INFO: "2",
    ArgumentKind.TOKEN_INFO: "3",
    ArgumentKind.SESSION_INFO: "4",
    ArgumentKind.MECHANISM_INFO: "5",
}
_STRUCTURES = {
    "CK_EDDSA_PARAMS": "e",
    "CK_ECDH1_DERIVE_PARAMS": "d",
    "CK_AES_CTR_PARAMS": "c",
    "CK_GCM_PARAMS": "g",
    "CK_SIGN_ADDITIONAL_CONTEXT": "m",
}
_LIMITS = {
    "MAX_LENGTH": memory.MAX_LENGTH,
    "MAX_ATTRIBUTES": memory.MAX_ATTRIBUTES,
    "MAX_ATTRIBUTE_BYTES": memory.MAX_ATTRIBUTE_BYTES,
    "MAX_PIN_BYTES": memory.MAX_PIN_BYTES,
    "MAX_PARAMETER": parameters.MAX_PARAMETER,
    "MAX_TAG": parameters.MAX_TAG,
    "MAX_FILL": MAX_RANDOM,
}


def tables() -> str:
    """The text of ``tables.h``."""
    kinds = {name: "".join(_LETTERS[kind] for kind in call.kinds) for name, call in CALLS.items()}
    names = re.findall(r"FORWARD\((C_\w+)", FUNCTIONS.read_text(encoding="utf-8"))
    lines = ["/* Made by tests/campaign/fuzzing/tables.py. */"]
    lines += [f"#define {name} {value}UL" for name, value in _LIMITS.items()]
    lines += [f'#define KINDS_{name} "{kinds.get(name, "?")}"' for name in names]
    lines.append(_numbers("mechanisms", CKM))
    lines.append(_numbers("attributes", CKA))
    lines.append(_numbers("return_values", CKR))
    rows = [
        f"{{{int(each)}UL, '{_STRUCTURES[next(iter(readers))]}'}}"
        for each, readers in parameters._READERS.items()
    ]
    lines.append(
        "static const struct { CK_ULONG mechanism; char structure; } structured[] = {"
        + ", ".join(rows)
        + "};"
    )
    lines.append("struct constant { const char *bytes; size_t size; };")
    lines.append("static const struct constant constants[] = {" + ", ".join(map(_constant, _values())) + "};")
    return "\n".join(lines) + "\n"


def _numbers(name: str, numbers: type[IntEnum]) -> str:
    return f"static const CK_ULONG {name}[] = {{{', '.join(f'{int(each)}UL' for each in numbers)}}};"


def _values() -> list[bytes]:
    """Whole values of attributes: classes, key types, curves, a key."""
    numbers = [*CKO, *CKK]
    curves = [kind.ec_params for kind in KINDS.values() if kind.ec_params]
    return [*(int(each).to_bytes(8, "little") for each in numbers), *curves, bytes(32), b"label"]


def _constant(value: bytes) -> str:
    return '{"' + "".join(f"\\x{each:02x}" for each in value) + f'", {len(value)}}}'
