# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test check

run: $(VENV)/ready
	$(VENV)/bin/python -m tartan run 'objectives=[mlm]' weighting=meta

test: $(VENV)/ready
	$(VENV)/bin/python -m pytest --numprocesses 2

check: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@
