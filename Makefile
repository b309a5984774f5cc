# What a person does with hunch. `make demo` in a fresh clone needs python3 (3.11 or newer) and a package index, nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core
STAMP  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip -qq --disable-pip-version-check

.PHONY: setup demo test test-all check lint bench wheel-test clean

setup: $(STAMP)

# A new pyproject.toml or constraints.txt brings the environment up to date; otherwise this costs nothing.
$(CORE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "python3 is %d.%d, but hunch needs 3.11 or newer; run `make PYTHON=python3.11 setup`." % v[:2])'
	@echo "setting up $(VENV) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt setuptools
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable .
	@touch $@

# What only developing needs.
$(STAMP): $(CORE)
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

demo: $(CORE)
	$(BIN)/hunch run literature --run runs/demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow" -n auto --dist worksteal

test-all: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

check: lint test

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m bench demo --json bench-demo.json

# The wheel in an environment of its own, used from a folder that is not this one.
wheel-test: setup
	@set -eu; \
	away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; \
	rm -rf build; \
	$(BIN)/python -m build --wheel --no-isolation --outdir "$$away/dist" . > "$$away/build.log" 2>&1 || { cat "$$away/build.log"; exit 1; }; \
	$(BIN)/python tests/wheel.py "$$away"/dist/*.whl; \
	echo "installing the wheel in an empty environment"; \
	$(PYTHON) -m venv "$$away/venv"; \
	"$$away/venv/bin/python" -m pip -qq --disable-pip-version-check install --constraint constraints.txt "$$away"/dist/*.whl; \
	mkdir "$$away/elsewhere"; cd "$$away/elsewhere"; \
	"$$away/venv/bin/python" -c 'import hunch.memory, hunch.agent, hunch.graphs, hunch.views, hunch.scenarios'; \
	"$$away/venv/bin/hunch" --version; \
	"$$away/venv/bin/hunch" scenarios; \
	"$$away/venv/bin/hunch" run literature --dry-run > /dev/null; \
	"$$away/venv/bin/hunch" doctor; \
	echo "wheel-test: ok"

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
