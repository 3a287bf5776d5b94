"""Finding one of many keys by its label, against a model that others change: never a key that has not got
the label, and never one of two where that could be seen."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from support.rig import connected, make_template

from benchmarks.filling import label, records
from hem_provider.errors import HemKeyAmbiguous, HemKeyNotFound

COUNT = 40
labels = st.sampled_from([label(20), "other"])
#: In the order of making; few, so that the same keys are met again.
places = st.sampled_from([20, 20, 5, -1])
machines = st.sampled_from(["elsewhere", "elsewhere", "here"])


def test_a_label_never_leads_to_another_key(template, tmp_path_factory):
    class ManyKeys(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            folder = tmp_path_factory.mktemp("machine")
            self.patch = pytest.MonkeyPatch()
            self.homes = {name: str(folder / name) for name in ("here", "elsewhere")}
            self.at("here")
            self.context = connected(self.patch, template, folder / "device.hem")
            self.rig = self.context.__enter__()

        def at(self, machine):
            self.patch.setenv("XDG_CACHE_HOME", self.homes[machine])

        @initialize()
        def fill(self):
            with self.rig.device.model.transaction():
                self.rig.device.model.repository.fill(records(COUNT, 1))
            self.labels = {each.kid: each.label for each in self.rig.connect().keys}
            self.moved = set()  # keys that somebody elsewhere gave their label since this machine listed all

        def teardown(self):
            self.context.__exit__(None, None, None)
            self.patch.undo()

        @rule(machine=machines, name=labels)
        def create(self, machine, name):
            self.at(machine)
            self.labels[self.rig.connect().keys.create("ED25519", label=name).kid] = name
            self.at("here")

        @rule(machine=machines, place=places, name=labels)
        def rename(self, machine, place, name):
            self.at(machine)
            kid = list(self.labels)[place]
            self.rig.connect().keys.update(kid, label=name)
            self.labels[kid] = name
            if machine == "elsewhere":
                self.moved.add(kid)
            self.at("here")

        @rule(machine=machines, place=places)
        def delete(self, machine, place):
            self.at(machine)
            kid = list(self.labels)[place]
            self.rig.connect().keys.delete(kid)
            del self.labels[kid]
            self.at("here")

        @rule()
        def list_all(self):
            assert {each.kid: each.label for each in self.rig.connect().keys} == self.labels
            self.moved.clear()

        @rule(lists=st.booleans())
        def find(self, lists):
            having = {kid for kid, each in self.labels.items() if each == label(20)}
            hem = self.rig.connect()
            if lists:
                hem.session.bearer(["keymgmt:list"])
            found, told = [], ""
            try:
                found.append(hem.keys.find(label=label(20)))
            except HemKeyNotFound:
                pass
            except HemKeyAmbiguous as error:
                told = str(error)
            if told:
                assert len(having) > 1
                assert set(told.rpartition(": ")[2].split(", ")) <= having
            elif found:
                assert {found[0].kid} <= having <= {found[0].kid} | self.moved
                assert found[0].label == label(20)
            else:
                assert not having

    run_state_machine_as_test(ManyKeys, settings=settings(max_examples=30, stateful_step_count=12))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_template(tmp_path_factory.mktemp("hem") / "template.hem", patch)
