"""``python -m hem_provider.emulator serve …``: what ``hem emulator serve …`` does."""

from __future__ import annotations

import sys

from hem_provider.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["emulator", *sys.argv[1:]]))
