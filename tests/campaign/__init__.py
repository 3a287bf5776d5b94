"""The campaign: what the promises of this project are worth, in figures (``make campaign``).

Each *part* tries one promise as hard as a part can in the time that it is given, and tells an ``Outcome``:
figures, tables, series, and every single thing that went wrong. ``docs/reliability.md`` is drawn from the
outcomes. A short form of each part is among the tests beside this file.
"""
