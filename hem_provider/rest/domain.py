"""The cloud's register of device names: how a device gets its TLS certificate (device API §7.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hem_provider.errors import HemOperationFailed
from hem_provider.rest.agreements import MAX_CERTIFICATE, bundle_or_order
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.fields import Field, Shape, data
from hem_provider.rest.sharedfields import HANDLE

__all__ = ["DomainApi"]

_REGISTER = "/domain/register/{}"
_CHAIN = data(most=MAX_CERTIFICATE)
_BUNDLE = Shape((Field("crt", _CHAIN),))
_ORDERED = Shape((Field("crt", _CHAIN, needed=False), Field("id", HANDLE, needed=False)), bundle_or_order)


class DomainApi(EndpointGroup):
    """Always over verified TLS, without authentication; ``genuine`` proves the device. A refusal is
    ``HemOperationFailed``; a name that is no label of letters, digits and hyphens ``ValueError``."""

    def is_free(self, prefix: str) -> bool:
        """``GET domain/check/{prefix}``: whether nobody has the name."""
        reply, _ = self._channel.cloud("GET", f"/domain/check/{_name(prefix)}")
        if reply.status not in (200, 404):
            raise HemOperationFailed(f"the certificate service does not say (HTTP {reply.status})")
        return reply.status == 404

    def default_bundle(self, genuine: str, *, address: str | None = None) -> Mapping[str, Any]:
        """``POST domain/register/my``: key and certificate for ``my.ence.do``, sealed for the
        device that ``genuine`` names. To be given to its configuration as it is."""
        body = {"genuine": genuine, **({"ip": address} if address else {})}
        reply, answer = self._channel.cloud("POST", "/domain/register/my", answer=_BUNDLE, body=body)
        if reply.status != 200:
            raise HemOperationFailed(f"the certificate service refuses the device (HTTP {reply.status})")
        return answer.raw

    def request(self, prefix: str, body: Mapping[str, Any]) -> Mapping[str, Any] | str:
        """``POST domain/register/{prefix}`` with ``csr``, ``genuine`` and ``ip`` or ``cname``: the
        bundle when it is made at once, else the id to poll ``result`` with."""
        reply, answer = self._channel.cloud(
            "POST", _REGISTER.format(_name(prefix)), answer=_ORDERED, form=_REGISTER, body=body
        )
        if reply.status not in (200, 201):
            raise HemOperationFailed(f"the certificate service refuses {prefix!r} (HTTP {reply.status})")
        return answer.text("id") if answer.optional_data("crt") is None else answer.raw

    def result(self, request_id: str, *, within: float = math.inf) -> Mapping[str, Any] | None:
        """``GET domain/register/{id}``: the bundle, or ``None`` while it is being made. ``within``:
        seconds left."""
        reply, answer = self._channel.cloud(
            "GET", _REGISTER.format(request_id), answer=_BUNDLE, form=_REGISTER, within=within
        )
        if reply.status == 200:
            return answer.raw
        if reply.status in (201, 202, 404):
            return None
        raise HemOperationFailed(f"the certificate was not issued (HTTP {reply.status})")


def _name(prefix: str) -> str:
    if not prefix or not all(each.isascii() and (each.isalnum() or each == "-") for each in prefix):
        raise ValueError(f"name: {prefix!r}; accepted: letters, digits and hyphens of one label")
    return prefix.lower()
