# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test check coverage

run: $(VENV)/ready
	$(VENV)/bin/python -m tartan run 'objectives=[mlm]' weighting=meta

test: $(VENV)/ready
	$(VENV)/bin/python -m pytest --numprocesses 2

coverage: $(VENV)/ready
	mkdir -p .coverage
	$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest --numprocesses 2
	$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report

check: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@
