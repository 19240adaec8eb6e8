# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow test-rapids-contract lint docs gpu-proof figures wheelhouse clean

demo: $(VENV)/.run
	$(BIN)/finescale run quickstart

# Tests run side by side, one thread each: what they train is small. In the order of their names, for the files of
# few tests are the long ones, and must not come last.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev
	$(PYTEST) -m "not slow and not gpu"

test-slow: $(VENV)/.dev
	$(PYTEST) -m "not gpu"

# The pages as a site that opens from disk, in site/; a link that leads nowhere ends it.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# RAPIDS imports where there is no GPU: every call of ours is held against what it has. Several GB, in a venv of its own.
RAPIDS_VENV ?= .venv-rapids

test-rapids-contract:
	$(MAKE) $(RAPIDS_VENV)/.gpu VENV=$(RAPIDS_VENV)
	FINESCALE_RAPIDS=1 $(RAPIDS_VENV)/bin/python -m pytest tests/rapids

# What only a GPU can show, in under ten minutes; it writes the table of docs/gpu_status.md.
gpu-proof: $(VENV)/.gpu
	$(BIN)/python -m benchmarks.gpu_proof

# Every figure of the README and the documents, made anew: make figures DATA=path/to/mirror
figures: $(VENV)/.dev
	$(BIN)/python -m benchmarks.figures --data "$(DATA)"

# Everything for a machine without network, in parts: make wheelhouse PYTHON_VERSION=3.12 PART_MIB=500 EXTRA=gpu
PART_MIB ?= 1000
WHEELHOUSE ?= wheelhouse
wheelhouse: $(VENV)/bin/python
	$(BIN)/python offline/pack.py --python "$(PYTHON_VERSION)" --part-mib "$(PART_MIB)" --extra "$(EXTRA)" \
		--torch "$(TORCH)" --out "$(WHEELHOUSE)" $(PACK)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.run

$(VENV)/.gpu: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e ".[gpu,dev]"
	touch $@ $(VENV)/.dev $(VENV)/.run

clean:
	rm -rf $(VENV) build dist *.egg-info
