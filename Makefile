# Each target makes its own virtual environment when there is none; PYTHON says by which interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
SOURCES := $(wildcard callboard tests examples benchmarks)

# Tests and benchmarks start hundreds of processes: without its compiled form each would compile the package anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo lint test test-full soak bench bench-peers clean

help:
	@echo "make demo         index Python's own library with a crew of workers"
	@echo "make test         lint, types and tests"
	@echo "make test-full    the same with full counts and the long faults; prints their figures"
	@echo "make soak         200,000 tasks with a kill every second"
	@echo "make bench        speed beside the standard library's pools and raw ZeroMQ"
	@echo "make bench-peers  speed beside other projects (installs them)"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@touch $@

demo: $(READY)
	$(BIN)/python examples/library_index.py

lint: $(READY)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)

# A third of what the tests take is waiting (for what is lost, stopped, or cut off), so that three share two processors well.
test: lint
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

test-full: lint
	$(BIN)/python -m pytest --full

soak: $(READY)
	$(BIN)/python -m benchmarks.soak

bench: $(READY)
	$(BIN)/python -m benchmarks

bench-peers: $(PEERS)
	$(BIN)/python -m benchmarks --peers --output benchmarks/PEERS.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
