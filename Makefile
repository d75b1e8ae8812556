# Everything here works on a machine with Python >= 3.11, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
CHECK ?=
SCALE ?= 150
PORT ?= 8471

.PHONY: help demo test simulate chaos mutants attack bench check format schemas lock clean
help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into $(VENV)..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run four operators' nodes with demonstration data (CHECK=1: assert it and stop; SCALE=..., PORT=...)
	@$(BIN)/federation demo $(if $(CHECK),--check) --scale $(SCALE) --port $(PORT)

WORKERS ?= 2
test: $(STAMP) ## Run every test (WORKERS=... processes, each with PostgreSQL servers of its own)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

SEED ?= 1
FAULTS ?= 2000
VERBOSE ?=
simulate: $(STAMP) ## Let things go wrong between simulated nodes and see them recover (FAULTS=..., SEED=..., VERBOSE=1)
	@$(BIN)/python -m tests.simulation --faults $(FAULTS) --seed $(SEED) $(if $(VERBOSE),--verbose)

KILLS ?= 50
chaos: $(STAMP) ## Kill nodes and their PostgreSQL with -9 and compare everything (KILLS=..., SEED=...)
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED)

SAMPLE ?= 0
KEEP ?=
mutants: $(STAMP) ## Break each security check once and see a test turn red (SAMPLE=100 for fewer, KEEP=file to go on later)
	@$(BIN)/python -m tests.mutants --sample $(SAMPLE) $(if $(KEEP),--keep $(KEEP))

N ?= 10000
CASE ?=
attack: $(STAMP) ## Try forged OAuth requests against a node that serves (N=..., SEED=..., CASE=... for one of them)
	@$(BIN)/python -m tests.fuzz.oauth --cases $(N) --seed $(SEED) $(if $(CASE),--case $(CASE))

QUICK ?=
PARTS ?=
bench: $(STAMP) ## Measure the node beside its limits, on a quiet machine (QUICK=1: minutes; PARTS="sync reading")
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(foreach part,$(PARTS),--part $(part))

check: $(STAMP) ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schemas: $(STAMP) ## Write the published contract anew
	@$(BIN)/federation schema schemas

lock: $(STAMP) ## Resolve the dependencies anew, with hashes and without index hosts
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra embedded --extra dev pyproject.toml -o requirements.txt

clean: ## Remove what was installed
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info build
