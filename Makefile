# A fresh machine needs only python3 (3.11 or newer) and make.
#   make demo      train an agent for three minutes and compare it with the optimisers
#   make test      style, types and tests
#   make bench     throughput table
PYTHON ?= python3
MINUTES ?= 3
ARGS ?=
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: demo test bench lint types clean
.DELETE_ON_ERROR:

demo: .venv/.ok
	$(BIN)/ris-gym demo --minutes $(MINUTES) $(if $(SCENES),--scenes $(SCENES)) $(ARGS)

test: lint types
	$(BIN)/python -m pytest -n 2 $(ARGS)

bench: .venv/.ok
	$(BIN)/ris-gym bench $(ARGS)

lint: .venv/.ok
	$(BIN)/ruff check .

types: .venv/.ok
	$(BIN)/mypy

# The stamp is written last: an interrupted installation is simply repeated.
.venv/.ok: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ris_gym needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
