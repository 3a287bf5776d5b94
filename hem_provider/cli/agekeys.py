"""Keys of a device that files are encrypted for, by the names that are typed: ``KEY``, or ``KEY+KEY`` for a
hybrid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from hem_provider.adapters.age.kinds import ML_KEM
from hem_provider.cli.choosing import named_key
from hem_provider.cli.login import logged_in
from hem_provider.cli.statuses import UsageFault
from hem_provider.config import load_config
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemKeyNotFound

__all__ = ["named_keys"]

#: Between the two keys of a hybrid.
_PLUS = "+"
#: Characters of a recipient that messages show.
_SHOWN = 16


@contextmanager
def named_keys(
    names: Sequence[str], *, device: str | None, mobile: bool = False
) -> Iterator[list[tuple[Key, ...]]]:
    """The key of each name, or the two, of which the ML-KEM key comes last; they can be used in the block.

    As they are remembered, where all that is needed is, else the device is asked. ``UsageFault`` for a name
    that is a recipient, ``HemKeyNotFound``, ``HemKeyAmbiguous``, and what a login raises.
    """
    for each in names:
        if each[:4].lower() == "age1":
            raise UsageFault(
                f"{each[:_SHOWN]}… is a public key as age has it: give it with -r to what encrypts; "
                "here keys of the device are named"
            )
    with ExitStack() as stack:
        hem = stack.enter_context(Hem(load_config().device(device)))
        met: list[Hem] = []

        def ask(name: str) -> Key:
            if not met:
                met.append(stack.enter_context(logged_in(device, mobile=mobile)))
            return named_key(met[0], name)

        yield [_keys(each, (lambda name: _remembered(hem, name), ask)) for each in names]


def _remembered(hem: Hem, name: str) -> Key:
    """The only key of this label or KID, if it and its public half are remembered."""
    found = [each for each in hem.keys.recalled() if name in (each.kid, each.label)]
    if len(found) != 1 or found[0].known_public is None:
        raise HemKeyNotFound(name)
    return found[0]


def _keys(name: str, ways: Sequence[Callable[[str], Key]]) -> tuple[Key, ...]:
    """The key of that name, else two whose names are joined by a plus, in the first way that finds."""
    places = [place for place, each in enumerate(name) if each == _PLUS]
    readings = [(name,), *((name[:place], name[place + 1 :]) for place in places)]
    lacking: HemKeyNotFound | None = None
    for find in ways:
        for names in readings:
            try:
                keys = [find(each) for each in names]
            except HemKeyNotFound as error:
                lacking = error
                continue
            return tuple(sorted(keys, key=lambda each: each.type is ML_KEM))
    raise lacking or HemKeyNotFound(name)
