"""The recipes for several devices, run as they stand on two of them, one of which then dies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import jwt
import pytest
from support.pages import FILE, run_page
from support.tokenqueue import configure, lacking, make_keys, makers_of, token_queue
from support.twodevices import two_devices

from tools.servers import free_port

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.fixture
def two(tmp_path):
    with two_devices(tmp_path) as both:
        yield both


def ask(port, path, claims=None):
    data = None if claims is None else json.dumps(claims).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=60) as answer:
        return json.load(answer)


def test_a_token_service_survives_one_of_its_devices(two, tmp_path):
    east, west, reader = two
    page = RECIPES / "jwt-service.md"
    run_page(page, environment=reader, folder=tmp_path)
    make_keys({"east": east, "west": west})  # as the page makes them, and deletes them at its end
    port = free_port()
    [(_, program)] = FILE.findall(page.read_text())
    (tmp_path / "own.py").write_text(program.replace("8443", str(port)))
    with subprocess.Popen(
        [sys.executable, "own.py"], cwd=tmp_path, env=reader, stderr=subprocess.PIPE
    ) as service:
        try:
            published = _when_ready(port)
            assert len(_makers(port, published)) == 2
            east.kill()
            makers = _makers(port, published)
            assert len(makers) == 1
            assert sorted(ask(port, "/health").values()) == [False, True]
            assert len(ask(port, "/jwks.json")["keys"]) == 2  # its tokens are verified all the same
        finally:
            service.terminate()


def _when_ready(port):
    ends = time.monotonic() + 60
    while True:
        try:
            return jwt.PyJWKSet.from_dict(ask(port, "/jwks.json"))
        except OSError:
            assert time.monotonic() < ends
            time.sleep(0.1)


def _makers(port, published):
    """Who signed some tokens, each of which is verified."""
    makers = set()
    for number in range(8):
        token = ask(port, "/token", {"sub": f"ada {number}"})["token"]
        kid = jwt.get_unverified_header(token)["kid"]
        assert jwt.decode(token, published[kid], algorithms=["ES256"])["sub"] == f"ada {number}"
        makers.add(kid)
    return makers


needs_queue = pytest.mark.skipif(lacking() is not None, reason=f"not run: {lacking()} is missing")


@needs_queue
def test_the_page_of_the_queue_runs_as_printed(two, tmp_path):
    _, _, reader = two
    run_page(RECIPES / "jwt-queue.md", environment=reader, folder=tmp_path)


@needs_queue
@pytest.mark.timeout(400)
@pytest.mark.long  # Redis hands a dead worker's jobs on when it looks, which takes minutes
def test_no_job_is_lost_with_a_worker_that_is_killed_in_the_middle(two, tmp_path):
    east, west, reader = two
    published = make_keys({"east": east, "west": west})
    with token_queue(tmp_path, reader, again=3) as queue:
        doomed, _ = (
            queue.worker(name, configure(tmp_path / f"{name}.toml", {name: device}), 4)
            for name, device in (("east", east), ("west", west))
        )
        with queue.asking(24, 300) as coming:
            tokens = [next(coming)[0] for _ in range(6)]
            doomed.kill()
            tokens += [token for token, _ in coming]
    makers = makers_of(tokens, published)
    assert len(set(tokens)) == 24
    assert len(set(makers)) == 2
    signed = sum(call["path"].endswith("exdsa/sign") for each in (east, west) for call in each.calls())
    assert signed >= 24
