# Everything here works on a machine with Python >= 3.11, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
CHECK ?=
SCALE ?= 150
PORT ?= 8471

# Node.js is the machine's, or the one that `make node` installs there.
export PATH := $(CURDIR)/build/node/bin:$(PATH)

# Compiled modules are stored: tests start hundreds of processes, and each would compile some six hundred modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test long cases matrix browser pictures coverage simulate chaos attack fuzz conformance compare hostile clients mutants full bench check node contract format schemas lock clean
.NOTPARALLEL: # the tests and the demonstration want the machine for themselves
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into $(VENV)..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run four nodes with demonstration data until Ctrl-C (CHECK=1: check it and stop; SCALE=150, PORT=8471)
	@$(BIN)/federation demo $(if $(CHECK),--check) --scale $(SCALE) --port $(PORT)

K ?=
SLOW ?=
WORKERS ?= $(if $(K),0,2)
PATHS = $(foreach path,$(K),'$(path)')
# The tests of visibility for every caller, label and type are those of `make matrix`.
TESTS = $(if $(K),$(if $(findstring /,$(K)),$(PATHS),-k '$(K)'),$(if $(SLOW),-r s,--ignore=tests/matrix -m 'not slow and not long and not browser'))
# A file is one piece of work for one process, and files come in their order: by default the files with few tests
# come last, and those are the long ones.
PYTEST = -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)
test: $(STAMP) ## Run the tests but long and slow ones and the matrix; or K="part of a name", K=tests/api (WORKERS=2, SLOW=1)
	@$(BIN)/python $(PYTEST)

# (The long tests of visibility are those of `make matrix`.)
long: $(STAMP) ## Run the tests that take many seconds each: simulated nodes, kills, the tutorial, made-up requests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'long and not slow' --ignore=tests/matrix

matrix: $(STAMP) ## Ask for every type of record, label and verb as every caller, and see that nothing hidden shows
	@MATRIX=all $(BIN)/python -m pytest -n $(WORKERS) --dist load tests/matrix

AXE = build/node/axe
$(AXE)/installed: tests/browser/axe/package.json
	@command -v npm >/dev/null || { echo "Node.js 20.19 or later with npm is needed to check pages by axe: make node"; exit 1; }
	@echo "Installing into $(AXE)..."
	@rm -rf $(AXE) && mkdir -p $(AXE) && cp $< $(AXE)
	@npm install --prefix $(AXE) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# It installs no browser: Debian and Ubuntu have one as apt-get install chromium.
browser: $(STAMP) $(AXE)/installed ## See the pages of four nodes in Chromium, check them by axe, do what people do (K=...)
	@$(BIN)/python -m pytest -n 0 -r s -m browser $(if $(K),-k '$(K)') tests/browser

pictures: $(STAMP) $(AXE)/installed ## Take the pictures of pages for docs/images/pages anew, by Chromium (K="home status")
	@$(BIN)/python -m tests.browser.pictures $(K)

cases: $(STAMP) ## Run the public cases and print one line for each, also for those that have no test
	@$(BIN)/python -m pytest -n 0 tests/cases --cases

coverage: $(STAMP) ## Run the tests and report which statements and branches they leave out (K=..., WORKERS=..., SLOW=1)
	@rm -rf build/coverage
	@$(BIN)/coverage run $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet
	@$(BIN)/coverage report

SEED ?= 1
FAULTS ?= 2000
VERBOSE ?=
simulate: $(STAMP) ## Put faults into simulated nodes and see every copy recover (FAULTS=2000, SEED=1, VERBOSE=1)
	@$(BIN)/python -m tests.simulation --faults $(FAULTS) --seed $(SEED) $(if $(VERBOSE),--verbose)

KILLS ?= 50
chaos: $(STAMP) ## Kill nodes and their PostgreSQL with -9 and compare every copy (KILLS=50, SEED=1)
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED)

N ?= 10000
CASE ?=
attack: $(STAMP) ## Send forged OAuth requests to a running node (N=10000, SEED=1, CASE=number of a single request)
	@$(BIN)/python -m tests.fuzz.oauth --cases $(N) --seed $(SEED) $(if $(CASE),--case $(CASE))

READER ?=
fuzz: $(STAMP) ## Read mutated files by every reader of foreign formats (N=10000, SEED=1, READER=name, CASE=number)
	@$(BIN)/python -m tests.fuzz.readers --cases $(N) --seed $(SEED) $(if $(READER),--reader $(READER)) \
		$(if $(CASE),--case $(CASE))

# A new seed each time, unless one is given.
SEEDED = $(if $(filter file,$(origin SEED)),,--seed $(SEED))
conformance: N = 10000
conformance: $(STAMP) ## Send requests made from the OpenAPI document (Schemathesis); prints its seed (N=10000, SEED=...)
	@$(BIN)/python -m tests.schema.conformance --cases $(N) $(SEEDED)

compare: $(STAMP) ## Compare the verdicts on made-up entries with the reader in JavaScript; needs node 20 (N=10000, SEED=1)
	@$(BIN)/python -m tests.reader.fuzz --cases $(N) --seed $(SEED)

PROGRAM ?=
# It installs nothing: `rolling` runs the `caddy` on your PATH (Debian and Ubuntu: apt-get install caddy), and without
# one the target fails after the other programs.
hostile: $(STAMP) ## Attack a node and restart it under load, and see nobody harmed; needs caddy (PROGRAM="greedy")
	@$(BIN)/python -m tests.hostile $(PROGRAM)

CLIENTS ?=
STRICT ?=
INSTALL ?=
# Generators are installed into build/clients, by exact versions. Java and Go are the machine's; what needs one that is
# missing is left out and named, or fails with STRICT=1. INSTALL=1 installs them by apt-get, and Node.js as `make node`.
clients: $(STAMP) ## Generate six clients from the OpenAPI document and run them against a node (CLIENTS="python go")
	@$(BIN)/python -m tests.clients $(if $(STRICT),--strict) $(if $(INSTALL),--install) $(CLIENTS)

SAMPLE ?= 0
KEEP ?=
mutants: $(STAMP) ## Break each security check and expect a failing test (SAMPLE=100 for fewer, KEEP=file to resume)
	@$(BIN)/python -m tests.mutants --sample $(SAMPLE) $(if $(KEEP),--keep $(KEEP))

full: override CHECK = 1
full: override SLOW = 1
full: override K =
full: override CASE =
full: override READER =
full: override SAMPLE = 0
full: override PROGRAM =
full: override CLIENTS =
full: override STRICT = 1
full: override INSTALL = 1
full: FAULTS = 5000
full: KILLS = 200
full: N = 100000
full: node check contract demo $(AXE)/installed test matrix simulate chaos attack fuzz conformance compare hostile clients mutants ## Run all of the above and check: every test, more faults, kills and requests; takes hours (SEED=1)
	@echo "Every check has passed."

QUICK ?=
PARTS ?=
bench: $(STAMP) ## Measure the node and its alternatives on a quiet machine (QUICK=1 for minutes, PARTS="sync reading")
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(foreach part,$(PARTS),--part $(part))

check: $(STAMP) ## Check format, lint, types, import rules and published patterns, as the pre-commit hooks do
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.contract.patterns

node: $(STAMP) ## Install Node.js into build/node, where the machine's is older than 20.19 or missing
	@$(BIN)/python -m tests.nodejs

LINT = build/node/lint
$(LINT)/installed: tests/contract/lint/package.json
	@command -v npm >/dev/null || { echo "Node.js 20.19 or later with npm is needed to lint the contract: make node"; exit 1; }
	@echo "Installing into $(LINT)..."
	@rm -rf $(LINT) && mkdir -p $(LINT) && cp $< $(LINT)
	@npm install --prefix $(LINT) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

CSAF = build/node/csaf
$(CSAF)/installed: tests/contract/csaf/package.json
	@command -v npm >/dev/null || { echo "Node.js 20.19 or later with npm is needed to validate CSAF: make node"; exit 1; }
	@echo "Installing into $(CSAF)..."
	@rm -rf $(CSAF) && mkdir -p $(CSAF) && cp $< $(CSAF)
	@npm install --prefix $(CSAF) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

contract: $(LINT)/installed $(CSAF)/installed ## Lint the OpenAPI document, compile the schemas and patterns; needs Node.js
	@cp tests/contract/lint/* $(LINT)
	@node $(LINT)/lint.mjs schemas

format: $(STAMP) ## Format the code and fix what ruff can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schemas: $(STAMP) ## Write the published schemas and the OpenAPI document from the code
	@$(BIN)/federation schema schemas

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --extra embedded --extra openpgp --extra build pyproject.toml
lock: $(STAMP) ## Resolve what a node runs with, what tests add, and what make clients and make node install (needs npm)
	@$(COMPILE) -o requirements.txt
	@$(COMPILE) --extra dev --constraint requirements.txt -o requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-o tests/clients/requirements.txt tests/clients/requirements.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-o tests/nodejs/requirements.txt tests/nodejs/requirements.in
	@cd tests/clients && npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --silent

clean: ## Remove the virtual environment, caches and build files
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info build
