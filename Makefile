# The commands of this project; each sets up what it needs first. "make" alone shows them.
#   make demo        sign files with keys that live in an (emulated) HEM, step by step
#   make test        every fast test, with linting, types and layers
#   make coverage    the same, traced, with a floor;   make test-long  longer campaigns;   make test-asan  the C layer under sanitizers
#   make lint        what "make test" checks first;   make audit  known weaknesses of packages
#   make campaign    what the promises are worth: faults, kills, fuzz, soak …; PARTS='faults kills'
#   make soak        a day of a device in MINUTES=60, under mixed load
#   make fuzz        fuzzers for SECONDS=900 (clang, atheris); REPEAT='TARGET FILE' runs one input again
#   make bench       every figure;       make bench-gate whether one has become worse
#   make docs        reference, manual pages, pictures and the site anew;   make docs-look  the site in a browser, with pictures of it
#   make story       the story of README.md, as its readers go through it, in bare roots of Debian 12 and 13 (as root)
#   make deb         Debian packages, built and tried in bare roots;    make test-systems  other Debians (both as root)
#   make release   a version: sources, wheels, packages, sums, the tag;   make wheels  the first two alone
#   make setup       what all of them need, in .venv;    make clean  removes it again
# PYTHON=… chooses the interpreter (3.11 or newer with a shared libpython).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
EXTRAS := dev
MODULE := shim/hem_pkcs11/libhem_pkcs11.so
ENGINE := shim/hem_pkcs11/libhem_engine.so

# Somebody new, who wants the demo alone, does not wait for what only development needs.
ifeq ($(MAKECMDGOALS)$(wildcard $(READY)),demo)
READY  := $(VENV)/.ready-for-demo
EXTRAS := agent,demo,keyring
endif

# An interpreter given by name that is not the one in .venv: make .venv anew.
ifneq ($(origin PYTHON),file)
WANTED := $(shell "$(PYTHON)" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)
ifneq ($(WANTED),$(shell cat $(VENV)/.interpreter 2>/dev/null))
$(READY): again
endif
endif

.PHONY: help setup tools demo test coverage test-long test-asan test-systems story lint checks audit campaign soak fuzz fuzzers bench bench-gate docs docs-look wheels deb release clean again
.DEFAULT_GOAL := help
help:
	@sed -n 's/^#   //p' Makefile

again:

setup: $(READY) $(MODULE) $(ENGINE)

$(READY): pyproject.toml .ci/setup .ci/packages .ci/debian-packages
	@sh .ci/setup "$(PYTHON)" "$(VENV)" "$(EXTRAS)"
	@touch $@

$(MODULE): $(READY) shim/build_module.py $(wildcard shim/src/*)
	@$(BIN)/python shim/build_module.py --in-place
	@touch $@

$(ENGINE): $(READY) shim/build_module.py $(wildcard shim/openssl/*) $(wildcard shim/src/*.h)
	@$(BIN)/python shim/openssl/build_engine.py --in-place
	@[ ! -e $@ ] || touch $@ # OpenSSL 4 has no engines

demo: setup
	@$(BIN)/hem demo

lint: checks audit

checks: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	env PYTHONPATH=shim $(BIN)/lint-imports
	$(BIN)/python tools/check_docstrings.py

# Known weaknesses of the packages that run; at most 20 s, and no fault where there is no network.
audit: setup
	$(BIN)/python tools/audit.py

# The tools that the module and the engine are tried in.
tools:
	@command -v dpkg-query >/dev/null || exit 0; sh .ci/packages $$(grep -v '^#' .ci/debian-packages-test)

# What became known of a package overnight is told, and fails "make lint", not the tests of an unchanged commit.
test: checks tools
	-@$(BIN)/python tools/audit.py
	$(BIN)/python -m pytest -n 2

# The same, half as long again: which lines and branches the tests pass, with a floor. See tools/coverage_floor.py.
coverage: setup tools
	$(BIN)/python -m pytest -p tools.coverage_floor -n 2

test-long: setup tools
	HYPOTHESIS_PROFILE=search $(BIN)/pytest -m long --timeout 3600

# The C layer with AddressSanitizer and UndefinedBehaviorSanitizer; see tools/sanitized_tests.py.
test-asan: setup tools
	$(BIN)/python tools/sanitized_tests.py

# make test-systems SYSTEMS='trixie sid': these alone. The table stands in docs/platforms.md.
test-systems: setup
	$(BIN)/python -m tools.test_systems $(SYSTEMS) --publish

# make story RELEASES=trixie: this alone. The table stands in docs/platforms.md.
story: setup
	$(BIN)/python -m tools.try_story $(RELEASES) --publish

# make deb RELEASES=trixie: this alone. They lie in dist/.
deb: setup
	$(BIN)/python -m tools.make_deb $(RELEASES)

# PARTS='faults kills': these alone; SHARE=0.1: a tenth of the effort. The page is docs/reliability.md.
SHARE ?= 1
campaign: setup tools fuzzers
	env PYTHONPATH=tests:shim:. $(BIN)/python -m campaign $(PARTS) --share $(SHARE) --publish

MINUTES ?= 60
soak: setup tools
	env PYTHONPATH=tests:shim:. $(BIN)/python -m campaign soak --share $$($(BIN)/python -c "print($(MINUTES) / 60)")

# TARGETS='entry vault': these alone; OPTIONS=--renew keeps what was found. See docs/development/fuzzing.md.
SECONDS ?= 900
fuzz: setup fuzzers
	env PYTHONPATH=tests:shim:. $(BIN)/python -m campaign.fuzzing $(TARGETS) --seconds $(SECONDS) $(OPTIONS) $(if $(REPEAT),--repeat $(REPEAT))

# clang with libFuzzer, and atheris where it has a wheel for this Python; what is missing is told, and left out.
fuzzers: $(READY)
	-@command -v dpkg-query >/dev/null && sh .ci/packages $$(grep -v '^#' .ci/debian-packages-fuzz)
	-@env PYTHONPATH=tests:shim:. $(BIN)/python -m campaign.fuzzing.atheris_wheel

bench: setup
	@$(BIN)/python -m benchmarks

bench-gate: setup
	@$(BIN)/python -m benchmarks --gate

# What is written by the code itself; build/man1 has the pages that a wheel brings as "man hem", build/site/VERSION
# all pages as a site, made without a network: open its index.html.
docs: setup
	$(BIN)/python tools/make_reference.py
	$(BIN)/python tools/make_commands.py
	$(BIN)/python tools/make_recipes.py
	$(BIN)/python tools/draw_layers.py
	$(BIN)/python tools/make_manual.py build/man1
	$(BIN)/python tools/make_screenshots.py
	$(BIN)/python -m tools.blocks
	$(BIN)/python -m tools.make_site

# Pictures of the site in build/look, and what is wrong with it in a browser; needs Debian's chromium.
docs-look: setup
	@sh .ci/packages chromium
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group look
	$(BIN)/python -m tools.make_site
	$(BIN)/python -m tools.look_at_site

# make release OPTIONS='--dry-run --no-roots': all but the tag and what is made in bare roots; see docs/development/releasing.md.
release: setup
	$(BIN)/python -m tools.make_release $(OPTIONS) $(PYTHONS)

# PYTHONS=… names the interpreters.
wheels: setup
	$(BIN)/python tools/make_wheels.py $(PYTHONS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f shim/hem_pkcs11/*.so shim/hem_pkcs11/search-path
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
