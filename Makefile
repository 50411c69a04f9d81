# `make audit` and `make test` set up what they need on a fresh Debian machine and say what they install.

VENV ?= .venv
BIN := $(VENV)/bin
PROFILE ?= baseline
PYTEST ?=
MUTATIONS ?= 100000

.PHONY: help venv audit test test-quick lint format render bench fuzz clean

help:
	@echo "make audit       set up and audit this machine (PROFILE=web for another profile)"
	@echo "make test        set up and run all tests; those that boot hosts need root"
	@echo "make test-quick  the tests that boot no hosts"
	@echo "make lint        ruff, mypy, vermin, generated files"
	@echo "make render      write the generated files"
	@echo "make bench       measure beside the peers"
	@echo "make fuzz        mutate configurations against each parser (MUTATIONS=100000 each)"
	@echo "make venv        set up only"

$(VENV)/installed: pyproject.toml scripts/venv
	@scripts/packages audit
	@scripts/venv $(VENV) .
	@touch $@

$(VENV)/installed-dev: pyproject.toml scripts/venv $(VENV)/installed
	@scripts/venv $(VENV) '.[test,lint]'
	@touch $@

$(VENV)/installed-bench: pyproject.toml scripts/venv $(VENV)/installed
	@scripts/venv $(VENV) '.[bench]'
	@touch $@

venv: $(VENV)/installed

# findings are a result, not a failure of make
audit: $(VENV)/installed
	@$(BIN)/audit-tcp host --profile $(PROFILE) || [ $$? -eq 3 ]

test: $(VENV)/installed-dev
	@scripts/packages test
	$(BIN)/python -m pytest $(PYTEST)

test-quick: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m 'not boots' -n auto $(PYTEST)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vermin --quiet --no-tips --violations --target=3.6- audit/audit_tcp/probe
	$(BIN)/python -m audit_tcp.render --check

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

render: $(VENV)/installed
	$(BIN)/python -m audit_tcp.render

bench: $(VENV)/installed-dev $(VENV)/installed-bench
	@scripts/packages bench
	$(BIN)/python benchmarks/run.py

fuzz: $(VENV)/installed-dev
	@for one in tests/servers/fuzz_*.py; do echo "$$one"; $(BIN)/python $$one $(MUTATIONS) || exit 1; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
