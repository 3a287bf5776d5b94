"""The way of ``C_Sign``, from the C layer's call into Python to the transport: frames on the stack.

Every frame costs time in each signature and is a place to read for whoever follows one. A change that
makes the way longer says so here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI
from hem_pkcs11.bridge import Bridge
from hem_pkcs11.constants import CKM, CKR
from hem_pkcs11.values import Mechanism

from hem_provider.config import Config, DeviceConfig
from hem_provider.rest.unixsocket import UnixTransport
from hem_provider.rest.wsgi import WsgiTransport

ROOT = Path(__file__).parents[2]
#: From below ``Bridge.dispatch`` to ``Hem.sign``: serve, whole, sign, finish, _signature.
MOST_IN_MODULE = 5
#: From below ``Bridge.dispatch`` to the transport's ``send``, in module and device layer together.
MOST = 11


def frames_of_ours() -> list[str]:
    """``file:function`` of the stack below ``dispatch``, from the outside in; without this file."""
    found: list[str] = []
    frame: Any = sys._getframe(2)  # who called ``send``
    while frame.f_code.co_name != "dispatch":
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT / "shim") or path.is_relative_to(ROOT / "hem_provider"):
            found.append(f"{path.relative_to(ROOT)}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found[::-1]


@pytest.fixture(params=["its own way", "through the agent"])
def reached(request: Any) -> Iterator[tuple[Any, Any]]:
    """An initialised module, and the transport that it uses."""
    if request.param == "its own way":
        yield request.getfixturevalue("device_core"), WsgiTransport
        return
    agent = request.getfixturevalue("fake_agent")
    device = request.getfixturevalue("make_device_core")(Path("none"))
    device.config = Config(devices=(DeviceConfig(url=agent.url, name=agent.name, agent="always"),))
    device.ok("C_Initialize", None)
    yield device, UnixTransport
    device.ok("C_Finalize", False)


@pytest.fixture
def way(reached: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The frames of a ``C_Sign`` by the bridge at the moment when its request is sent."""
    device, transport = reached
    session = device.user_session()
    _, key = device.pair(session)
    device.sign(session, key, b"first, so that login and public key are there")
    device.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), key)
    ffi = FFI()
    signature, size = ffi.new("unsigned char[64]"), ffi.new("unsigned long *", 64)
    message = ffi.from_buffer(b"message")
    words = [
        session,
        *(int(ffi.cast("uintptr_t", message)), len(message)),
        *(int(ffi.cast("uintptr_t", each)) for each in (signature, size)),
    ]
    sent: list[list[str]] = []
    real = transport.send

    def send(self: Any, request: Any) -> Any:
        sent.append(frames_of_ours())
        return real(self, request)

    monkeypatch.setattr(transport, "send", send)
    rv = [int(CKR.GENERAL_ERROR)]
    name = ffi.new("char[]", b"C_Sign")
    Bridge(ffi, device.module).dispatch(rv, name, words)
    assert rv == [CKR.OK]
    assert any(ffi.buffer(signature)[:])
    (frames,) = sent
    return frames


def test_a_signature_reaches_the_device_layer_in_few_steps(way: list[str]) -> None:
    in_module = [each for each in way if each.startswith("shim/")]
    assert len(in_module) <= MOST_IN_MODULE, in_module
    assert way[: len(in_module)] == in_module  # and does not come back up


def test_a_signature_reaches_the_transport_in_few_steps(way: list[str]) -> None:
    assert len(way) <= MOST, way
