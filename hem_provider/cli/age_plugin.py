"""The program ``age-plugin-hem``, which age, rage and sops start by its name."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hem_provider.cli import statuses
from hem_provider.cli.programs import PROGRAMS, run

__all__ = ["main"]

_NAME, _FLAG = "age-plugin-hem", "--age-plugin="


def main(argv: Sequence[str] | None = None) -> int:
    """Run one state machine of age's; the exit status: 0 when it came to its end, with whatever result, 1
    when the program that started it does not keep to the protocol, 2 for a state machine that is not known.
    """
    return run(_NAME, argv, _begin)


def _begin(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0].startswith(_FLAG):
        print(PROGRAMS[_NAME].help(_NAME), end="", file=sys.stderr)
        return statuses.USAGE
    return _serve(arguments[0].removeprefix(_FLAG))


def _serve(name: str) -> int:
    from hem_provider.adapters.age.plugin.devices import Devices
    from hem_provider.adapters.age.plugin.identity import unwrap
    from hem_provider.adapters.age.plugin.protocol import Client
    from hem_provider.adapters.age.plugin.recipient import wrap

    machines = {"recipient-v1": wrap, "identity-v1": unwrap}
    if name not in machines:
        raise statuses.UsageFault(
            f"no state machine is called {name!r} here; there are {', '.join(machines)}"
        )
    client = Client(sys.stdin.buffer, sys.stdout.buffer)
    sys.stdout = sys.stderr  # what else is printed is not of the protocol
    with Devices(client) as devices:
        machines[name](client, devices)
    return statuses.DONE


if __name__ == "__main__":
    sys.exit(main())
