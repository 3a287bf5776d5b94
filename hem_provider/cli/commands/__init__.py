"""The subcommands of ``hem``, a module each: a file that is put here is a command."""
