"""Every attribute of PKCS#11 3.2 with what it is worth for each kind of object: one table.

Templates of all functions are held against it, and the guide's tables are written from it
(`tools/make_attributes.py`). An attribute without a rule is refused for that kind of object:
CKR_ATTRIBUTE_TYPE_INVALID.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from hem_pkcs11.constants import CKA, CKR
from hem_provider.records import frozen, replace

__all__ = ["FORMS", "RULES", "Change", "Column", "Form", "How", "Rule", "form_of"]


class Column(enum.Enum):
    """Kinds of objects; the value is the column's head in the guide and what messages say."""

    PUBLIC = "public key"
    PRIVATE = "private key"
    SECRET = "secret key"  # noqa: S105 - a kind of object
    SESSION_PUBLIC = "session public key"
    SESSION_SECRET = "session secret key"  # noqa: S105
    CERTIFICATE = "certificate"
    DATA = "data object"
    PROFILE = "profile object"
    MECHANISM = "mechanism object"


class How(enum.Enum):
    """What comes of an attribute of a template."""

    KEPT = "kept"  # as it was given, and read back so
    FIXED = "fixed"  # has one value; given otherwise it is refused
    CHOICE = "chosen"  # says what is made; may be spelt otherwise when it is read
    DERIVED = "derived"  # follows from the object; given, it is refused
    AGREES = "agrees"  # follows from the object; given, it has to agree
    HIDDEN = "secret"  # the key itself: taken in where it is brought along, else refused


class Change(enum.Enum):
    """What C_SetAttributeValue may do to it."""

    NO = "no"
    YES = "yes"
    TO_TRUE = "to true"
    TO_FALSE = "to false"


class Form(enum.Enum):
    """What bytes make a value."""

    BOOL = "CK_BBOOL"
    NUMBER = "CK_ULONG"
    NUMBERS = "CK_ULONG array"
    DATE = "CK_DATE"
    BYTES = "bytes"


@frozen
class Rule:
    """``told``: what it reads as. ``where``: what keeps it. ``rv``: what another value gets.
    ``blank``: an empty value counts as none. ``lenient``: true, asked of a key whose type cannot do
    it, is left out when it can do something else that was asked (pkcs11-tool asks for signing and
    derivation at once, whatever the curve)."""

    how: How
    told: str
    where: str = ""
    rv: CKR = CKR.TEMPLATE_INCONSISTENT
    change: Change = Change.NO
    blank: bool = False
    lenient: bool = False


FORMS: Mapping[int, Form] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                CKA.TOKEN, CKA.PRIVATE, CKA.TRUSTED, CKA.SENSITIVE, CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP,
                CKA.UNWRAP, CKA.SIGN, CKA.SIGN_RECOVER, CKA.VERIFY, CKA.VERIFY_RECOVER, CKA.DERIVE,
                CKA.EXTRACTABLE, CKA.LOCAL, CKA.NEVER_EXTRACTABLE, CKA.ALWAYS_SENSITIVE, CKA.MODIFIABLE,
                CKA.COPYABLE, CKA.DESTROYABLE, CKA.ALWAYS_AUTHENTICATE, CKA.WRAP_WITH_TRUSTED,
                CKA.ENCAPSULATE, CKA.DECAPSULATE,
            ),
            Form.BOOL,
        ),
        **dict.fromkeys(
            (
                CKA.CLASS, CKA.CERTIFICATE_TYPE, CKA.CERTIFICATE_CATEGORY, CKA.JAVA_MIDP_SECURITY_DOMAIN,
                CKA.NAME_HASH_ALGORITHM, CKA.KEY_TYPE, CKA.VALUE_LEN, CKA.KEY_GEN_MECHANISM,
                CKA.PARAMETER_SET, CKA.MECHANISM_TYPE, CKA.PROFILE_ID,
            ),
            Form.NUMBER,
        ),
        CKA.ALLOWED_MECHANISMS: Form.NUMBERS,
        CKA.START_DATE: Form.DATE,
        CKA.END_DATE: Form.DATE,
    }
)  # fmt: skip


def form_of(kind: int) -> Form:
    """How values of the attribute look; bytes for one that is not known.

    >>> form_of(CKA.TOKEN).value
    'CK_BBOOL'
    """
    return FORMS.get(kind, Form.BYTES)


_Cells = Mapping[CKA, tuple[Rule | None, ...]]

# How rules are written below -------------------------------------------------------------------


def _kept(where: str, otherwise: str = "", change: Change = Change.NO) -> Rule:
    return Rule(How.KEPT, f"template, else {otherwise}" if otherwise else "template", where, change=change)


def _fixed(told: str, rv: CKR = CKR.TEMPLATE_INCONSISTENT) -> Rule:
    return Rule(How.FIXED, told, rv=rv)


def _derived(told: str) -> Rule:
    return Rule(How.DERIVED, told, rv=CKR.ATTRIBUTE_READ_ONLY)


def _agrees(told: str) -> Rule:
    return Rule(How.AGREES, told, rv=CKR.ATTRIBUTE_VALUE_INVALID)


def _chosen(told: str) -> Rule:
    return Rule(How.CHOICE, told)


def _use(where: str, told: str, *, lenient: bool = False) -> Rule:
    return Rule(How.KEPT, told, where, lenient=lenient)


_DESCR, _STORE, _MEMORY, _LABEL = "descr", "store", "memory", "label"
_NONE = None
_TRUE, _FALSE = _fixed("true"), _fixed("false")
#: The device has no field for it, and ``descr`` no room.
_EMPTY = _fixed("empty", CKR.ATTRIBUTE_VALUE_INVALID)
#: Only a security officer could say it, and no function lets one.
_UNTRUSTED = _fixed("false", CKR.ATTRIBUTE_READ_ONLY)
_CLASS = _fixed("the class")
_INSIDE = _derived("made in the device")
_HIDDEN = Rule(How.HIDDEN, "sensitive")
_YES = Change.YES

_ID = replace(_kept(_DESCR, "KID", _YES), blank=True)
_NAME = replace(_kept(_LABEL, "the type's name", _YES), blank=True)
_ALLOWED = replace(_kept(_DESCR, "what works with it"), rv=CKR.ATTRIBUTE_VALUE_INVALID)
_MEMORY_ALLOWED = replace(_kept(_MEMORY, "what works with it"), rv=CKR.ATTRIBUTE_VALUE_INVALID)
_PLACE = Rule(How.KEPT, "template, else false: goes with its session")
_PAIR_COPY = Rule(How.KEPT, "token's: false; session's: template, else true", _DESCR)
_SECRET_USE = "template, else all of its type that is not denied"  # noqa: S105
_DATES = (_EMPTY, _EMPTY, _EMPTY, _kept(_MEMORY, "empty", _YES), _kept(_MEMORY, "empty", _YES))
_DESCR_TRUE, _MEMORY_TRUE = _kept(_DESCR, "true"), _kept(_MEMORY, "true")
_AES_CIPHER = Rule(How.KEPT, "template, else AES of family aead or cipher", _DESCR)
_AES_WRAP = Rule(How.KEPT, "template, else AES of family wrap", _DESCR)
_MAC = Rule(How.KEPT, "template, else HMAC and AES of family mac", _DESCR)
_MEMORY_USE = _use(_MEMORY, _SECRET_USE)

_OID, _SET, _GIVEN_POINT = (
    _chosen("the curve's OID"), _chosen("the set of ML keys"), _chosen("the curve's point"),
)  # fmt: skip
_POINT, _INFO = _derived("the curve's point"), _derived("SubjectPublicKeyInfo")
_MAY_SIGN = _use(_DESCR, "template, else may sign", lenient=True)
_MAY_KEM = _use(_DESCR, "template, else ML-KEM: true; others: false")
_MAKER = _derived("its mechanism if local")
_MEMORY_NAME = _kept(_MEMORY, "empty", _YES)

#: In the order of PUBLIC, PRIVATE, SECRET, SESSION_PUBLIC, SESSION_SECRET.
_KEYS: _Cells = {
    CKA.CLASS: (_CLASS,) * 5,
    CKA.TOKEN: (_PLACE, _PLACE, _PLACE, _FALSE, _FALSE),
    CKA.PRIVATE: (_FALSE, _TRUE, _TRUE, _kept(_MEMORY, "false"), _kept(_MEMORY, "true")),
    CKA.MODIFIABLE: (_DESCR_TRUE,) * 3 + (_MEMORY_TRUE,) * 2,
    CKA.COPYABLE: (_PAIR_COPY,) * 3 + (replace(_MEMORY_TRUE, change=Change.TO_FALSE),) * 2,
    CKA.DESTROYABLE: (_DESCR_TRUE,) * 3 + (_MEMORY_TRUE,) * 2,
    CKA.LABEL: (_NAME, _NAME, _NAME, _MEMORY_NAME, _MEMORY_NAME),
    CKA.UNIQUE_ID: (_derived("KID, hex"),) * 3 + (_derived("made up"),) * 2,
    CKA.KEY_TYPE: (_chosen("the type"),) * 5,
    CKA.ID: (_ID, _ID, _ID, _MEMORY_NAME, _MEMORY_NAME),
    CKA.START_DATE: _DATES,
    CKA.END_DATE: _DATES,
    CKA.DERIVE: (
        replace(_FALSE, lenient=True), _use(_DESCR, "template, else may agree", lenient=True), _FALSE,
        _kept(_MEMORY, "false"), _MEMORY_USE,
    ),
    CKA.LOCAL: (_INSIDE,) * 3 + (_derived("false"), _derived("generated here")),
    CKA.KEY_GEN_MECHANISM: (_MAKER,) * 3 + (_derived("unavailable"), _MAKER),
    CKA.ALLOWED_MECHANISMS: (_ALLOWED, _ALLOWED, _ALLOWED, _MEMORY_ALLOWED, _MEMORY_ALLOWED),
    CKA.SUBJECT: (_EMPTY, _EMPTY, _NONE, _kept(_MEMORY, "empty", _YES), _NONE),
    CKA.EC_PARAMS: (_OID, _OID, _NONE, _OID, _NONE),
    CKA.EC_POINT: (_POINT, _POINT, _NONE, _GIVEN_POINT, _NONE),
    CKA.PARAMETER_SET: (_SET, _SET, _NONE, _SET, _NONE),
    CKA.PUBLIC_KEY_INFO: (
        _INFO, _INFO, _NONE, replace(_agrees("SubjectPublicKeyInfo"), blank=True), _NONE,
    ),
    CKA.VERIFY: (_MAY_SIGN, _NONE, _MAC, _kept(_MEMORY, "by type"), _MEMORY_USE),
    CKA.VERIFY_RECOVER: (_FALSE, _NONE, _NONE, _FALSE, _NONE),
    CKA.ENCRYPT: (_FALSE, _NONE, _AES_CIPHER, _FALSE, _MEMORY_USE),
    CKA.WRAP: (_FALSE, _NONE, _AES_WRAP, _FALSE, _MEMORY_USE),
    CKA.ENCAPSULATE: (_MAY_KEM, _NONE, _NONE, _kept(_MEMORY, "by type"), _NONE),
    CKA.TRUSTED: (_UNTRUSTED, _NONE, _UNTRUSTED, _UNTRUSTED, _UNTRUSTED),
    CKA.VALUE: (
        replace(_derived("the key of ML keys"), rv=CKR.ATTRIBUTE_TYPE_INVALID), _HIDDEN, _HIDDEN,
        _chosen("the key of ML keys"), replace(_HIDDEN, told="unless sensitive"),
    ),
    CKA.SENSITIVE: (
        _NONE, _TRUE, _TRUE, _NONE,
        _kept(_MEMORY, "true where a generated key is private, else false", Change.TO_TRUE),
    ),
    CKA.ALWAYS_SENSITIVE: (_NONE, _INSIDE, _INSIDE, _NONE, _derived("as generated")),
    CKA.EXTRACTABLE: (_NONE, _FALSE, _FALSE, _NONE, _kept(_MEMORY, "not sensitive", Change.TO_FALSE)),
    CKA.NEVER_EXTRACTABLE: (_NONE, _INSIDE, _INSIDE, _NONE, _derived("as generated")),
    CKA.WRAP_WITH_TRUSTED: (_NONE, _FALSE, _FALSE, _NONE, _kept(_MEMORY, "false", Change.TO_TRUE)),
    CKA.SIGN: (_NONE, _MAY_SIGN, _MAC, _NONE, _MEMORY_USE),
    CKA.SIGN_RECOVER: (_NONE, _FALSE, _NONE, _NONE, _NONE),
    CKA.DECRYPT: (_NONE, _FALSE, _AES_CIPHER, _NONE, _MEMORY_USE),
    CKA.UNWRAP: (_NONE, _FALSE, _AES_WRAP, _NONE, _MEMORY_USE),
    CKA.DECAPSULATE: (_NONE, _MAY_KEM, _NONE, _NONE, _NONE),
    CKA.ALWAYS_AUTHENTICATE: (_NONE, _FALSE, _NONE, _NONE, _NONE),
    CKA.VALUE_LEN: (_NONE, _NONE, _chosen("bytes"), _NONE, replace(_chosen("bytes"), how=How.AGREES)),
    CKA.CHECK_VALUE: (_NONE, _NONE, _NONE, _NONE, replace(_agrees("3 bytes"), blank=True)),
}  # fmt: skip

_STORED_TRUE = _kept(_STORE, "true")
_FREE = _kept(_STORE, "empty", _YES)
_READ = replace(_agrees("read from it"), blank=True)

#: In the order of CERTIFICATE, DATA, PROFILE, MECHANISM.
_OTHERS: _Cells = {
    CKA.CLASS: (_CLASS,) * 4,
    CKA.TOKEN: (_kept(_STORE, "false"), _kept(_STORE, "false"), _TRUE, _TRUE),
    CKA.PRIVATE: (_kept(_STORE, "false"), _kept(_STORE, "false"), _FALSE, _FALSE),
    CKA.UNIQUE_ID: (_derived("made up"), _derived("made up"), _NONE, _NONE),
    CKA.LABEL: (_FREE, _FREE, _NONE, _NONE),
    CKA.MODIFIABLE: (_STORED_TRUE, _STORED_TRUE, _FALSE, _FALSE),
    CKA.COPYABLE: (_kept(_STORE, "true", Change.TO_FALSE),) * 2 + (_FALSE, _FALSE),
    CKA.DESTROYABLE: (_STORED_TRUE, _STORED_TRUE, _FALSE, _FALSE),
    CKA.CERTIFICATE_TYPE: (_fixed("`CKC_X_509`", CKR.ATTRIBUTE_VALUE_INVALID), _NONE, _NONE, _NONE),
    CKA.TRUSTED: (_UNTRUSTED, _NONE, _NONE, _NONE),
    CKA.CERTIFICATE_CATEGORY: (_kept(_STORE, "0"), _NONE, _NONE, _NONE),
    CKA.JAVA_MIDP_SECURITY_DOMAIN: (_kept(_STORE, "0"), _NONE, _NONE, _NONE),
    CKA.START_DATE: (_FREE, _NONE, _NONE, _NONE),
    CKA.END_DATE: (_FREE, _NONE, _NONE, _NONE),
    CKA.URL: (_FREE, _NONE, _NONE, _NONE),
    CKA.NAME_HASH_ALGORITHM: (_kept(_STORE, "`CKM_SHA_1`"), _NONE, _NONE, _NONE),
    CKA.HASH_OF_SUBJECT_PUBLIC_KEY: (_kept(_STORE, "empty"), _NONE, _NONE, _NONE),
    CKA.HASH_OF_ISSUER_PUBLIC_KEY: (_kept(_STORE, "empty"), _NONE, _NONE, _NONE),
    CKA.VALUE: (_kept(_STORE), _FREE, _NONE, _NONE),
    CKA.SUBJECT: (_READ, _NONE, _NONE, _NONE),
    CKA.ISSUER: (_READ, _NONE, _NONE, _NONE),
    CKA.SERIAL_NUMBER: (_READ, _NONE, _NONE, _NONE),
    CKA.ID: (replace(_kept(_STORE, "its key's in the device", _YES), blank=True), _NONE, _NONE, _NONE),
    CKA.PUBLIC_KEY_INFO: (_READ, _NONE, _NONE, _NONE),
    CKA.CHECK_VALUE: (replace(_READ, told="SHA-1, 3 bytes"), _NONE, _NONE, _NONE),
    CKA.APPLICATION: (_NONE, _FREE, _NONE, _NONE),
    CKA.OBJECT_ID: (_NONE, _FREE, _NONE, _NONE),
    CKA.PROFILE_ID: (_NONE, _NONE, _fixed("`CKP_BASELINE_PROVIDER`"), _NONE),
    CKA.MECHANISM_TYPE: (_NONE, _NONE, _NONE, _fixed("one of the list above")),
}


def _columns(cells: _Cells, columns: tuple[Column, ...]) -> dict[Column, Mapping[int, Rule]]:
    return {
        column: MappingProxyType(
            {int(kind): rule for kind, rules in cells.items() if (rule := rules[place]) is not None}
        )
        for place, column in enumerate(columns)
    }


#: Kind of object → attribute → rule.
RULES: Mapping[Column, Mapping[int, Rule]] = MappingProxyType(
    _columns(_KEYS, tuple(Column)[:5]) | _columns(_OTHERS, tuple(Column)[5:])
)
