"""What the device layer says through ``logging``, in the module's own log.

Apart from ``log`` so that ``logging`` is imported only when the first device is opened.
"""

from __future__ import annotations

import logging

from hem_pkcs11.host import hosted
from hem_pkcs11.log import Level, Log

__all__ = ["forward"]


class _Forwarder(logging.Handler):
    """Errors are left to the call that met them: it knows key and function."""

    def __init__(self, target: Log) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        level = Level.DEBUG
        if record.levelno >= logging.WARNING:
            level = Level.WARNING
        elif record.levelno >= logging.INFO:
            level = Level.INFO
        self._target.write(level, record.getMessage())


def forward(name: str, target: Log) -> None:
    """Give the logger ``name`` one handler that writes to ``target``.

    A host that is Python itself keeps its own logging besides, and the level that it has set.
    """
    logger = logging.getLogger(name)
    logger.handlers = [each for each in logger.handlers if not isinstance(each, _Forwarder)]
    logger.addHandler(_Forwarder(target))
    if not hosted():
        logger.propagate = False
    if not hosted() or (target.enabled(Level.INFO) and logger.level == logging.NOTSET):
        logger.setLevel(logging.DEBUG if target.enabled(Level.DEBUG) else logging.INFO)
