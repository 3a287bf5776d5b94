"""``hem doctor``: the checks, in the order in which trouble is looked for, each by what it needs; what can be
mended; how all of it is told."""
