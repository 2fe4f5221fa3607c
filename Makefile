# Two commands do all the set-up on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
READY ?= $(VENV)/ready
PY ?= $(VENV)/bin/python
# A worker that is done takes tests from the other: the slow ones are together, in tests/integration.
PYTEST = -m pytest --numprocesses 2 --dist worksteal
FAST = tests/unit tests/contract -m 'not slow and not soak and not heavy'

.PHONY: run test test-fast check coverage site matrix

run: $(READY)
	$(PY) -m tartan run 'objectives=[mlm]' weighting=meta

test: $(READY)
	$(PY) $(PYTEST)

test-fast: $(READY)
	$(PY) $(PYTEST) $(FAST)

coverage: $(READY)
	mkdir -p .coverage
	$(PY) -m coverage erase
	$(PY) -m coverage run $(PYTEST)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m tools.prose

site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

matrix:
	$(PYTHON) -m tools.matrix $(ARGS)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"tartan needs Python 3.11 or later: give one, for example PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --no-compile -e '.[dev,docs]' -c constraints.txt
	touch $@
