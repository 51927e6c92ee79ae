# One entrance. `make` lists the targets; every one of them works on a machine that has only Python, make and git.
# An argument for a target goes into its variable: make demo DEMO="--count 20", make test TEST="tests/cli -k demo".

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test check fmt types imports docs bench bench-limits bench-pii eval differential fuzz bench-query fault bench-audit docs-site docs-serve test-integrations test-newest test-recipes bench-page wheel ci clean fault-limits bench-policy soak bench-sends bench-memory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The name model lies in .venv, so that a clone is complete by itself.
MODELS := GUARDRAILS_MODELS="$(CURDIR)/$(VENV)/share/guardrails/models"
DEMO ?=
TEST ?=
BENCH ?=
EVAL ?=
SEED ?= 1000
ROUNDS ?= 5000
# Tests share nothing, so they run in two processes; WORKERS=0 runs them in this one (for a debugger).
WORKERS ?= 2
WHEEL ?=
# In `make ci` all tests run from the source; against the wheel those run again that would miss a file or a dependency.
SHIPPED := tests/test_exports.py $(filter-out tests/core tests/audit tests/ratelimit tests/pii tests/typing tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## build .venv with every extra, the name model and the development tools

# Keyed to pyproject.toml: a second run is instant. An existing .venv is completed, not replaced.
$(STAMP): pyproject.toml
	@python="$${PYTHON:-}"; \
	for candidate in $${python:-python3 python3.13 python3.12 python3.11}; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$candidate"; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "make install: needs Python 3.11 or newer; found $$(python3 --version 2>&1 || echo none)." \
	         "Install one, or name it: make install PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ]; then echo "creating $(VENV) with $$("$$found" --version)"; "$$found" -m venv $(VENV); fi
	@echo "installing platform-guardrails and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(MODELS) $(BIN)/python -m guardrails models install
	@touch $@

demo: $(STAMP) ## send a sample conversation through a guard and show what happened
	@$(BIN)/python -m guardrails demo $(DEMO)

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) $(TEST)

check: $(STAMP) ## formatting, lint, types, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory types imports

fmt: $(STAMP) ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(STAMP) ## mypy strict, pyright, and that the public names are fully typed
	$(BIN)/mypy
	@for copy in faulty repaired; do \
	    (cd examples/acme/$$copy && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --cache-dir $(CURDIR)/.mypy_cache/acme-$$copy --config-file $(CURDIR)/pyproject.toml -p acme); \
	done
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=src $(BIN)/pyright --verifytypes guardrails --ignoreexternal

imports: $(STAMP) ## the floors: what may import what
	$(BIN)/lint-imports --no-cache

docs: $(STAMP) ## run every example of the documentation
	$(BIN)/python -m pytest -n 0 -p no:randomly tests/docs $(TEST)

docs-site: $(STAMP) ## build the documentation site into build/site; it needs no network, neither to build nor to read
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file site/mkdocs.yml
	@echo "build/site/index.html"

docs-serve: $(STAMP) ## show the documentation site on loopback while you write
	$(BIN)/mkdocs serve --config-file site/mkdocs.yml

bench: $(STAMP) ## measure the cost per call against the bare function
	$(BIN)/python bench/run.py $(BENCH)

fault-limits: $(STAMP) ## many more runs of the machines that compare limits with a list of takings, and stores that hang
	GUARDRAILS_MODEL_TIMES=20 $(BIN)/python -m pytest -q -n 0 --timeout=1800 tests/ratelimit/test_model.py tests/ratelimit/test_model_guard.py

bench-limits: $(STAMP) ## measure limits in memory against bare limits, and in a real store against one PING
	$(BIN)/python -m bench.ratelimit
	$(BIN)/python -m bench.store

bench-policy: $(STAMP) ## measure reading a policy of 1,000 tenants, choosing controls by message, and changing it under load
	$(BIN)/python -m bench.policy

bench-sends: $(STAMP) ## how often `guardrails sends` is wrong, on real projects that pip fetches (SDISTS=folder keeps them)
	$(BIN)/python -m bench.record run sends -- -m bench.sends $(SDISTS)

bench-pii: $(STAMP) ## measure detection against Presidio, LangChain and DataFog in the same run; memory; loop latency
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.detection

bench-query: $(STAMP) ## measure a reviewer's questions to a log of a million records (RECORDS=n for another number)
	$(BIN)/python -m bench.query $(RECORDS)

bench-page: $(STAMP) ## run every benchmark, keep the results, and write their page; soak, bench-sends, bench-memory keep theirs
	$(BIN)/python -m bench.record run core -- bench/run.py imports core guarded $(BENCH)
	$(BIN)/python -m bench.record run telemetry -- bench/run.py telemetry $(BENCH)
	$(BIN)/python -m bench.record run limits -- bench/run.py ratelimit $(BENCH)
	$(BIN)/python -m bench.record run stores -- -m bench.store
	$(BIN)/python -m bench.record run policy -- -m bench.policy
	$(BIN)/python -m bench.record run pii -- bench/run.py detection $(BENCH)
	$(BIN)/python -m bench.record run audit -- bench/run.py audit $(BENCH)
	$(BIN)/python -m bench.record run query -- -m bench.query
	$(BIN)/python -m bench.record page

eval: $(STAMP) ## how well personal data is found: leak, over-mask, precision, recall (EVAL="--names off" compares)
	$(BIN)/python -m bench.quality $(EVAL)

differential: $(STAMP) ## compare findings of all recognizers with Presidio's on a million texts (TEXTS=n for another number)
	$(BIN)/python -m bench.differential $(TEXTS)

fuzz: $(STAMP) ## thousands of sends through controls that misbehave (SEED=n ROUNDS=n): what was promised holds
	$(BIN)/python -W ignore -m tests.core.mischief $(SEED) $(ROUNDS)

KILLS ?= 250
fault: $(STAMP) ## kill -9 a thousand times, and tamper with an anchored log a hundred thousand times (KILLS=n each, TAMPERINGS=n)
	@folder="$$(mktemp -d)"; trap 'rm -rf "$$folder"' EXIT; \
	for durability in fsync os; do for threads in 1 8; do \
	    $(BIN)/python -W ignore -m tests.audit.killing $(KILLS) $$threads $$durability "$$folder/$$durability-$$threads" 2>/dev/null; \
	done; done
	@$(BIN)/python -m tests.audit.tampering $(or $(TAMPERINGS),100000) 0 2>/dev/null

SOAK_SECONDS ?= 3600
soak: $(STAMP) ## an hour of sends while store, sinks, policy and a process are taken away and given back (SOAK_SECONDS=n)
	$(BIN)/python -m bench.record run soak -- -m tests.proof.soak $(SOAK_SECONDS)

bench-audit: $(STAMP) ## measure records, acknowledgements, checkpoints and verification of the audit log
	$(BIN)/python bench/run.py audit
	$(BIN)/python -m bench.verification

bench-memory: $(STAMP) ## measure how much memory it takes to verify logs of 0.2, 1 and 4 GB (SIZES="10" for others); they are removed again
	$(BIN)/python -m bench.record run memory -- -m bench.memory $(SIZES)

# Environments beside .venv that hold the library of every integration and preset.
test-integrations: ## build the environment that holds every integration's library, and run the conformance suite in it
	@$(MAKE) --no-print-directory .hosts HOSTS=.venv-hosts UPGRADE=

test-newest: ## the same with the newest version of every library that the extras admit
	@$(MAKE) --no-print-directory .hosts HOSTS=.venv-newest UPGRADE="--upgrade --upgrade-strategy eager"

RECIPES := litellm:litellm_functions strands-agents:strands_client crewai:crewai_model
test-recipes: $(STAMP) ## try the recipes for libraries that cannot join the others, each in an environment of its own
	@for recipe in $(RECIPES); do \
	    folder=".venv-$${recipe%%:*}"; \
	    [ -x "$$folder/bin/python" ] || $(BIN)/python -m venv "$$folder"; \
	    "$$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable . "$${recipe%%:*}" openai httpx; \
	    "$$folder/bin/python" "tests/integrations/recipes/$${recipe#*:}.py"; \
	    echo "holds with $$("$$folder/bin/python" -m pip list --disable-pip-version-check | grep -E "^$${recipe%%:*} " | tr -s ' ')"; \
	done

.PHONY: .hosts
.hosts: $(STAMP)
	@[ -x $(HOSTS)/bin/python ] || $(BIN)/python -m venv $(HOSTS)
	@$(HOSTS)/bin/python -m pip install --quiet --disable-pip-version-check $(UPGRADE) --editable '.[test,integrations-test]'
	@$(HOSTS)/bin/python -m pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(aiosmtplib|boto3|celery|django|fastmcp|httpx2?|lang(chain|graph)|mcp|openai|python-telegram-bot|sinch|starlette|twilio) '
	@$(MODELS) $(HOSTS)/bin/python -m pytest -n $(WORKERS) tests/integrations tests/telemetry $(TEST)

wheel: $(STAMP) ## build the wheel and run the tests against it in a clean venv (WHEEL="tests/cli" for some)
	$(BIN)/python tests/packaging/against_wheel.py $(WHEEL)

# Measuring coverage slows some tests several times: there they have more than their 20 seconds.
ci: $(STAMP) ## everything that has to hold before a merge
	@$(MAKE) --no-print-directory check docs-site
	@$(MAKE) --no-print-directory test TEST="--cov --cov-report=term --timeout=120"
	@$(MAKE) --no-print-directory wheel WHEEL="$(SHIPPED)"

clean: ## remove what was built; the .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
