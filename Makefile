# memhost: one command to run it, one to test it.
#   make run     set up and start the server on the embedded profile
#   make test    set up and run all tests
#   make check   format, lint, types, package, known vulnerabilities
#   make examples   build the example packages, install them elsewhere, run their tests
#   make clean   remove the environment and build results

# The first Python that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
# One more than the machine has cores, since tests also wait.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# Where bytecode is not kept, each of the many processes that tests start would compile memhost anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check lint types package audit examples bench model clean

run: $(VENV)/.run
	@echo "The command is $(BIN)/memhost; see what it can do with: $(BIN)/memhost demo"
	@exec $(BIN)/memhost serve $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder $(ARGS)

check: lint types package audit

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

# The wheel, installed where nothing else is, must give a working command.
package: $(VENV)/.test
	$(BIN)/python tools/check_wheel.py

# Known vulnerabilities of what is installed; says so where no advisory service can be reached.
audit: $(VENV)/.test
	$(BIN)/python tools/audit.py $(ARGS)

# Each example from its wheel, in an environment of its own. Needs the package index.
examples: $(VENV)/.test
	EXAMPLES_FROM_WHEELS=1 $(BIN)/python -m pytest tests/test_examples.py -k wheels $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python bench/locomo.py
	$(BIN)/python bench/embedded.py

# Distil the static model again (needs torch; the result is committed).
model: $(VENV)/bin/python
	$(PIP) --editable '.[tools]'
	$(BIN)/python tools/distill_static.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "memhost needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "memhost needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "Setting up memhost (once)..."
	@$(PIP) --editable '.[mcp]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo "Setting up the tests (once)..."
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	@$(PIP) --editable '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
