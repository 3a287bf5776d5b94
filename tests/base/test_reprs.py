"""Every public object says what it is, and nothing that is secret."""

from __future__ import annotations

import nacl.public

from hem_provider.adapters.keyring import HemKeyring
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.adapters.nacl import Box, PrivateKey, SealedBox, SigningKey


def parts(hem):
    """Everything that is reached from a device by documented names."""
    yield from (hem, hem.keys, hem.admin, hem.audit, hem.certificate, hem.phones, hem.session, hem.operations)
    yield from (hem.rest, hem.rest.broker, hem.rest.domain)


def objects(hem, tmp_path):
    yield from parts(hem)
    signing = hem.keys.create("ED25519", label="s")
    inbox = hem.keys.create("CURVE25519", label="i")
    yield from (signing, signing.private_key(), SigningKey(signing), PrivateKey(inbox))
    peer = nacl.public.PrivateKey.generate()
    yield from (
        Box(PrivateKey(inbox), peer.public_key),
        SealedBox(PrivateKey(inbox)),
        SealedBox(peer.public_key),
    )
    yield hem.keys.create("MLKEM512", label="k").public_key()
    yield from (Vault(tmp_path / "x.vault", lambda _: None), HemKeyring())
    yield hem.config


def test_every_public_object_says_what_it_is(hem, tmp_path):
    seen = list(objects(hem, tmp_path))
    assert len(seen) > 20
    for each in seen:
        said = repr(each)
        assert type(each).__name__ in said, said
        assert " at 0x" not in said, said
        assert "horse" not in said


def test_a_pairing_says_whom_it_is_with(hem, rig):
    pairing = hem.phones.begin()
    assert repr(pairing) == "<Pairing with hem>"
    assert pairing.qr_text not in repr(pairing)
