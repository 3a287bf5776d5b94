"""Finding what answers a request: literal paths first, then patterns whose ``{name}`` segments match text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

__all__ = ["Router"]

T = TypeVar("T")


class Router(Generic[T]):
    """A table of (method, path, target)."""

    def __init__(self, routes: Iterable[tuple[str, str, T]]) -> None:
        self._literal: dict[tuple[str, str], T] = {}
        self._patterns: list[tuple[str, tuple[str, ...], T]] = []
        for method, path, target in routes:
            if "{" in path:
                self._patterns.append((method, tuple(path.split("/")), target))
            else:
                self._literal[method, path] = target

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]] | None:
        """The target and its path parameters; ``None`` for an unknown path or another method."""
        target = self._literal.get((method, path))
        if target is not None:
            return target, {}
        parts = path.split("/")
        for wanted, pattern, candidate in self._patterns:
            if wanted == method and len(pattern) == len(parts):
                pairs = list(zip(pattern, parts, strict=True))
                if all(part == text or (part.startswith("{") and text) for part, text in pairs):
                    return candidate, {part[1:-1]: text for part, text in pairs if part.startswith("{")}
        return None
