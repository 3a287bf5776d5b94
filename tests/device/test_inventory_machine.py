"""``hem.keys`` against a model, while another client changes the device behind its back."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.rig import connected, make_template

from hem_provider.errors import HemUnreachable

labels = st.sampled_from(["web", "mail", "x"])
types = st.sampled_from(["ED25519", "SECP256R1", "AES256"])


@pytest.mark.parametrize("losing", [False, True])
def test_the_inventory_shows_what_the_device_has(template, tmp_path_factory, monkeypatch, losing):
    from support.traffic import LostReply

    class Inventory(RuleBasedStateMachine):
        keys = Bundle("keys")

        def __init__(self):
            super().__init__()
            path = tmp_path_factory.mktemp("machine") / "device.hem"
            self.patch = pytest.MonkeyPatch()
            self.patch.setenv("XDG_CACHE_HOME", str(path.parent / "cache"))
            self.context = connected(self.patch, template, path)
            self.rig = self.context.__enter__()
            self.hem = self.rig.connect()
            self.other = self.rig.connect()
            self.model: dict[str, tuple[str, str, bytes | None]] = {}

        def teardown(self):
            self.context.__exit__(None, None, None)
            self.patch.undo()

        def lose(self, request):
            if losing:
                self.rig.fault(request, LostReply)

        @rule(target=keys, type=types, label=labels, own=st.binary(max_size=4))
        def create(self, type, label, own):
            self.lose("POST /api/keymgmt/create")
            try:
                kid = self.hem.keys.create(type, label=label, application_id=own).kid
            except HemUnreachable:  # the lost answer was a refusal of the token: told, not repeated
                kid = self.hem.keys.create(type, label=label, application_id=own).kid
            assert kid not in self.model
            self.model[kid] = (type, label, own or None)
            return kid

        @rule(target=keys, label=labels)
        def create_elsewhere(self, label):
            kid = self.other.keys.create("ED25519", label=label).kid
            self.model[kid] = ("ED25519", label, None)
            self.hem.keys.refresh()
            return kid

        @rule(kid=consumes(keys))
        def delete(self, kid):
            self.lose("DELETE /api/keymgmt/delete")
            self.hem.keys.delete(kid)
            del self.model[kid]

        @rule(kid=consumes(keys))
        def delete_elsewhere(self, kid):
            self.other.keys.delete(kid)
            del self.model[kid]
            self.hem.keys.refresh()

        @rule(kid=keys, label=labels)
        def rename(self, kid, label):
            self.lose("POST /api/keymgmt/update")
            self.hem.keys.update(kid, label=label)
            type, _, own = self.model[kid]
            self.model[kid] = (type, label, own)

        @rule(kid=keys)
        def get(self, kid):
            key = self.hem.keys.get(kid)
            assert (key.type.name, key.label, key.application_id) == self.model[kid]

        @rule()
        def restart(self):
            self.rig.reboot()

        @rule()
        def start_anew(self):
            self.hem = self.rig.connect()

        @invariant()
        def the_listing_is_the_model(self):
            shown = {each.kid: (each.type.name, each.label, each.application_id) for each in self.hem.keys}
            assert shown == self.model

    run_state_machine_as_test(Inventory, settings=settings(max_examples=15, stateful_step_count=15))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_template(tmp_path_factory.mktemp("hem") / "template.hem", patch)
