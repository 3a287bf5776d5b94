"""A process of the part ``devices``: a PKCS#11 host with all devices, which looks at its slots now and then.

It prints a JSON line for each look: when it began, the numbers of all slots, of those with a token, and how
many seconds the two lists and the tokens' infos took. It ends with its standard input.
"""

from __future__ import annotations

import ctypes
import json
import sys
import threading
import time
from ctypes import byref, c_ubyte, c_ulong
from pathlib import Path

_ROOM = 32


def main() -> None:
    """Look until the input ends."""
    library = ctypes.CDLL(str(Path(sys.argv[1])))
    over = threading.Event()
    began = time.monotonic()
    _check(library.C_Initialize(None))
    first = True
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        began = began if first else time.monotonic()
        slots = _slots(library, 0)
        there = _slots(library, 1)
        for each in there:
            library.C_GetTokenInfo(c_ulong(each), (c_ubyte * 512)())
        print(
            json.dumps({"began": began, "slots": slots, "there": there, "took": time.monotonic() - began}),
            flush=True,
        )
        first = False
        over.wait(0.25)
    _check(library.C_Finalize(None))


def _slots(library: ctypes.CDLL, present: int) -> list[int]:
    numbers, count = (c_ulong * _ROOM)(), c_ulong(_ROOM)
    _check(library.C_GetSlotList(c_ubyte(present), numbers, byref(count)))
    return list(numbers[: count.value])


def _check(answer: int) -> None:
    if answer:
        raise OSError(f"CKR 0x{answer:x}")


if __name__ == "__main__":
    main()
