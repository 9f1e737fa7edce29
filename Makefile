# make quickstart   install, compare five variants on the embedded digits: a table and figures
# make test         install, run the test suite
# make test-all     the slow tests too
# make lint         format, lint, types

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: quickstart install test test-all lint format clean

quickstart: $(INSTALLED)
	@$(BIN)/python cli.py study configs/studies/quickstart.yaml
	@$(BIN)/python cli.py report studies/quickstart
	@echo "first        source .venv/bin/activate"

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or not slow"

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 ...")'
	@echo "installing into .venv: PyTorch is 5 GB with its GPU libraries, a few minutes the first time"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
