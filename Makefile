# `make demo` and `make test` do all the set-up on a machine that has only Python and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-full check format bench faults wheel-test docs clean

demo: $(VENV)/.installed
	$(BIN)/tele demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not long"

test-full: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_house.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

faults: $(VENV)/.installed-dev
	TELE_FAULT_ROUNDS=1000 $(BIN)/python -m pytest -q tests/faults

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

# The suite against the built wheel, from outside the source tree.
wheel-test: $(VENV)/.installed-dev
	rm -rf dist build/wheel && $(BIN)/python -m build --quiet --wheel
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip install --quiet "$$(ls dist/*.whl)[dev]"
	cp -r tests README.md CHANGELOG.md CONTRIBUTING.md Makefile docs benchmarks examples pyproject.toml build/wheel/
	cd build/wheel && TELE_FIXTURES="$${TELE_FIXTURES:-$(CURDIR)/../shared/fixtures}" venv/bin/python -m pytest -q -n 2 --dist loadfile -m "not long and not source"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
