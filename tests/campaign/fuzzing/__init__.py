"""Coverage-guided fuzzing: C harnesses under libFuzzer, Python parsers under atheris.

How it is used: docs/development/fuzzing.md.
"""
