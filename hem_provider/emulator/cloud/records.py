"""What the cloud remembers: JSON documents by kind and id in the state file, each with an end of life."""

from __future__ import annotations

import json
from typing import Any

from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import compact_json

__all__ = ["FOREVER", "Records"]

FOREVER = 1e12


class Records:
    """Access to the documents; every method runs inside a transaction of the device."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def put(self, kind: str, key: str, body: dict[str, Any], *, until: float = FOREVER) -> None:
        """Store a document until the host time ``until``."""
        database = self._device.store.database
        database.execute("DELETE FROM cloud WHERE until < ?", (self._device.host_time(),))
        database.execute(
            "INSERT OR REPLACE INTO cloud (kind, id, until, body) VALUES (?, ?, ?, ?)",
            (kind, key, until, compact_json(body)),
        )

    def change(self, kind: str, key: str, **changes: Any) -> None:
        """Replace fields of a document that exists, keeping its end of life."""
        body = self.get(kind, key)
        if body is not None:
            self._device.store.database.execute(
                "UPDATE cloud SET body = ? WHERE kind = ? AND id = ?",
                (compact_json({**body, **changes}), kind, key),
            )

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """A document that has not ended."""
        row = self._device.store.database.execute(
            "SELECT body FROM cloud WHERE kind = ? AND id = ? AND until >= ?",
            (kind, key, self._device.host_time()),
        ).fetchone()
        return dict(json.loads(row[0])) if row else None

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """All documents of a kind by id."""
        rows = self._device.store.database.execute(
            "SELECT id, body FROM cloud WHERE kind = ? AND until >= ? ORDER BY id",
            (kind, self._device.host_time()),
        )
        return {key: dict(json.loads(body)) for key, body in rows}

    def remove(self, kind: str, key: str) -> None:
        """Forget a document, if there is one."""
        self._device.store.database.execute("DELETE FROM cloud WHERE kind = ? AND id = ?", (kind, key))
