"""What age and a plugin of it say to each other: stanzas as in headers, over standard input and output
(https://c2sp.org/age-plugin, "IPC protocol")."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import BinaryIO

from hem_provider.adapters.age.errors import DamagedFile
from hem_provider.adapters.age.header import LineReader, Stanza, read_stanza
from hem_provider.errors import HemError

__all__ = ["Client", "ProtocolFault"]

_DONE, _OK, _YES = "done", "ok", "yes"


class ProtocolFault(HemError):
    """What started the plugin does not keep to the protocol, or ended."""


class Client:
    """The program that started the plugin. Everything raises ``ProtocolFault`` and ``OSError``."""

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._lines = LineReader(reading)
        self._writing = writing

    def commands(self) -> Iterator[Stanza]:
        """The client's phase: its commands up to the last."""
        while True:
            stanza = self._read()
            if stanza.kind == _DONE:
                return
            yield stanza

    def call(self, command: str, *arguments: str, body: bytes = b"") -> Stanza:
        """Say one thing in the plugin's phase; the answer."""
        self._write(Stanza(command, arguments, body))
        return self._read()

    def show(self, text: str) -> bool:
        """Show a person a message; whether there is one."""
        return self.call("msg", body=text.encode("utf-8")).kind == _OK

    def ask_secret(self, prompt: str) -> str | None:
        """What a person types after ``prompt``; ``None`` where there is nobody, or nothing was typed."""
        answer = self.call("request-secret", body=prompt.encode("utf-8"))
        if answer.kind != _OK:
            return None
        try:
            return answer.body.decode("utf-8") or None
        except ValueError:
            raise ProtocolFault(f"{len(answer.body)} bytes were typed that are no text in UTF-8") from None

    def confirm(self, text: str, *, yes: str, no: str) -> bool:
        """Whether a person chose ``yes``."""
        choices = [base64.b64encode(each.encode("utf-8")).rstrip(b"=").decode("ascii") for each in (yes, no)]
        answer = self.call("confirm", *choices, body=text.encode("utf-8"))
        return answer.kind == _OK and answer.arguments[:1] == (_YES,)

    def fail(self, what: str, *places: int, error: str) -> None:
        """Tell of an error: of which of ``identity``, ``recipient``, ``stanza`` or ``internal`` it is."""
        self.call("error", what, *map(str, places), body=error.encode("utf-8"))

    def end(self) -> None:
        """The end of the plugin's phase."""
        self._write(Stanza(_DONE, (), b""))

    def _read(self) -> Stanza:
        try:
            return read_stanza(self._lines.next(), self._lines)
        except DamagedFile:
            if self._lines.ended:
                raise ProtocolFault("the program that started the plugin ended before it was done") from None
            raise ProtocolFault(
                "what was sent is no stanza; accepted are lines '-> COMMAND ARGUMENT...', each with lines of "
                "64 characters of base64 and a shorter one"
            ) from None
        finally:
            self._lines.lines.clear()  # keys of files and passphrases are among them

    def _write(self, stanza: Stanza) -> None:
        self._writing.write(stanza.encoded())
        self._writing.flush()
