"""Entry point of the ``hem`` command; only the chosen subcommand's module is loaded."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence

from hem_provider._version import __version__
from hem_provider.errors import HemError

__all__ = ["COMMANDS", "main"]

#: Subcommand → (its module, which has ``add_parser``; its line in the help).
COMMANDS: Mapping[str, tuple[str, str]] = {
    "bench": ("hem_provider.cli.bench", "time your device's operations"),
    "demo": ("hem_provider.cli.demo", "sign files with an emulated device, step by step"),
    "emulator": ("hem_provider.cli.emulator", "run a device in software, for trying and testing"),
    "keyring": ("hem_provider.cli.keyring", "passwords that open only while the HEM is there"),
    "openssl": ("hem_provider.cli.openssl", "where the OpenSSL engine is, and how OpenSSL loads it"),
    "pkcs11": ("hem_provider.cli.pkcs11", "the PKCS#11 module: path, state, p11-kit, self-test"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed (said on standard error), 2 usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(chosen=next((each for each in arguments if not each.startswith("-")), None))
    options = parser.parse_args(arguments)
    try:
        status = options.func(options)
        sys.stdout.flush()
    except HemError as error:
        print(f"hem: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stdout = None  # the reader left; nothing more can be said
        return 1
    return int(status)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hem", description="Use the keys of an Encedo HEM, a remote hardware key store."
    )
    parser.add_argument("--version", action="version", version=f"hem-provider {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        if name == chosen:
            importlib.import_module(module).add_parser(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


if __name__ == "__main__":
    sys.exit(main())
