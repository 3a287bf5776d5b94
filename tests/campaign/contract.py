"""The emulated device and its published document, held against each other by schemathesis over TLS.

The document is fetched from the device, as a stranger's tool does it. For each operation requests are made
that the document allows, and others that it does not; with a token of the right scope, of another, a spoilt
one and none; over TLS and a few in the clear; on a device in use and in each of the states that refuse. Every
answer must have a status and a body that the document declares, within seconds. Then chains: keys that are
made are used by way of the document's links.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from support.contract import Contract
from support.contract import declared as told

from campaign.outcome import Effort, Figure, Outcome, Table
from hem_provider.emulator import EmulatedDevice, control, setup
from hem_provider.emulator.openapi import PUBLISHED
from hem_provider.emulator.process import ServedEmulator

__all__ = ["Findings", "Subject", "Trial", "chains", "edges", "fetch", "run", "try_all"]

_TITLE = "The API as a contract"
_WHAT = (
    "The emulated device and the OpenAPI document that it publishes, tried by schemathesis over TLS 1.3: "
    "what the document allows and what it does not, with good, foreign, spoilt and no tokens, in every state "
    "that refuses."
)
#: For each operation in a whole campaign, and of these in each state that refuses.
_CASES = 200
_REFUSED = 10
_CHAINS = 400
_PATIENCE = 10.0
_KINDS = ("SECP256R1", "ED25519", "CURVE25519", "SHA2-256", "AES256", "MLKEM768", "MLDSA44")
#: Uploads that the device does not like end without an answer (device API §16).
_UNANSWERED = ("upload_fw", "upload_ui")
_FILES = ('filename="a.bin"', 'filename="a.hex"', 'filename="a.tar"', 'filename="a.txt"')
_QUIET = settings(
    database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@functools.cache
def _secret(passphrase: str, eid: str) -> bytes:
    """Derived once: it is slow."""
    return setup.derive_private(passphrase, eid)


@dataclass(slots=True)
class Findings:
    """What came: operation → how many of each status; and everything that was wrong, each kind once."""

    cases: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    tried: set[str] = field(default_factory=set)
    unanswered: int = 0
    slowest: float = 0.0
    chained: Counter[str] = field(default_factory=Counter)

    def wrong(self, kind: str, text: str) -> None:
        """One more of a kind; the first of each operation is kept in words."""
        self.kinds[kind] += 1
        self.failures.setdefault(text.partition(" at ")[0], f"{kind}: {text}")


class Subject:
    """A served device with a key of each kind, brought back into the state it had whenever it was changed."""

    def __init__(self, served: ServedEmulator, *, fresh: bool = False) -> None:
        self.served, self.fresh = served, fresh
        self.device = EmulatedDevice(served.state)
        self.kids: list[str] = []
        self._tokens: dict[str, str] = {}
        self._secret = b""
        self._mark: tuple[object, ...] = ()
        self._begin()

    def _begin(self) -> None:
        if self.fresh:
            self._mark = self._state()
            return
        eid = self._get("/api/auth/token")["eid"]
        self._secret = _secret(self.served.passphrase, eid)
        self.kids = [self._make(kind) for kind in _KINDS]
        self._mark = self._state()

    def _get(self, path: str) -> Any:
        from hem_provider.emulator.wsgiclient import call

        return call(self.device.device, "GET", path).json()

    def _make(self, kind: str) -> str:
        from hem_provider.emulator.wsgiclient import call

        mode = {"mode": "ECDH,ExDSA"} if kind.startswith("SECP") else {}
        body = {"label": "contract", "type": kind, **mode}
        made = call(self.device.device, "POST", "/api/keymgmt/create", body, token=self.token("keymgmt:gen"))
        return str(made.json()["kid"])

    def _state(self) -> tuple[object, ...]:
        model = self.device.model
        with model.transaction():
            config = model.config
            return (
                model.boot.number, model.boot.rtc_set, model.boot.fls, model.state.powered,
                model.state.bricked,
                config and (config.user_key, config.instance_id, config.dosprot, config.origin),
            )  # fmt: skip

    def heal(self) -> None:
        """As it was before it was restarted, switched off, wiped or set otherwise."""
        if self._state() == self._mark:
            return
        self._tokens.clear()
        self.device.power_on()
        with self.device.model.transaction():
            wiped = self.device.model.config is None
            self.device.model.change_boot(fls=0)
        if self.fresh:
            self._begin()
            return
        if wiped:
            setup.initialise(
                self.device, passphrase=self.served.passphrase, admin_passphrase=self.served.admin_passphrase
            )
        else:
            setup.check_in(self.device)
        with self.device.model.transaction():
            state = self.device.model.state
            config = replace(state.config, dosprot=0, origin="*")
            self.device.model.state = replace(state, config=config)
        self._begin()

    def token(self, scope: str) -> str:
        """A token of this scope, made once."""
        if scope not in self._tokens:
            self._tokens[scope] = setup.log_in(self.device, self._secret, scope)
        return self._tokens[scope]

    @contextlib.contextmanager
    def state(self, name: str) -> Iterator[None]:
        """The device in a state that refuses, for a while."""
        model = self.device.model
        if name == "fail state":
            with model.transaction():
                model.change_boot(fls=2)
        elif name == "clock not set":
            control.run(self.device, "fault", {"name": "clock-unset"})
        elif name == "installing":
            control.run(self.device, "fault", {"name": "install-busy"})
        try:
            yield
        finally:
            if name == "installing":
                control.run(self.device, "clear", {})
            self.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()


def fetch(served: ServedEmulator) -> dict[str, Any]:
    """The document, from the device itself."""
    answer = requests.get(served.https + PUBLISHED, verify=str(served.ca_file), timeout=_PATIENCE)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


class Trial:
    """Requests to one subject, their answers held against one document."""

    def __init__(self, subject: Subject, document: Mapping[str, Any], findings: Findings) -> None:
        from schemathesis import openapi

        self.subject, self.findings = subject, findings
        self.contract = Contract(document)
        self.schema = openapi.from_dict(dict(document))
        self.session = requests.Session()
        self.session.trust_env = False
        self.authority = str(subject.served.ca_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def operations(self) -> list[Any]:
        """Of the document, as schemathesis reads them."""
        return [result.ok() for result in self.schema.get_all_operations()]

    def send(self, case: Any, *, secure: bool = True, token: str | None = None) -> requests.Response | None:
        """One request; ``None`` where no answer came."""
        name = case.operation.definition.raw["operationId"]
        self.findings.tried.add(name)
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        base = self.subject.served.https if secure else self.subject.served.http
        begun = time.monotonic()
        try:
            response = case.call(
                base_url=base, session=self.session, verify=self.authority, headers=headers, timeout=_PATIENCE
            )
        except requests.Timeout:
            self.findings.wrong("hang", f"{name} at {case.formatted_path}")
            return None
        except requests.ConnectionError as error:
            if name.endswith(_UNANSWERED):
                self.findings.unanswered += 1
            else:
                self.findings.wrong("no answer", f"{name} at {case.formatted_path}: {error}")
            return None
        finally:
            self.findings.slowest = max(self.findings.slowest, time.monotonic() - begun)
        self.judge(case, response, name)
        return response

    def judge(self, case: Any, response: Any, name: str) -> None:
        """What the document does not say of an answer."""
        status, body = response.status_code, response.content
        self.findings.cases[name, status] += 1
        content_type = response.headers["content-type"]
        content_type = content_type[0] if isinstance(content_type, list) else content_type
        path = case.formatted_path
        if 500 <= status < 600:  # numbers beyond are what Q4 is about, and declared
            self.findings.wrong("server error", f"{name} {status} at {path}")
        operation = self.contract.operation(case.method, path)
        if operation is None or operation["operationId"] != name:
            return  # what was drawn for a part of the path has made it another one
        for each in self.contract.problems(case.method, path, status, content_type, body):
            kind = "undeclared status" if each.endswith("is not declared") else "other than declared"
            self.findings.wrong(kind, f"{each} at {path}")
        self._by_schemathesis(case, response)

    def _by_schemathesis(self, case: Any, response: Any) -> None:
        from schemathesis.core.failures import FailureGroup
        from schemathesis.specs.openapi import checks as openapi

        wanted = [
            openapi.status_code_conformance,
            openapi.content_type_conformance,
            openapi.response_headers_conformance,
        ]
        if response.content:  # an empty body that may be is told by the contract
            wanted.append(openapi.response_schema_conformance)
        try:
            case.validate_response(response, checks=wanted)
        except FailureGroup as group:
            for each in group.exceptions:
                self.findings.wrong("schemathesis", f"{each.title} at {case.operation.label}: {each.message}")


def _scopes(case: Any) -> list[str]:
    """What fits the operation; a key's scope is that of the key that is named."""
    named = case.path_parameters.get("kid") if case.path_parameters else None
    if isinstance(case.body, dict):
        named = case.body.get("kid", named)
    kid = named.lower() if isinstance(named, str) and len(named) == 32 else "0" * 32
    return [
        scope.replace("{kid}", kid)
        for alternative in case.operation.definition.raw.get("security", ())
        for scope in alternative.get("bearer", ())
    ] or ["keymgmt:list"]


def _prepared(case: Any, subject: Subject, chance: random.Random) -> Any:
    """With the device's own key ids where there are any, and uploads named as the device wants them."""
    if subject.kids:
        for place in (case.path_parameters, case.body):
            for name in ("kid", "ext_kid"):
                if isinstance(place, dict) and name in place and chance.random() < 0.75:
                    place[name] = chance.choice(subject.kids)
    if case.operation.label.rpartition("/")[2] in _UNANSWERED and chance.random() < 0.8:
        case.headers["Content-Disposition"] = chance.choice(_FILES)
    return case


def _token(case: Any, subject: Subject, chance: random.Random) -> str | None:
    draw = chance.random()
    if draw < 0.1 or subject.fresh:
        return None
    if draw < 0.15:
        return "e30.e30.AAAA"
    if draw < 0.25:
        return subject.token("keymgmt:search")
    scope = chance.choice(_scopes(case))
    if scope.startswith("storage:disk"):
        scope += chance.choice(("0", "1", "0:rw", "9"))
    return subject.token(scope)


def try_all(trial: Trial, cases: int, chance: random.Random, state: str = "in use") -> None:
    """Each operation ``cases`` times, in one state of the device."""
    from schemathesis import GenerationMode

    for operation in trial.operations():
        modes = list(GenerationMode) if _can_be_wrong(operation) else [GenerationMode.POSITIVE]
        modes = modes if cases > 1 else [chance.choice(modes)]
        drawn = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))

        @seed(chance.randrange(1 << 32))
        @settings(_QUIET, max_examples=cases)
        @given(case=drawn)
        def one(case: Any) -> None:
            _prepared(case, trial.subject, chance)
            token = _token(case, trial.subject, chance)  # before a state that gives none
            with trial.subject.state(state):
                trial.send(case, secure=chance.random() < 0.9, token=token)

        _quietly(one)


#: What stands in a path.
_PLACES = {"offset": "0", "count": "1", "id": "00000000"}
_FOREIGN = "https://foreign.example"


def edges(trial: Trial) -> None:
    """Each operation with one thing wrong, for which there is one right answer."""
    subject = trial.subject
    model = subject.device.model
    with model.transaction():
        model.state = replace(model.state, config=replace(model.config, origin="https://own.example"))
    for operation in trial.operations():
        places = {**_PLACES, "kid": subject.kids[0]}
        names = re.findall(r"{(\w+)}", operation.path)
        path = {name: places[name] for name in names}
        for wanted, plain, headers, body in _slips(operation):
            case = operation.Case(path_parameters=path)
            url = (subject.served.http if plain else subject.served.https) + case.formatted_path
            answer = trial.session.request(
                operation.method.upper(),
                url,
                headers=headers,
                data=body,
                verify=trial.authority,
                timeout=_PATIENCE,
            )
            trial.findings.tried.add(operation.definition.raw["operationId"])
            trial.judge(case, answer, operation.definition.raw["operationId"])
            if answer.status_code != wanted:
                text = f"{operation.label}: {answer.status_code} and not {wanted} at {headers or 'no header'}"
                trial.findings.wrong("other than declared", text)
    subject.heal()


def _slips(operation: Any) -> Iterator[tuple[int, bool, dict[str, str], bytes | None]]:
    """Status, whether over plain HTTP, headers and body of each slip."""
    declared = operation.definition.raw["responses"]
    post = operation.method.lower() == "post"
    some = b"{}" if post else None
    yield 412, False, {"Origin": _FOREIGN}, some
    yield 401, False, {"Authorization": "Bearer e30.e30.AAAA"}, some
    if post:
        yield 411, False, {}, None
    if "application/json" in operation.definition.raw.get("requestBody", {}).get("content", {}):
        yield 413, False, {}, b'{"x":"' + b"x" * 7300 + b'"}'
    if operation.path.startswith(("/api/keymgmt/", "/api/crypto/")):
        yield 418 if "418" in declared else 409, True, {}, some


def chains(trial: Trial, count: int, chance: random.Random) -> None:
    """``count`` chains of requests by the document's links, each with the tokens that it needs."""
    from schemathesis.specs.openapi.stateful import OpenAPIStateMachine  # noqa: F401 - what is made below

    machine = trial.schema.as_state_machine()

    class Chained(machine):  # type: ignore[valid-type, misc]
        def call(self, case: Any, **_: Any) -> Any:
            return super().call(case, **self.get_call_kwargs(case))

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            token = _token(case, trial.subject, chance)
            headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
            return {
                "base_url": trial.subject.served.https, "session": trial.session, "headers": headers,
                "verify": trial.authority, "timeout": _PATIENCE,
            }  # fmt: skip

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            name = case.operation.definition.raw["operationId"]
            trial.findings.chained[name] += 1
            trial.judge(case, response, name)

        def after_call(self, response: Any, case: Any) -> None:  # noqa: ARG002 - as it is called
            trial.subject.heal()

    options = settings(_QUIET, max_examples=count, stateful_step_count=8)
    _quietly(lambda: Chained.run(settings=options))


def _can_be_wrong(operation: Any) -> bool:
    """Whether there is anything that a request may have otherwise than the document allows."""
    raw = operation.definition.raw
    return bool(raw.get("parameters")) or "application/json" in raw.get("requestBody", {}).get("content", {})


def _quietly(run: Callable[[], None]) -> None:
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    run()


#: Of a device in use; a fresh one is another.
_STATES = ("fail state", "clock not set", "installing")


def run(effort: Effort) -> Outcome:
    """Everything, on a device in use and on a fresh one."""
    findings, chance = Findings(), random.Random(effort.seed)  # noqa: S311
    declared: dict[str, set[int]] = {}
    for fresh in (True, False):
        folder = effort.folder / ("fresh" if fresh else "used")
        folder.mkdir()
        with ServedEmulator(folder, init=not fresh, arguments=("--openapi",)) as served:
            document = fetch(served)
            declared.update(_declared(document))
            with Subject(served, fresh=fresh) as subject, Trial(subject, document, findings) as trial:
                _try(trial, effort, chance)
        if "Traceback" in (folder / "emulator.err").read_text("utf-8"):
            findings.wrong("server error", f"a traceback at {folder / 'emulator.err'}")
    return _outcome(findings, declared)


def _try(trial: Trial, effort: Effort, chance: random.Random) -> None:
    few = effort.times(_REFUSED)
    if trial.subject.fresh:
        if effort.share > _TINY:
            try_all(trial, few, chance)
        return
    try_all(trial, effort.times(_CASES), chance)
    chains(trial, effort.times(_CHAINS, least=2), chance)
    if effort.share > _TINY:
        edges(trial)
    for state in _STATES if effort.share > _TINY else ():
        try_all(trial, few, chance, state)


#: Up to this share, the states that refuse are left out.
_TINY = 0.01


def _declared(document: Mapping[str, Any]) -> dict[str, set[int]]:
    return {
        operation["operationId"]: set(told(operation))
        for item in document["paths"].values()
        for operation in item.values()
    }


def _outcome(findings: Findings, declared: Mapping[str, set[int]]) -> Outcome:
    pairs = {(name, status) for name, statuses in declared.items() for status in statuses}
    seen = pairs & set(findings.cases)
    kinds, slowest = findings.kinds, findings.slowest
    figures = [
        Figure("operations of the document", len(declared)),
        Figure(
            "operations tried",
            len(findings.tried),
            "",
            f"all {len(declared)}",
            kept=findings.tried == set(declared),
        ),
        Figure("requests", sum(findings.cases.values())),
        Figure("of these in chains by links", sum(findings.chained.values())),
        *(_none(name, kinds[kind]) for name, kind in _PROMISES.items()),
        Figure("slowest answer", round(slowest, 2), "s", "below 10 s", kept=slowest < _PATIENCE),
        Figure("uploads that ended without an answer, as the device does it", findings.unanswered),
        Figure("declared statuses seen", round(100 * len(seen) / len(pairs), 1), "%"),
    ]
    rows = [_row(name, statuses, findings.cases) for name, statuses in sorted(declared.items())]
    table = Table("By operation", ("operation", "requests", "answers", "declared, and not seen"), rows)
    return Outcome("contract", _TITLE, _WHAT, figures, [table], failures=list(findings.failures.values()))


_PROMISES = {
    "statuses 500 to 599": "server error",
    "statuses that are not declared": "undeclared status",
    "bodies or types other than declared": "other than declared",
    "answers that schemathesis objects to": "schemathesis",
    "requests that were not answered within 10 s": "hang",
    "connections that ended without an answer": "no answer",
}


def _none(name: str, count: int) -> Figure:
    return Figure(name, count, "", "0", kept=count == 0)


def _row(name: str, statuses: set[int], cases: Counter[tuple[str, int]]) -> tuple[str, str, str, str]:
    came = {status: count for (each, status), count in sorted(cases.items()) if each == name}
    answers = ", ".join(f"{status}: {count}" for status, count in came.items())
    missed = ", ".join(map(str, sorted(statuses - set(came))))
    return name, str(sum(came.values())), answers, missed or "–"
