"""Each operation at each layer: without latency, with the connection kept, and as hardware answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from benchmarks.cryptoki import Cryptoki
from benchmarks.floor import FULL_FLOOR, KEPT, KEPT_FLOOR, Kind
from benchmarks.keyring_cases import keyring_cases
from benchmarks.laboratory import Laboratory, watch
from benchmarks.modules import module_cases, python_cases, signing_case
from benchmarks.requests_script import other_client_case, plain_requests_case
from benchmarks.softhsm import SoftHsm
from hem_provider.cli.built import module_path
from hem_provider.cli.environment import surrounded
from hem_provider.measuring.cases import device_cases, key_cases, signing_cases
from hem_provider.measuring.cipher_cases import cipher_cases
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, interleave
from hem_provider.measuring.subject import KINDS, Subject

__all__ = ["HARDWARE", "OPERATIONS", "OperationTimes"]

OPERATIONS, HARDWARE = "operations", "hardware"
_SIGNING = tuple(name for name in KINDS if name.startswith(("SECP", "ED", "MLDSA")))
#: What is measured on the slow device: a call is a call there, whatever it does.
_FEW = ("SECP256R1", "ED25519")


class OperationTimes:
    """Three devices (closing, keeping, slow) and one module with a slot for each."""

    def __init__(self, folder: Path, softhsm: SoftHsm | None = None, client: Path | None = None) -> None:
        self._client = client
        self._softhsm = softhsm
        self._stack = ExitStack()
        self._folder = folder
        self._labs = {
            "close": Laboratory(folder / "close"),
            "keep": Laboratory(folder / "keep", keep_alive=True),
            "slow": Laboratory(folder / "slow", hardware=True),
        }
        self._subjects: dict[str, Subject] = {}
        self._modules: dict[str, Cryptoki] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for lab in self._labs.values():
                stack.enter_context(lab)
            self._point_module(stack)
            for place, (name, lab) in enumerate(self._labs.items()):
                hem = stack.enter_context(lab.connect())
                kinds = tuple(KINDS) if name == "close" else _FEW
                floor = stack.enter_context(lab.floor())
                self._subjects[name] = stack.enter_context(Subject(hem, floor, kinds))
                self._modules[name] = Cryptoki(module_path(), place)
                self._modules[name].login(lab.passphrase)
            stack.callback(self._modules["close"].close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _point_module(self, stack: ExitStack) -> None:
        # The module reads the configuration of its host, which is this process.
        config = self._folder / "config.toml"
        config.write_text("\n".join(lab.device_table(name, n) for n, (name, lab) in self._all()))
        own = {"HEM_CONFIG": str(config), "XDG_CACHE_HOME": str(self._folder / "cache")}
        stack.enter_context(surrounded(own))
        # python-pkcs11 initialises the module itself and wants to be the first.
        import pkcs11

        pkcs11.lib(str(module_path()))

    def _all(self) -> Iterator[tuple[int, tuple[str, Laboratory]]]:
        return enumerate(self._labs.items())

    def _count(self) -> tuple[int, int]:
        counts = [lab.count() for lab in self._labs.values()]
        return sum(calls for calls, _ in counts), sum(logins for _, logins in counts)

    def measure(self, rounds: int, only: str | None = None) -> list[Figure]:
        """All operations on the device without latency; names that contain ``only``, if it is given."""
        cases = [each for each in self._cases() if only is None or only in each.operation]
        # Rows of one operation stand together, and run one after the other.
        cases = [_settled(each) for each in cases]
        order = {name: place for place, name in enumerate(dict.fromkeys(each.operation for each in cases))}
        cases.sort(key=lambda each: order[each.operation])
        return figures_of(OPERATIONS, interleave(cases, rounds, self._count, watch=watch("operations")))

    def measure_hardware(self, rounds: int) -> list[Figure]:
        """Signing and listing as hardware answers."""
        lab, subject, module = self._labs["slow"], self._subjects["slow"], self._modules["slow"]
        cases = [
            each
            for name, key in subject.keys.items()
            for each in (*signing_cases(subject, key), signing_case(module, name))
            if not each.operation.startswith("verify")
        ]
        return figures_of(HARDWARE, interleave(cases, rounds, lab.count, warm_up=1, watch=watch("hardware")))

    def _cases(self) -> Iterator[Case]:
        lab, subject, module = self._labs["close"], self._subjects["close"], self._modules["close"]
        yield from device_cases(subject)
        another = self._stack.enter_context(lab.connect())
        yield Case(
            "login",
            "Hem, passphrase",
            lambda: another.login(lab.passphrase),
            prepare=another.logout,
            every=5,  # most of it is the derivation of the key from the passphrase
        )
        for name in _SIGNING:
            yield from signing_cases(subject, subject.keys[name])
        yield from self._kept()
        yield from key_cases(subject)
        yield from cipher_cases(subject)
        yield from module_cases(module, subject, lab.passphrase)
        yield from python_cases(str(module_path()), 0)
        yield from keyring_cases(subject, self._folder / "vault")
        yield from self._alternatives(subject)

    def _alternatives(self, subject: Subject) -> Iterator[Case]:
        """What a user could take instead, and the floor of what resumes no session."""
        full = self._stack.enter_context(self._labs["close"].floor(Kind.FULL))
        operation, *_ = signing_cases(Subject(subject.hem, full, ()), subject.keys["SECP256R1"])
        yield replace(operation, layer=FULL_FLOOR, floor=FULL_FLOOR)
        yield plain_requests_case(self._labs["close"], subject)
        if self._client is not None:
            yield other_client_case(self._client, self._labs["close"], subject)
        if self._softhsm is not None:
            yield from self._softhsm.cases()

    def _kept(self) -> Iterator[Case]:
        """The same signature where the device keeps the connection."""
        subject, module = self._subjects["keep"], self._modules["keep"]
        for each in (*signing_cases(subject, subject.keys["SECP256R1"]), signing_case(module, "SECP256R1")):
            if each.operation.startswith("sign"):
                yield Case(each.operation, f"{each.layer}{KEPT}", each.run, floor=KEPT_FLOOR)


def _settled(case: Case) -> Case:
    """A signature once more before the one that is timed, at each layer alike.

    What stands before a row is another device or another library. Without this the first row of a
    device pays for waking it and for code that the processor has forgotten, and its neighbours do not.
    """
    return replace(case, prepare=case.run) if case.operation.startswith("sign ") else case
