# Two commands on a fresh machine: `make demo` shows the main job, `make test` passes the tests. Both set up what they need.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help demo test lint format types contracts bench setup engine model clean

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "setup: Python >= 3.11 with venv is needed ('apt-get install python3-venv' or your system's way)" >&2; exit 2; fi
	@echo "setup: making $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --editable '.[local]' --group dev
	@touch $@

setup: $(STAMP)  ## make the virtual environment

engine:  ## find a Docker engine, or install and start one where that can be done
	@scripts/engine.sh

model: $(STAMP)  ## fetch and verify the embedded model
	@$(BIN)/bridle model pull

demo: $(STAMP) engine  ## fix a real bug in a real library, from nothing
	@$(BIN)/bridle demo

lint: $(STAMP)  ## ruff
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(STAMP)  ## format and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: $(STAMP)  ## mypy, strict
	@$(BIN)/mypy

contracts: $(STAMP)  ## which folder may import which
	@$(BIN)/lint-imports

test: lint types contracts engine model  ## everything that has to pass
	@$(BIN)/pytest

bench: $(STAMP) engine  ## speed against peers, in one run
	@$(BIN)/python benchmarks/exec.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
