"""The program ``age-plugin-hem``, which age, rage and sops start by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hem_provider._version import __version__
from hem_provider.cli import statuses, terminal

__all__ = ["main"]

_FLAG = "--age-plugin="
_TOLD = """\
age-plugin-hem is started by age, rage and sops, for identities AGE-PLUGIN-HEM-1...
  hem age identity KEY -o key.txt     make an identity
  age --decrypt -i key.txt FILE       use it
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one state machine of age's; the exit status: 0 when it came to its end, with whatever result, 1
    when the program that started it does not keep to the protocol, 2 for a state machine that is not known.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal.prepare()
    try:
        if arguments == ["--version"]:
            print(f"age-plugin-hem {__version__}")
            return statuses.DONE
        if len(arguments) != 1 or not arguments[0].startswith(_FLAG):
            print(_TOLD, end="", file=sys.stdout if arguments == ["--help"] else sys.stderr)
            return statuses.DONE if arguments == ["--help"] else statuses.USAGE
        return _serve(arguments[0].removeprefix(_FLAG))
    except statuses.ENDINGS as error:
        return statuses.end(error, statuses.Manner())
    except Exception as error:  # a fault of ours
        if os.environ.get(statuses.DEBUG):
            raise
        return statuses.end(error, statuses.Manner())


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
