# Two commands on a fresh machine: `make quickstart` and `make test`. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin

# Two processes more than there are cores, each with one torch thread: many tests wait, for a clock or another process.
# A file's tests run in one of them, in order, so that what is costly to make is made once. The longest files come
# first (tests/conftest.py).
TEST_WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 2)')
PARALLEL := --maxprocesses=8 --dist loadfile --no-loadscope-reorder
SEED ?= $(shell $(PYTHON) -c 'import random; print(random.randrange(10**9))')

.PHONY: quickstart tiny test fuzz lint style types clean

quickstart: .venv.stamp
	$(BIN)/mathwright run quickstart --out runs/quickstart

tiny: .venv.stamp
	$(BIN)/mathwright run quickstart --tiny --out runs/tiny

# Types take minutes to check: beside the tests, and what is found is shown below theirs. Either failing fails. With a
# larger nursery (64 times the default) pyright's garbage collector takes an eighth less time of the whole.
test: .venv.stamp style
	@found=$$(mktemp); NODE_OPTIONS=--max-semi-space-size=128 $(BIN)/pyright > $$found 2>&1 & types=$$!; \
	trap 'kill $$types 2> /dev/null; rm -f $$found' EXIT; trap 'exit 130' INT TERM; \
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(PARALLEL); tests=$$?; \
	wait $$types; typed=$$?; echo "pyright:"; cat $$found; exit $$((tests ? tests : typed))

# The property tests alone, with new examples and 20 times as many; its end says how to draw the same again.
fuzz: .venv.stamp
	$(BIN)/python -m pytest -n $(TEST_WORKERS) $(PARALLEL) -m hypothesis --hypothesis-profile=fuzz --hypothesis-seed=$(SEED)

lint: style types

style: .venv.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv.stamp
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
