# memhost: `make run` starts it, `make test` tests it. docs/development.md explains more.
#   make run          set up and start the server on the embedded profile
#   make test         set up and run every rule and case once (5 minutes on two cores)
#   make test-all     the same through all interfaces and stores with real servers (30 minutes)
#   make soak         kills, fuzz, crossings and mutations, for an hour or more
#   make mutate       change the code in small ways and see whether a test notices
#   make bench-speed  speed beside floors and, with ARGS="--against NAME=COMMAND", other releases; rewrites docs/benchmarks.md
#   make check        format, lint, types, package, known vulnerabilities
#   make examples     build the example packages, install them elsewhere, run their tests
#   make lock         rewrite requirements/ after a change of pyproject.toml; ARGS=--upgrade takes newer versions
#   make test-newest  all tests with the newest versions that pyproject.toml allows
#   make test-pythons make test on every supported Python on this machine
#   make repeat N=20  make test again and again: half beside busy loops, half in random order
#   make clean        remove the environments and build results

# The first Python that runs and is new enough; a broken shim does not run.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
N ?= 20
# LoCoMo's conversations, which are not part of this repository; without them `make bench` measures generated timelines alone.
LOCOMO ?= $(if $(MEMHOST_EVAL_DATA),$(MEMHOST_EVAL_DATA),../shared/data)/locomo_dev.json
# One more than the machine has cores, since tests also wait.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder

# An environment has the versions of requirements/, or with NEWEST=1 the newest that the ranges of pyproject.toml allow. pip
# accepts no hash for a source tree, so a second call installs memhost itself, with the locked build backend.
ifdef NEWEST
install = $(PIP) --upgrade --upgrade-strategy eager --editable '.[$(2)]'
else
install = $(PIP) --require-hashes --requirement requirements/$(1).txt && $(PIP) --no-deps --no-build-isolation --editable .
endif

# Without cached bytecode, each of the many processes that the tests start would compile memhost again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-all soak mutate test-newest test-pythons repeat check lint types package audit examples bench bench-speed model lock clean

run: $(VENV)/.run
	@echo "The command is $(BIN)/memhost; see what it can do with: $(BIN)/memhost demo"
	@exec $(BIN)/memhost serve $(ARGS)

test: $(VENV)/.test
	$(PYTEST) --tier=test $(ARGS)

test-all: $(VENV)/.test
	$(PYTEST) --tier=all $(ARGS)

soak: $(VENV)/.bench $(VENV)/.test
	$(BIN)/python -m pytest --tier=soak -n 0 $(ARGS)
	$(BIN)/python bench/crash.py --rounds 1000
	$(BIN)/python bench/fuzz.py
	$(BIN)/python bench/crossing.py
	$(MAKE) mutate

mutate: $(VENV)/.mutation
	$(BIN)/python tools/mutate.py $(ARGS)

# All tests with the newest versions that the ranges allow. Not run for every change, because a release of another project can fail it.
test-newest:
	@rm -f build/newest/.test
	$(MAKE) NEWEST=1 VENV=build/newest build/newest/.test
	@build/newest/bin/python tools/lock.py --moved
	$(MAKE) NEWEST=1 VENV=build/newest test-all

test-pythons:
	@$(PYTHON) tools/pythons.py $(MAKE) test

repeat: $(VENV)/.test
	@$(BIN)/python tools/repeat.py $(N) $(PYTEST) --tier=test $(ARGS)

check: lint types package audit

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

# The wheel, installed into an empty environment, must provide a working command.
package: $(VENV)/.test
	$(BIN)/python -m tools.check_wheel

# Known vulnerabilities of the installed packages; says so if it cannot reach an advisory service.
audit: $(VENV)/.test
	$(BIN)/python tools/audit.py $(ARGS)

# Tests each example from its wheel, in an environment of its own. Needs the package index.
examples: $(VENV)/.test
	EXAMPLES_FROM_WHEELS=1 $(BIN)/python -m pytest tests/test_examples.py -k wheels $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/memhost eval --timelines $(wildcard $(LOCOMO))
	$(BIN)/python -m bench.context $(LOCOMO)
	$(BIN)/python bench/embedded.py

# Both write their figures into docs/benchmarks.md.
bench-speed: $(VENV)/.bench
	$(BIN)/python -m bench.speed --write $(ARGS)
	$(BIN)/python -m bench.growth --write

# Distil the static model again (needs torch; the result is committed).
model: $(VENV)/bin/python
	$(PIP) --editable '.[tools]'
	$(BIN)/python -m tools.distill_static plugins/models/memhost_model_static/weights

lock: $(VENV)/bin/python
	$(BIN)/python tools/lock.py $(ARGS)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "memhost needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "memhost needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run: pyproject.toml requirements/run.txt | $(VENV)/bin/python
	@echo "Setting up memhost (once)..."
	@$(call install,run,mcp)
	@touch $@

$(VENV)/.test: pyproject.toml requirements/test.txt | $(VENV)/bin/python
	@echo "Setting up the tests (once)..."
	@$(call install,test,test)
	@touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml requirements/bench.txt | $(VENV)/bin/python
	@$(call install,bench,bench)
	@touch $@

$(VENV)/.mutation: pyproject.toml requirements/mutation.txt | $(VENV)/bin/python
	@$(call install,mutation,mutation)
	@touch $@

clean:
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
