# Everything that a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: docs site demo test test-quick test-all check format notebooks clean help

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/installed ## build, train, evaluate, index and search drawn garments
	$(BIN)/fashion-jax demo

# A file stays on one worker, so that what its tests share is made once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed ## every promise, as CI does
	$(PYTEST)

test-quick: $(VENV)/installed ## the tests of less than a second
	$(PYTEST) -m "not slow and not exhaustive"

test-all: $(VENV)/installed ## more kills and full sizes, too
	$(PYTEST) -m ""

check: $(VENV)/installed ## lint, format, types, floors and the site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/installed ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/installed ## make the notebooks from their scripts
	$(BIN)/jupytext --update --to ipynb colab/*.py

docs: $(VENV)/installed ## make docs/models.md from the code
	$(BIN)/python -m fashion_jax.models.table > docs/models.md

site: $(VENV)/installed ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove the environment, data, runs and report
	rm -rf $(VENV) data runs report site build *.egg-info

# The stamp is written last: an installation that was interrupted is done again. An environment
# that does not even have pip any more is made anew.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"fashion-jax needs Python 3.11 or newer, $(PYTHON) is {sys.version.split()[0]}: make PYTHON=python3.11 ...")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@
