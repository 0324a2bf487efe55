# make install the toolkit into $(VENV); with CPU=1 with the CPU builds of torch, which bring no CUDA on Linux
# make demo    mark two photos, paste both into a third, read both back
# make test    checks and tests, as .ci/run does, the tests in three processes, of which some wait (JOBS=N for another number)
# make docs    the documentation as a site, in site/
# make nightly the slow tests, 10,000 mutated files among them (FUZZ=N for another number)
PYTHON ?= python3
VENV ?= .venv
FUZZ ?= 10000
JOBS ?= 3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH = 'torch>=2.4' 'torchvision>=0.19'
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# uv is many times faster; where it cannot reach the registry that pip is set up for, pip does it
INSTALL = $(PIP) uv && VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --editable '$(1)' || $(PIP) --editable '$(1)'
ifeq ($(CPU),1)
TORCH_FIRST = $(VENV)/.torch-cpu
endif

.PHONY: install demo test docs nightly clean
install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/python scripts/demo.py

test: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy wam attacks payload scripts
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

nightly: $(VENV)/.tests
	WAM_FUZZ_FILES=$(FUZZ) $(BIN)/python -m pytest -m slow

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	touch $@

# before the rest, which then finds torch there and brings no other
$(VENV)/.torch-cpu: | $(VENV)/.python
	$(PIP) --index-url $(TORCH_INDEX) $(TORCH)
	$(BIN)/python -W ignore -c 'import sys, torch; sys.exit("$(VENV): expected a CPU build of torch, found another there; run: make clean") if torch.version.cuda else None'
	touch $@

$(VENV)/.installed: pyproject.toml $(TORCH_FIRST) | $(VENV)/.python
	$(call INSTALL,.)
	touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(call INSTALL,.[test])
	touch $@

# the site is made from the sources as they are read, so that PyTorch is not needed
DOCS = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])
$(VENV)/.docs: pyproject.toml | $(VENV)/.python
	$(PIP) $$($(BIN)/python -c '$(DOCS)')
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info
