"""``hem sign`` and ``hem verify``: ``making`` and ``checking``; ``formats`` and ``verifiers`` are tables."""
