# Everything a contributor does. `make help` says what each target is for.
PYTHON ?= python3
BIN := .venv/bin
SLOW := tests/data/test_flights_year.py tests/data/test_formats_long_rows.py

# The tests start Penstock hundreds of times: let Python keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long test-slow check bench docs

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev-installed ## Make .venv with Penstock and the tools for working on it

run: .venv/.installed ## Run the example examples/flights to its end
	$(BIN)/penstock run examples/flights/pipeline.json

test: setup ## Run the test suite
	$(BIN)/python -m pytest -n 2

test-long: setup ## Run what takes longer: faults, the simulation, every pair of a copy, more examples, PostgreSQL 18
	PENSTOCK_SIMULATION_SECONDS=60 PENSTOCK_FAULTS_SECONDS=1 \
		$(BIN)/python -m pytest -n 2 --dist worksteal tests/simulation tests/faults
	$(BIN)/python -m pytest -n 2 --dist worksteal -m by_hand --ignore tests/faults --ignore tests/simulation \
		$(addprefix --ignore ,$(SLOW))
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "hypothesis and not by_hand" --hypothesis-profile long
	PENSTOCK_POSTGRESQL=18 $(BIN)/python -m pytest -n 2 --dist worksteal tests/conformance/test_store.py \
		tests/stories/test_story_first_schema.py tests/api/test_api_several_servers.py tests/faults/test_faults_postgresql.py

test-slow: setup ## Run what takes many minutes: fields of 60 MB in every format, flights through every pair
	$(BIN)/python -m pytest -m by_hand $(SLOW)

check: setup ## Check style, types, import contracts and that the docs are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/build.py --check

bench: setup ## Run every benchmark in bench/
	@set -e; for bench in bench/*.py; do echo "== $$bench"; $(BIN)/python "$$bench"; done

docs: setup ## Write the parts of docs/ that come from the code
	$(BIN)/python docs/build.py

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Penstock needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) could not make .venv. On Debian and Ubuntu, install the package python3-venv." >&2; exit 1; }

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . -c constraints.txt
	@touch $@

.venv/.dev-installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch .venv/.installed $@
