"""What the device layer says, in the module's own log."""

from __future__ import annotations

from hem_pkcs11.host import hosted
from hem_pkcs11.log import Level, Log
from hem_provider import logs

__all__ = ["forward"]


def forward(target: Log) -> None:
    """Have ``target`` written to; errors are left to the call that met them: it knows key and function.

    A host that is Python itself keeps its own ``logging`` besides, and the level that it has set.
    """
    if hosted():
        _handle("hem_provider", target)
    else:
        least = logs.DEBUG if target.enabled(Level.DEBUG) else logs.INFO
        logs.send_to(lambda level, text: target.write(_level(level), text), least)


def _level(number: int) -> Level:
    if number >= logs.WARNING:
        return Level.WARNING
    return Level.INFO if number >= logs.INFO else Level.DEBUG


def _handle(name: str, target: Log) -> None:
    """Give the logger ``name`` one handler that writes to ``target``."""
    import logging

    class Forwarder(logging.Handler):
        of_the_module = True

        def emit(self, record: logging.LogRecord) -> None:
            target.write(_level(record.levelno), record.getMessage())

    logger = logging.getLogger(name)
    logger.handlers = [each for each in logger.handlers if not hasattr(each, "of_the_module")]
    logger.addHandler(Forwarder())
    if target.enabled(Level.INFO) and logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG if target.enabled(Level.DEBUG) else logging.INFO)
