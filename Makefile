# make run | test | check | bench: each sets up what it needs. Needs Python 3.11 or 3.12, make and a package index.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AGENT := ingest_api/agent
AGENT_READY := $(AGENT)/node_modules/.ready
ATTACKERS := tests/attackers
ATTACKERS_READY := $(ATTACKERS)/node_modules/.ready
KERNELS := $(VENV)/.kernels
ARGS ?=
# Two a core of a small machine: half of what runs waits. Each may start Kafka, Valkey and ClickHouse, 1 to 2 GB.
WORKERS ?= 4
export OMP_NUM_THREADS := 1
# Where bytecode is not kept, each process that a command or a test starts compiles all of ours again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup agent run test test-faults test-attackers record-attackers check format lock bench bench-soak bench-agent masking docs golden clean

help: ## Say what the targets do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "clickgoose needs Python 3.11 or 3.12: install it, or name it with make PYTHON=..." >&2; exit 2; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes a few minutes." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(KERNELS): $(READY) $(wildcard flows/*/*.py flows/stages/*/*.py enrichers/*.py scoring/*.py scoring/rules/*.py schemas/*.py)
	@echo "Compiling the loops of the stages: a minute or two, once." >&2
	@$(BIN)/python -m infra.compiled_loops
	@touch $@

$(AGENT_READY): $(AGENT)/package-lock.json $(AGENT)/.npmrc
	@$(AGENT)/need-node.sh
	@echo "Setting up $(AGENT)/node_modules with Node $$(node --version)." >&2
	@cd $(AGENT) && npm ci --silent
	@touch $@

$(ATTACKERS_READY): $(ATTACKERS)/package-lock.json $(ATTACKERS)/.npmrc
	@$(AGENT)/need-node.sh
	@echo "Setting up $(ATTACKERS)/node_modules with Node $$(node --version); no package brings a browser." >&2
	@cd $(ATTACKERS) && PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent
	@touch $@

setup: $(READY) $(KERNELS) $(AGENT_READY) ## Make the virtual environment and the agent's tools from the lock files

agent: $(AGENT_READY) ## Build the browser agent's bundle from its sources
	@cd $(AGENT) && npm run --silent build

run: $(KERNELS) ## Start the stack, ingest, flow and traffic; ARGS="--for 60s" ends by itself with an account
	@$(BIN)/clickgoose run $(ARGS)

test: $(KERNELS) $(AGENT_READY) ## Run all tests against real Kafka, Valkey and ClickHouse, in four workers (WORKERS=0: in one process)
	@$(BIN)/coverage erase
	@$(BIN)/pytest --cov --cov-report= -n $(WORKERS) $(ARGS)
	@$(BIN)/coverage report --fail-under=90

test-faults: $(KERNELS) ## Every fault in its whole form, with a table; ARGS="--json FILE" keeps it as JSON as well
	@$(BIN)/pytest tests/faults --faults=whole $(ARGS)

test-attackers: $(KERNELS) $(ATTACKERS_READY) ## Real automated browsers against the demo shop, live, with a table; ARGS="puppeteer selenium" takes some
	@$(BIN)/python -m tests.attackers.live $(ARGS)

record-attackers: $(KERNELS) $(ATTACKERS_READY) ## The same, and what was collected becomes infra/traffic/recorded/clients
	@$(BIN)/python -m tests.attackers.live --record $(ARGS)

check: $(READY) $(AGENT_READY) ## Lint, format, types, imports between rooms, generated documentation, the agent's bundle
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/clickgoose docs --check
	@cd $(AGENT) && npm run --silent types && npm run --silent check

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(READY) ## Resolve requirements.lock anew (needs uv), with hashes and without addresses
	@uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock

bench: $(KERNELS) ## Benchmarks in their short forms, under 5 minutes: floor, pipeline, stages, state, and through a real stack
	@$(BIN)/clickgoose bench floor
	@$(BIN)/clickgoose bench pipeline --processes 2 --scaling
	@$(BIN)/clickgoose bench pipeline --batch 64 --batch 256 --seconds 2
	@for stage in decode enrich score encode; do \
		$(BIN)/clickgoose bench stage $$stage --events 4096 || exit 1; done
	@$(BIN)/clickgoose bench state --devices 100000 --events 200000
	@$(BIN)/clickgoose bench sinks --events 5120
	@$(BIN)/clickgoose bench latency --seconds 8 --warm 4
	@$(BIN)/clickgoose bench e2e --events 10000
	@$(BIN)/clickgoose bench ingest --seconds 1 --rounds 1
	@$(BIN)/clickgoose bench rules --seconds 1

bench-soak: $(KERNELS) ## Five million full-size events through two processes: 5 to 10 minutes; fails where the memory grows
	@$(BIN)/clickgoose bench pipeline --processes 2 --events 5000000 --seconds 0 --most-growth-mb 20

bench-agent: $(READY) ## What the browser agent costs a page: size, main thread, time to the first event
	@$(BIN)/python -m tests.bench.agent $(ARGS)

masking: $(READY) ## Recall on the masking corpus, and false alarms on 20,000 honest events of each kind
	@$(BIN)/python -m tests.masking_report $(ARGS)

docs: $(READY) ## Write the generated pages
	@$(BIN)/clickgoose docs

golden: $(KERNELS) ## Rewrite the golden files after a change that is meant
	@$(BIN)/pytest tests/golden --update-golden

clean: ## Remove the virtual environment and caches; the stack's data stay (clickgoose down --purge)
	rm -rf $(VENV) $(AGENT)/node_modules .mypy_cache .ruff_cache .hypothesis .coverage*
