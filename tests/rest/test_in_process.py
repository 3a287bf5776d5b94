"""Devices called in the process, found by entry point."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest
from support.calls import send

from hem_provider.device import connect
from hem_provider.errors import HemConfigError, HemConnectionError, HemUnreachable
from hem_provider.installation import install_command
from hem_provider.rest import wsgi
from hem_provider.rest.wire import ConnectionLostError


def plug(monkeypatch, opener):
    point = EntryPoint("emulator", "nowhere:opener", wsgi.GROUP)

    def load(_):
        if isinstance(opener, Exception):
            raise opener
        return opener

    monkeypatch.setattr(EntryPoint, "load", load)
    monkeypatch.setattr(
        wsgi, "entry_points", lambda **wanted: [point] if wanted["name"] == "emulator" else []
    )


class Device:
    """Answers whatever the test wants."""

    closed = False

    def __init__(self, answer):
        self.device = self.cloud = answer

    def close(self):
        self.closed = True


def test_the_emulator_is_found_by_its_entry_point(tmp_path):
    assert [each.value for each in entry_points(group=wsgi.GROUP, name="emulator")]
    with connect(f"emulator:{tmp_path / 'device.hem'}") as hem:
        assert not hem.status().initialized
        assert hem.is_emulator


def test_a_missing_plug_in_names_the_extra_to_install(monkeypatch):
    monkeypatch.setattr(wsgi, "entry_points", lambda **_: [])
    with pytest.raises(HemConfigError, match="needs the extra 'emulator'") as caught:
        connect("emulator:/tmp/x").status()
    assert str(caught.value).endswith(f": {install_command('emulator')}")


def test_a_plug_in_whose_own_needs_are_missing_names_the_extra_and_the_reason(monkeypatch):
    plug(monkeypatch, ImportError("No module named 'Crypto'"))
    with pytest.raises(HemConfigError, match=r"'emulator'.*\(No module named 'Crypto'\)") as caught:
        connect("emulator:/tmp/x").status()
    assert str(caught.value).endswith(f": {install_command('emulator')}")


def test_a_device_that_cannot_be_opened_is_unreachable(monkeypatch):
    def opener(_):
        raise RuntimeError("not a state file")

    plug(monkeypatch, opener)
    with pytest.raises(HemUnreachable, match="not a state file"):
        connect("emulator:/tmp/x").status()


def test_whatever_an_application_does_wrong_is_a_connection_error(monkeypatch):
    def raising(environ, start_response):
        raise KeyError("x")

    def silent(environ, start_response):
        return []

    def odd(environ, start_response):
        start_response("abc", [])
        return [b""]

    for answer in (raising, silent, odd):
        plug(monkeypatch, lambda _, answer=answer: Device(answer))
        with pytest.raises(ConnectionLostError):
            connect("emulator:/tmp/x").status()
    assert issubclass(ConnectionLostError, HemConnectionError)


def test_a_request_arrives_as_from_an_https_server_and_what_is_opened_is_closed(monkeypatch):
    seen = {}

    class Parts(list):
        def close(self):
            seen["closed"] = True

    def answer(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", [("Server", "test/1")])
        return Parts([b'{"a":', b"1}"])

    device = Device(answer)
    plug(monkeypatch, lambda path: seen.update(path=path) or device)
    hem = connect("emulator:/tmp/x y")
    answer = send(hem, "POST", "/api/x/y?z=1", {"b": 2}, "T")
    assert answer.raw == {"a": 1}
    assert seen["path"] == "/tmp/x y"
    assert (seen["wsgi.url_scheme"], seen["REQUEST_METHOD"]) == ("https", "POST")
    assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/api/x/y", "z=1")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("application/json", "7")
    assert (seen["HTTP_AUTHORIZATION"], seen["body"]) == ("Bearer T", b'{"b":2}')
    assert seen["closed"]
    assert hem.rest.channel.server == "test/1"
    hem.close()
    assert device.closed
