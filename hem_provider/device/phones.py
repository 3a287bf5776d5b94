"""Pairing a phone as authenticator, and undoing it (device API §10).

::

    pairing = hem.phones.begin()
    show_as_qr_code(pairing.qr_text)
    phone = pairing.wait()
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Literal

from hem_provider.device.login import LoginSession
from hem_provider.errors import HemApprovalTimeout, HemOperationFailed
from hem_provider.records import frozen
from hem_provider.rest import configuration, external, keymgmt
from hem_provider.rest.broker import PhoneAnswer, Registration
from hem_provider.rest.encoding import b64, unb64
from hem_provider.rest.external import Validation
from hem_provider.rest.keymgmt import KeyRecord
from hem_provider.rest.settle import NOT_MADE, Change, NotMade, settle
from hem_provider.waiting import CLOCK

__all__ = ["Pairing", "Phone", "Phones"]

#: How records of paired phones begin; at least 6 bytes, so that anyone may search for them.
_MARK = b"EXTAID"
_PAIR = ("auth:ext:pair",)


@frozen
class Phone:
    """A paired authenticator: its record on the device and its id at the broker (base64)."""

    kid: str
    label: str
    pid: str


class Pairing:
    """A pairing in progress. ``qr_text`` is what the phone's app scans."""

    def __init__(self, phones: Phones, registration: Registration, qr_text: str) -> None:
        self._phones = phones
        self._registration = registration
        self.qr_text = qr_text

    @property
    def link(self) -> str:
        """The address in the QR code."""
        return self._registration.link

    def __repr__(self) -> str:
        return f"<Pairing with {self._phones.rest.channel.config.name}>"

    def wait(
        self,
        seconds: float = 300.0,
        *,
        poll: float = 2.0,
        waiting: Callable[[float], None] | None = None,
    ) -> str:
        """Until the phone has answered: the KID of its record. ``poll``: seconds between two looks;
        ``waiting`` is told before each how many are left. Broken off, it leaves nothing on the device.

        ``HemOperationFailed`` when it was refused, has expired, or the phone is paired already;
        ``HemApprovalTimeout`` after ``seconds``.
        """
        for left in self._phones.clock.looks(seconds, poll):
            if waiting is not None:
                waiting(left)
            answer = self._phones.rest.broker.registration(self._registration.rid, within=left)
            if answer is not None:
                return self._phones.finish(self._registration, answer)
        raise HemApprovalTimeout(f"no phone has answered within {seconds:g} s")


class Phones:
    """``hem.phones``: the device's paired authenticators, at most eight."""

    def __init__(self, session: LoginSession) -> None:
        self.rest = session.rest
        self._session = session
        self.clock = CLOCK

    def begin(self) -> Pairing:
        """Start a pairing; show ``qr_text`` and ``wait``. Takes a login as user."""
        settings = self._session.run(configuration.read().by(*_PAIR))
        epk = self.rest.broker.session(settings.eid)
        request = self._session.run(external.begin_pairing(epk).by(*_PAIR))
        registration = self.rest.broker.register(epk=epk, eid=request.eid, request=request.request)
        shown = {
            "link": registration.link,
            "hash": b64(hashlib.sha256(request.request.encode("ascii")).digest()),
            "user": settings.user,
            "email": settings.email,
            "hostname": settings.hostname,
        }
        return Pairing(self, registration, json.dumps(shown, separators=(",", ":"), ensure_ascii=False))

    def finish(self, registration: Registration, answer: PhoneAnswer) -> str:
        """Store the phone that answered; the KID of its record.

        The device proves itself to the phone in its answer, once. Where that is lost, the record is
        taken away again: an error says that no phone was paired.
        """
        stored = Change(
            made="the phone was stored",
            undone="no phone was paired: begin again",
            see="list the phones; remove this one and pair it again",
            look=lambda: self._taken_back(answer.pid),
        )
        validate = external.validate(pid=answer.pid, reply=answer.reply).by(*_PAIR)
        try:
            validation = self._session.run(validate, stored)
            self._tell(registration, validation)
        except KeyboardInterrupt:  # a phone that may not know of it is not to open the device
            self._taken_back(answer.pid)
            raise
        return validation.kid

    def _tell(self, registration: Registration, validation: Validation) -> None:
        """Let the phone know that the device has stored it."""
        told: Change[bool] = Change(
            made="the phone was told that it is paired",
            undone="the phone was not told",
            see=f"it is stored as {validation.kid}; if it does not show the device, remove it and pair again",
            look=None,
            repeat=True,
        )

        def tell() -> bool:
            self.rest.broker.finalise(registration.rid, validation.raw)
            return True

        settle(tell, told)

    def _taken_back(self, pid: str) -> Validation | Literal[NotMade.NOT_MADE]:
        for phone in self.list():
            if unb64(phone.pid) == unb64(pid):
                self._forget(phone.kid)
        return NOT_MADE

    def list(self) -> list[Phone]:
        """The paired phones. Takes a login."""
        search = keymgmt.search(_MARK)
        page = self._session.run(search.by(*_PAIR, *search.scopes))
        return [_phone(record) for record in page.records]

    def remove(self, kid: str, *, broker: bool = True) -> None:
        """Unpair: at the broker, then on the device, which alone decides who may log in; without ``broker``
        there only. ``HemOperationFailed`` for another record."""
        phone = next((each for each in self.list() if each.kid == kid), None)
        if phone is None:
            raise HemOperationFailed(f"record {kid} is not a paired phone")
        if broker:
            self._unsubscribe(phone)
        self._forget(kid)

    def _unsubscribe(self, phone: Phone) -> None:
        """The broker's half."""
        settings = self._session.run(configuration.read().by(*_PAIR))
        epk = self.rest.broker.session(settings.eid)
        proof = self._session.run(external.prove(epk).by(*_PAIR))

        def unsubscribe() -> bool:
            self.rest.broker.unsubscribe(proof.raw, epk=epk, pid=phone.pid)
            return True

        gone: Change[bool] = Change(
            made="the broker has forgotten the phone",
            undone="it has not",
            see="the device knows it still: remove it again",
            look=None,
            repeat=True,
        )
        settle(unsubscribe, gone)

    def _forget(self, kid: str) -> None:
        """Delete a phone's record."""

        def look() -> Literal[NotMade.NOT_MADE] | None:
            return NOT_MADE if any(each.kid == kid for each in self.list()) else None

        change = Change(
            "the phone was removed", "the device knows it still", "list the phones", look, repeat=True
        )
        self._session.run(keymgmt.delete(kid), change)

    def __repr__(self) -> str:
        return f"<Phones of {self.rest.channel.config.name}>"


def _phone(record: KeyRecord) -> Phone:
    return Phone(record.kid, record.label, b64(record.descr[len(_MARK) :]))
