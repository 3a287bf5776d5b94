"""What a key must be for an operation, beside its call: to say which of it is missing when the device
refuses (device API §13.1)."""

from __future__ import annotations

from hem_provider.keytypes import Family, KeyAttributes, KeyType
from hem_provider.records import frozen

__all__ = ["ANY_KEY", "Need"]


@frozen
class Need:
    """``what`` the operation does, in words, with ``{}`` for the algorithm; ``families``: of keys that do
    it, none for any; ``usage``: ``sign`` or ``derive``; ``private``: whether the private half is used."""

    what: str
    families: frozenset[Family] = frozenset()
    usage: str | None = None
    private: bool = True

    def misfit(
        self, algorithm: str | None, kind: KeyType | None, attributes: KeyAttributes | None
    ) -> str | None:
        """Why a key does not fit, in words; ``None`` when nothing is known against it."""
        if kind is None:
            return "it is a record that is no key"
        if self.families and kind.family not in self.families:
            return f"keys of type {kind.name} do not do that"
        if self.usage == "sign" and algorithm not in kind.sign_algorithms:
            return f"{kind.name} keys do {', '.join(kind.sign_algorithms)}"
        if attributes is None or attributes.key_type is None:
            return None
        if self.private and not attributes.usable:
            return "only its public half is on the device"
        allowed = {"sign": attributes.exdsa, "derive": attributes.ecdh}
        if kind.family is Family.EC and self.usage is not None and not allowed[self.usage]:
            return f"it was not made for {self.usage!r}"
        return None


#: A call that says nothing of its key.
ANY_KEY = Need("do this")
