"""A process of the part ``devices``: signs by all devices that it is told, one thread each or by one set of
keys, until it is told to stop; then it says of each call when it began, how long it took, who made it.

Standard input has its orders as a line of JSON, then ``go``, then ``stop``. It says ``ready`` once it is
logged in.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import hem_provider
from hem_provider.device import Hem, Key
from hem_provider.errors import HemError

#: (device's place or -1, began (monotonic s), took (s), whether it was made)
Call = tuple[int, float, float, bool]


def main() -> None:
    """Follow the orders."""
    orders = json.loads(sys.stdin.readline())
    hems = [_hem(each, orders["timeout"]) for each in orders["devices"]]
    keys = [hem.keys.get(each["kid"]) for hem, each in zip(hems, orders["devices"], strict=True)]
    _log_in(keys)
    over, calls = threading.Event(), list[Call]()
    # What the campaign is shown to find: devices that wait for each other.
    gate: Any = threading.Lock() if orders.get("one_at_a_time") else nullcontext()
    if orders["way"] == "set":
        patience = orders["patience"]
        made = hem_provider.KeySet(keys, timeout=orders["timeout"], patience=patience, away=2 * patience)
        signers = [_by_set(made, keys) for _ in range(orders["threads"])]
    else:
        signers = [_by_itself(place, key) for place, key in enumerate(keys)]
    threads = [
        threading.Thread(target=_sign, args=(each, gate, over, calls), daemon=True) for each in signers
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    for each in threads:
        each.start()
    sys.stdin.readline()
    over.set()
    for each in threads:
        each.join(orders["timeout"] + 60)
    print(json.dumps(calls), flush=True)


def _hem(told: dict[str, Any], timeout: float) -> Hem:
    return hem_provider.connect(
        told["url"], name=told["name"], passphrase=told["passphrase"], ca_file=told["ca_file"], agent="never",
        timeout=timeout,
    )  # fmt: skip


def _log_in(keys: list[Key]) -> None:
    threads = [threading.Thread(target=_by_itself(0, each)) for each in keys]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _by_itself(place: int, key: Key) -> Callable[[], int]:
    private: Any = key.private_key()
    private.public_key()

    def sign() -> int:
        private.sign(b"campaign")
        return place

    return sign


def _by_set(made: hem_provider.KeySet, keys: list[Key]) -> Callable[[], int]:
    return lambda: keys.index(made.sign(b"campaign")[1])


def _sign(sign: Callable[[], int], gate: Any, over: threading.Event, calls: list[Call]) -> None:
    while not over.is_set():
        began = time.monotonic()
        try:
            with gate:
                place, well = sign(), True
        except HemError:
            place, well = -1, False
            over.wait(0.05)
        calls.append((place, began, time.monotonic() - began, well))


if __name__ == "__main__":
    main()
