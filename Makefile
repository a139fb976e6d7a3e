# Every target sets up what it needs, on a machine that has only Python 3.11 or newer.
# `make e2e` and `make bench` also install a real engine and need root on Debian 12.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# An offline-capable pin: the CPU build, with which the scripts that images bake in are really run.
TORCH := torch==2.13.0

.PHONY: demo test lint unit e2e bench lock engine clean help

help:  ## Show the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile

demo: $(VENV)/.runtime  ## The whole pipeline in one process: no network, no Docker, no root
	$(BIN)/imgctl demo

test: $(VENV)/.dev $(VENV)/.torch lint unit  ## Format, lint, types, import directions, unit and contract tests

lint: $(VENV)/.dev  ## Format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

unit: $(VENV)/.dev $(VENV)/.torch  ## Unit and contract tests only
	$(BIN)/pytest -q --ignore=tests/e2e tests

engine:  ## Install and start the real engine, emulation and tools (root, Debian 12)
	scripts/engine.sh install
	scripts/engine.sh up

e2e: $(VENV)/.dev engine  ## The pipeline against a real engine, registry and emulation
	eval "$$(scripts/engine.sh env)" && $(BIN)/pytest -q tests/e2e

bench: $(VENV)/.dev engine  ## Measure side by side with peers; writes docs/benchmarks.md
	eval "$$(scripts/engine.sh env)" && $(BIN)/python -m bench

lock: $(VENV)/.dev  ## Pin requirements again from pyproject.toml
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

$(VENV)/.runtime: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	$(BIN)/python -m compileall -q builder deploy imgctl registry release
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q builder deploy imgctl registry release
	@touch $@ $(VENV)/.runtime

$(VENV)/.torch: $(VENV)/.dev
	$(BIN)/pip install -q --disable-pip-version-check $(TORCH)
	@touch $@

clean:  ## Remove what the targets made here
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
