"""Files of this user: where they are, and how they are read, replaced and locked.

The only place that knows XDG variables (``places``) and locks of the kernel (``locks``).
"""

from __future__ import annotations

from hem_provider.files.appending import AppendedFile
from hem_provider.files.folders import make_folders, make_private
from hem_provider.files.locks import ByteLock, folder_lock, is_same_file, release_lock, take_lock
from hem_provider.files.places import (
    cache_home,
    config_home,
    data_home,
    home,
    named_path,
    runtime_folder,
    runtime_place,
)
from hem_provider.files.queues import sealed_memory, unconfirmed
from hem_provider.files.reading import open_own, read_entry, read_file, read_own
from hem_provider.files.replacement import LEFT_BEHIND_AFTER, replace_file, replacing, sweep

__all__ = [
    "LEFT_BEHIND_AFTER",
    "AppendedFile",
    "ByteLock",
    "cache_home",
    "config_home",
    "data_home",
    "folder_lock",
    "home",
    "is_same_file",
    "make_folders",
    "make_private",
    "named_path",
    "open_own",
    "read_entry",
    "read_file",
    "read_own",
    "release_lock",
    "replace_file",
    "replacing",
    "runtime_folder",
    "runtime_place",
    "sealed_memory",
    "sweep",
    "take_lock",
    "unconfirmed",
]
