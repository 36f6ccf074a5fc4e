# Two commands on a fresh machine: `make quickstart` and `make test`. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart tiny test lint clean

quickstart: .venv.stamp
	$(BIN)/mathwright run quickstart --out runs/quickstart

tiny: .venv.stamp
	$(BIN)/mathwright run quickstart --tiny --out runs/tiny

test: .venv.stamp lint
	$(BIN)/python -m pytest

lint: .venv.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# torch first: the pinned version keeps every later step from choosing another build of it.
.venv.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps reasoning-gym
	touch .venv.stamp

clean:
	rm -rf .venv .venv.stamp
