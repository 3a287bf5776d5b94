"""Write the attribute tables of the PKCS#11 guide from the rules the module follows.

python tools/make_attributes.py            write them into docs/pkcs11.md
python tools/make_attributes.py --check    fail when the guide is not what the rules say
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "pkcs11.md"
sys.path[:0] = [str(ROOT), str(ROOT / "shim")]

from hem_pkcs11.constants import CKA, CKR  # noqa: E402
from hem_pkcs11.templates.rules import RULES, Change, Column, How, Rule, form_of  # noqa: E402

from tools.options import only_checks  # noqa: E402

#: Marker → the columns of the table below it, with their heads.
TABLES: dict[str, dict[Column, str]] = {
    "attributes of keys": {
        Column.PUBLIC: "public",
        Column.PRIVATE: "private",
        Column.SECRET: "secret",
        Column.SESSION_PUBLIC: "session public",
        Column.SESSION_SECRET: "session secret",
    },
    "attributes of other objects": {
        Column.CERTIFICATE: "certificate",
        Column.DATA: "data",
        Column.PROFILE: "profile",
        Column.MECHANISM: "mechanism",
    },
}
REST = "attributes that no object has"
ABSENT = "–"
#: What another value gets where the cell does not say it.
USUAL = {
    How.KEPT: CKR.TEMPLATE_INCONSISTENT,
    How.FIXED: CKR.TEMPLATE_INCONSISTENT,
    How.CHOICE: CKR.TEMPLATE_INCONSISTENT,
    How.DERIVED: CKR.ATTRIBUTE_READ_ONLY,
    How.AGREES: CKR.ATTRIBUTE_VALUE_INVALID,
    How.HIDDEN: CKR.TEMPLATE_INCONSISTENT,
}


def cell(rule: Rule | None) -> str:
    """One rule in words."""
    if rule is None:
        return ABSENT
    how = f"{rule.how.value} ({rule.where})" if rule.where else rule.how.value
    parts = [f"{how}: {rule.told}"]
    if rule.rv != USUAL[rule.how]:
        parts.append(f"else `CKR_{rule.rv.name}`")
    if rule.change is not Change.NO:
        parts.append("can change" if rule.change is Change.YES else f"can change {rule.change.value}")
    return "; ".join(parts)


def table(columns: dict[Column, str]) -> list[str]:
    kinds = [kind for kind in _ordered() if any(kind in RULES[column] for column in columns)]
    rows = [["attribute", *columns.values(), "value"]]
    rows += [
        [f"`CKA_{kind.name}`", *(cell(RULES[column].get(kind)) for column in columns), form_of(kind).value]
        for kind in kinds
    ]
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|---" * (len(columns) + 2) + "|", *body]


def rest() -> list[str]:
    """The attributes without a rule, in lines of a page's width."""
    lines = [""]
    for kind in CKA:
        if not any(kind in RULES[column] for column in Column):
            word = f"`{kind.name}`"
            if len(lines[-1]) + len(word) > 110:
                lines.append("")
            lines[-1] += f"{' ' if lines[-1] else ''}{word}"
    return lines


def _ordered() -> Iterable[CKA]:
    """As the rules list them."""
    seen: dict[CKA, None] = {}
    for column in Column:
        seen.update((CKA(kind), None) for kind in RULES[column])
    return seen


def page(text: str) -> str:
    """``text`` with all that stands between the markers written anew."""
    for marker, columns in TABLES.items():
        text = _between(text, marker, table(columns))
    return _between(text, REST, rest())


def _between(text: str, marker: str, lines: list[str]) -> str:
    start, end = f"<!-- {marker}: tools/make_attributes.py -->\n", f"<!-- end of {marker} -->"
    before, found, after = text.partition(start)
    _, closed, after = after.partition(end)
    if not (found and closed):
        raise SystemExit(f"{PAGE}: no markers {start.strip()} and {end}")
    return f"{before}{start}\n" + "\n".join(lines) + f"\n\n{end}{after}"


def main(arguments: list[str]) -> int:
    check = only_checks(arguments, "Write the attribute tables of docs/pkcs11.md.")
    present = PAGE.read_text()
    made = page(present)
    if check:
        if present != made:
            print(f"{PAGE}: out of date; run: python tools/make_attributes.py")
        return int(present != made)
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
