# Two commands on a fresh machine: `make demo` shows the main job, `make test` passes the tests. Both set up what they need.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PEERS := .venv-bench/.ready

.PHONY: help demo test suite lint format types contracts bench integrity table setup engine bubblewrap strace tmux model ray debian clean

help:
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@python=$$(scripts/prepare.sh) && echo "setup: making $(VENV)" >&2 && $$python -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --editable '.[local]' --group dev
	@touch $@

setup: $(STAMP)  ## make the virtual environment

engine: $(STAMP)  ## find a Docker engine, or install and start one where that can be done
	@scripts/engine.sh

bubblewrap:  ## install bubblewrap where that can be done; without it tests skip loudly
	@scripts/program.sh bwrap bubblewrap 'sandboxes need a Docker engine here' || true

strace:  ## install strace where that can be done; without it a test skips loudly
	@scripts/program.sh strace strace 'the effects of commands are not checked against what they do' || true

tmux:  ## install tmux where that can be done; without it a test skips loudly
	@scripts/program.sh tmux tmux 'nothing is tested through a terminal of its own' || true

model: $(STAMP)  ## fetch and verify the embedded model
	@$(BIN)/bridle model pull

demo: engine  ## fix a real bug in a real library, from nothing
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

ray: $(STAMP)  ## Ray, for the tests of runs on a cluster
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("ray") is None)' \
	|| $(BIN)/pip install --quiet --editable '.[local,ray]'

debian:  ## a small Debian for test images, made once; without it tests skip loudly
	@scripts/debian_root.sh --install >/dev/null || true

test: lint types contracts engine bubblewrap strace tmux model ray debian  ## everything that has to pass
	@scripts/test.sh

suite: engine model  ## a smoke run of the task suite: oracle, nothing, cheats, the embedded model; reports in build/suite
	@scripts/suite.sh

bench: engine bubblewrap $(PEERS)  ## speed beside peers, in one run, and docs/benchmarks.md
	@$(BIN)/python -m benchmarks.run
	@if [ -f $(PEERS) ]; then .venv-bench/bin/python -m benchmarks.report; else $(BIN)/python -m benchmarks.report; fi

# The peers have requirements of their own, which never meet ours; and one of them is mounted into its container.
$(PEERS): pyproject.toml $(STAMP)
	@echo "bench: making .venv-bench with the peers" >&2
	@$(BIN)/python -m venv --clear .venv-bench
	@pip=.venv-bench/bin/pip; if $$pip install --quiet --upgrade 'pip>=25.1' \
	&& $$pip install --quiet --group bench; then touch $@; \
	else echo "bench: the peers could not be installed; the figures are made without them" >&2; fi

integrity: engine .venv-integrity/.ready  ## cheats before other graders: the table of docs/integrity.md
	@$(BIN)/python -m benchmarks.integrity

.venv-integrity/.ready: pyproject.toml $(STAMP)
	@echo "integrity: making .venv-integrity with the other grader" >&2
	@$(BIN)/python -m venv --clear .venv-integrity
	@.venv-integrity/bin/pip install --quiet --upgrade 'pip>=25.1'
	@.venv-integrity/bin/pip install --quiet --group integrity
	@touch $@

table: $(STAMP)  ## bring the tables in docs/security.md and docs/bundled.md up to date
	@PYTHONPATH=tests:tests/sandboxes $(BIN)/python -m support.escape
	@$(BIN)/python -m tasks.packages.tables docs/bundled.md

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .venv-bench .venv-integrity .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
