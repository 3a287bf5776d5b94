"""Coverage-guided fuzzing: C harnesses under libFuzzer, Python parsers under atheris (docs/development/fuzzing.md)."""
