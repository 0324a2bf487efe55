# make demo    mark two photos, paste both into a third, read both back
# make test    checks and tests, as .ci/run does
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check clean
demo: $(VENV)/.installed
	$(BIN)/python scripts/demo.py

test: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/mypy wam attacks payload
	$(BIN)/python -m pytest

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
