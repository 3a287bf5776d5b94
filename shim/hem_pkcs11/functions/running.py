"""How calls end operations: a size query and a short buffer leave them running, errors do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hem_pkcs11.operations import Place
from hem_pkcs11.returns import BufferTooSmall

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["finishing"]


@contextmanager
def finishing(session: Session, place: Place) -> Iterator[None]:
    """Whatever is raised but ``BufferTooSmall`` ends the operation at ``place``."""
    try:
        yield
    except BufferTooSmall:
        raise
    except BaseException:
        session.end(place)
        raise
