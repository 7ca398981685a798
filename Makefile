# `make demo` and `make test` do all set-up themselves; everything else is for those who work on Loopline.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
SITE := .venv-docs
SITE_TOOLS := $(SITE)/.installed
# Of the tests: twice as many as CI's machine has cores, because they wait for servers that they start.
WORKERS ?= 4
TEAMS := $(addprefix -e ,$(wildcard plugins/*))
# Files stay together, in the order of tests/conftest.py: those that take longest come first. Servers of tests are killed,
# but no machine loses its power: with eatmydata nobody waits for a disk.
IN_PARALLEL = $$(command -v eatmydata) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# A shell may forbid Python to keep what it compiled: then every process and every worker of the tests compiles anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-heavy quick flaky ci cluster images release lowest pythons check docs peers bench habits format constraints clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(INSTALLED): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "Installing Loopline into $(VENV): a minute or two, 1.1 GB"
	$(PYTHON) -m venv $(VENV)
	rm -rf $(VENV)/.uv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/.uv uv
	$(VENV)/.uv/bin/uv pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e . $(TEAMS)
	rm -rf $(VENV)/.uv
	touch $@

$(TOOLS): $(INSTALLED) sdk/python/pyproject.toml
	@echo "Installing what the tests and checks need: a minute or two, 2 GB more"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' $(TEAMS) -e sdk/python
	touch $@

$(SITE_TOOLS): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(SITE)/bin/uv pip install --quiet --python $(SITE)/bin/python -c constraints.txt --group docs
	touch $@

install: $(INSTALLED) ## Loopline and the demo's team into .venv, without test tools

# Of the shell's variables, where many have one of this name, none chooses a cloud.
ifeq ($(origin ENVIRONMENT),command line)
demo: $(TOOLS)
	@scripts/system-packages.sh
	$(BIN)/python -m tests.emulators.clouds $(ENVIRONMENT) -- $(BIN)/loopline demo \
		--on deploy/environments/$(ENVIRONMENT).yaml --like tests/emulators/laptop.json
else
demo: $(INSTALLED) ## Two years of real orders through the whole loop, as a story; ENVIRONMENT=aws, gcp, azure, aws-endpoint: on a cloud's emulators
	@scripts/system-packages.sh run
	$(BIN)/loopline demo $(ARGS)
endif

up: $(INSTALLED) ## The same, left running to look at
	@scripts/system-packages.sh run
	$(BIN)/loopline demo --keep

test: $(TOOLS) ## The tests, with real servers that they start; heavy ones are left to test-heavy. ARGS go to pytest
	@scripts/system-packages.sh
	@scripts/kafka.sh || echo "Tests with Kafka will be skipped, or tell why they fail"
	@scripts/emulators.sh
	$(IN_PARALLEL) -m "not heavy" $(ARGS)

test-heavy: $(TOOLS) ## Heavy tests, all or GROUPS="kills faults": daemons, a cluster, Spark, browsers, kills (docs/testing.md)
	@scripts/system-packages.sh
	$(BIN)/python -m scripts.ci heavy $(GROUPS)

quick: $(TOOLS) ## check, and the tests that the change since main reaches: three minutes, before a push
	@scripts/system-packages.sh
	$(BIN)/python -m scripts.ci quick

flaky: $(TOOLS) ## Heavy tests N=20 times under load, by GROUPS: how often each fails
	@scripts/system-packages.sh
	$(BIN)/python -m scripts.ci flaky $(or $(N),20) $(GROUPS)

ci: $(TOOLS) ## What .ci/run runs: check, test, demo, the heavy tests that are due, within an hour
	@scripts/system-packages.sh
	$(BIN)/python -m scripts.ci

cluster: $(TOOLS) ## A Kubernetes of its own with what the chart needs beside it, left running; INSTALL=yes: and the chart
	@scripts/system-packages.sh
	@scripts/cluster.sh
	INSTALL=$(INSTALL) $(BIN)/python -m scripts.cluster

images: $(TOOLS) ## Images of a release as OCI archives with a bill of materials, without Docker
	$(BIN)/python -m scripts.images

release: $(TOOLS) ## VERSION=x.y.z of a clean tree, into build/release: packages, images, chart, provenance; signed by RELEASE_KEY=file.pem
	@test -n "$(VERSION)" || { echo "say which: make release VERSION=x.y.z" >&2; exit 2; }
	$(BIN)/python -m scripts.release $(VERSION) $(if $(RELEASE_KEY),--key $(RELEASE_KEY))

lowest: $(TOOLS) ## The lower bounds of pyproject.toml: the oldest versions that are allowed, under test
	@scripts/system-packages.sh
	@scripts/lowest.sh

pythons: $(TOOLS) ## The core of the tests under Python 3.12 and 3.13, where this machine has them
	@scripts/system-packages.sh
	@scripts/pythons.sh

check: $(TOOLS) ## Style, types, arrows, spelling, dependencies, credentials, workflows
	$(BIN)/ruff check .
	$(BIN)/python scripts/guard.py
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/lint-imports --config floors.toml
	$(BIN)/codespell
	$(BIN)/deptry .
	$(BIN)/zizmor --offline --quiet --strict-collection .github/workflows
	$(BIN)/loopline policy validate
	$(BIN)/loopline policy test
	@if git rev-parse -q --verify HEAD~1 >/dev/null; then $(BIN)/loopline contract diff --since HEAD~1; fi
	$(BIN)/python -m scripts.breaking

docs: $(SITE_TOOLS) ## The documentation site, in build/site; any warning fails it
	$(SITE)/bin/python scripts/docs_site.py
	$(SITE)/bin/zensical build --strict --clean

peers: $(TOOLS) ## The environments of the projects that we are compared with
	@for pins in benchmarks/peers/*.txt; do scripts/peer.sh $$(basename $$pins .txt); done

bench: peers ## Benchmarks: ours beside the peer, written to docs/benchmarks.md
	@scripts/system-packages.sh
	@scripts/kafka.sh
	$(BIN)/python -m benchmarks

habits: $(TOOLS) ## Where we stand beside the sizes in docs/style.md
	@$(BIN)/python scripts/habits.py
	@$(BIN)/python scripts/habits_of_kinds.py

format: $(TOOLS) ## Rewrite files to the style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

constraints: $(TOOLS) ## Resolve dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --extra dev --extra postgres --extra laptop --group docs pyproject.toml sdk/python/pyproject.toml -o constraints.txt

clean: ## Forget state and environment
	rm -rf $(VENV) $(SITE) build .cache .loopline
