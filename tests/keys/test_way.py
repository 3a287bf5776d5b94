"""The way of an operation, from a key object to the transport: how long it is, and that it goes down only."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path
from types import FrameType

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import hem_provider
from hem_provider.rest.wire import Reply, Request, Transport
from hem_provider.symmetric import HMAC

OURS = str(Path(hem_provider.__file__).parent)
#: From the lowest layer up, as far as an operation passes them.
LAYERS = ("rest", "device", "keys", "symmetric")
#: Functions of ours on the stack when the transport's ``send`` is entered, that one included.
MOST = 8


class Watched:
    """A transport that notes by what way a request came."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.ways: list[list[FrameType]] = []

    def send(self, request: Request) -> Reply:
        frame, way = sys._getframe(1), []
        while frame is not None:
            if frame.f_code.co_filename.startswith(OURS):
                way.append(frame)
            frame = frame.f_back
        self.ways.append(way)
        return self.inner.send(request)

    def close(self) -> None:
        self.inner.close()


def ways(hem, act):
    """The frames of ours below the transport, the nearest first, for each request of ``act``."""
    channel = hem.rest.channel
    if channel.agent is not None:
        transports = channel.agent._transports.get()
        watched = transports[0] = Watched(transports[0])
        act()
        return watched.ways
    carriers = channel._carriers.get()
    watched = carriers._device = Watched(carriers.device())
    try:
        act()
    finally:
        carriers._device = watched.inner
    return watched.ways


def hands_on(function: ast.FunctionDef) -> bool:
    """Whether all that a function does is to call another with its own arguments."""
    body = [
        each
        for each in function.body
        if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr):
        return False
    call = body[0].value
    if not isinstance(call, ast.Call):
        return False
    parameters = [each.arg for each in (*function.args.args, *function.args.kwonlyargs) if each.arg != "self"]
    given = [*call.args, *(each.value for each in call.keywords)]
    return sorted(map(ast.dump, given)) == sorted(ast.dump(ast.Name(each, ast.Load())) for each in parameters)


def source_of(frame: FrameType) -> ast.FunctionDef:
    """The function that a frame runs."""
    code = frame.f_code
    tree = ast.parse(Path(code.co_filename).read_text("utf-8"))
    lines = {
        min([each.lineno, *(one.lineno for one in each.decorator_list)]): each
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef)
    }
    return lines[code.co_firstlineno]  # no lambda: it is in no line of these


@pytest.fixture(params=["its own way", "through the agent"])
def local(request, rig):
    if request.param == "its own way":
        with rig.connect() as hem:
            yield hem
        return
    agent = request.getfixturevalue("fake_agent")
    with hem_provider.connect(agent.url, name=agent.name, agent="always") as hem:
        yield hem


def signing(hem):
    private = hem.keys.create("SECP256R1", label="web", usage={"sign"}).private_key()
    return lambda: private.sign(b"data", ec.ECDSA(hashes.SHA256()))


def signing_by_kid(hem):
    kid = hem.keys.create("ED25519", label="web").kid
    return lambda: hem.sign(kid, b"data", "Ed25519")


def lattice_signing(hem):
    private = hem.keys.create("MLDSA44", label="web").private_key()
    return lambda: private.sign(b"data")


def agreeing(hem):
    private = hem.keys.create("SECP256R1", label="web", usage={"derive"}).private_key()
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    return lambda: private.exchange(ec.ECDH(), peer)


def encrypting(hem):
    kid = hem.keys.create("AES256", label="db").kid
    return lambda: hem.encrypt(kid, b"data", "AES256-GCM")


def decrypting(hem):
    kid = hem.keys.create("AES256", label="db").kid
    sealed = hem.encrypt(kid, b"data", "AES256-GCM")
    return lambda: hem.decrypt(kid, sealed.ciphertext, "AES256-GCM", iv=sealed.iv, tag=sealed.tag)


def authenticating(hem):
    context = HMAC(hem.keys.create("SHA2-256", label="mac"), hashes.SHA256())
    context.update(b"data")
    return lambda: context.copy().finalize()


OPERATIONS = [signing, signing_by_kid, lattice_signing, agreeing, encrypting, decrypting, authenticating]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_passes_few_functions_and_none_that_only_hands_on(local, operation):
    act = operation(local)
    act()  # the login
    ((*way,),) = ways(local, act)
    names = [f"{Path(each.f_code.co_filename).stem}.{each.f_code.co_qualname}" for each in way]
    assert len(way) + 1 <= MOST, names
    assert [each for each in way if hands_on(source_of(each))] == [], names
    layers = [Path(each.f_code.co_filename).relative_to(OURS).parts[0] for each in way]
    assert layers == sorted(layers, key=LAYERS.index), names  # no climb back up


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("def f(self, a, b): return self._g.f(a, b)", True),
        ("def f(self, a, *, b):\n    '''Says.'''\n    return g(a, b=b)", True),
        ("def f(a): g(a)", True),
        ("def f(self, a): return g(a, self)", False),
        ("def f(a, b): return g(a)", False),
        ("def f(a): return g(h(a))", False),
        ("def f(a):\n    check(a)\n    return g(a)", False),
    ],
)
def test_what_only_hands_on_is_recognised(source, answer):
    (function,) = ast.parse(source).body
    assert hands_on(function) is answer


def test_key_objects_are_made_by_every_way_to_connect_and_loaded_when_first_needed():
    program = """
    import sys
    import hem_provider
    assert not {"cryptography", "hem_provider.keys", "hem_provider.device"} & set(sys.modules)
    from hem_provider.device import connect
    assert connect is hem_provider.connect
    hem = connect("https://hem.example")
    assert "hem_provider.keys" not in sys.modules
    from hem_provider.keytypes import parse_attributes
    known = parse_attributes("PKEY,ExDSA,SECP256R1")
    key = hem.keys._listing.new("00" * 16, label="web", descr=b"", attributes=known)
    print(type(key.private_key()).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["HemECPrivateKey"]
