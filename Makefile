# Everything from nothing on Debian 12 with `apt install git make python3-venv`; `make help` lists the targets.
# No target but `services` needs root; `inference` and `engine` need a compiler, `bench`, `nightly` and `cluster-local` use one that is there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
JOBS   ?= 2
ARGS   ?=
ONLY   ?=
UV_VERSION := 0.13.9

# Wheels only: a machine without a compiler must not find out half-way.
PIP_INSTALL = $(PY) -m pip install --disable-pip-version-check --retries 5 --timeout 60
PIP_LOCKED  = $(PIP_INSTALL) --require-hashes --only-binary :all:
# The checkout itself, editable, so that `fengsui` is a command; hatchling comes from the lock, hence no build isolation.
PIP_SELF    = $(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .

SERVICE_PACKAGES := curl postgresql prometheus chromium fonts-noto-cjk gcc libc6-dev python3-dev openjdk-17-jre-headless maven docker-compose \
  debootstrap mosquitto mosquitto-clients

.PHONY: help
help:  ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.stamp-run $(VENV)/.stamp-self $(VENV)/.stamp-kernel  ## .venv with what Fengsui needs to run, from requirements.lock

.PHONY: setup-dev
setup-dev: $(VENV)/.stamp-dev $(VENV)/.stamp-self $(VENV)/.stamp-kernel  ## .venv with the test and check tools as well, from requirements-dev.lock

# An interrupted `venv` leaves a python without pip, so pip is what is asked for.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Fengsui needs Python 3.11 or later, found $$($(PYTHON) --version 2>/dev/null || echo none);" \
	       "name another one with: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  echo "== [1/3] creating $(VENV) with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    rm -rf $(VENV); echo "venv failed; on Debian: apt install python3-venv" >&2; exit 1; }; \
	fi
	@touch $@

$(VENV)/.stamp-run: requirements.lock $(VENV)/.stamp-venv
	@echo "== [2/3] installing $$(grep -c '^[a-zA-Z]' $<) pinned packages of $< (about a minute)"
	@$(PIP_LOCKED) -r $<
	@touch $@

# The run lock is a part of the dev lock, with the same versions.
$(VENV)/.stamp-dev: requirements-dev.lock $(VENV)/.stamp-venv
	@echo "== [2/3] installing $$(grep -c '^[a-zA-Z]' $<) pinned packages of $< (about a minute)"
	@$(PIP_LOCKED) -r $<
	@touch $(VENV)/.stamp-run $@

$(VENV)/.stamp-self: pyproject.toml $(VENV)/.stamp-venv
	@echo "== [3/3] installing the fengsui command of this checkout"
	@$(PIP_SELF)
	@touch $@

# The kernel's machine code, so that no later start has to wait for it; a machine that cannot compile runs on the Python engine.
$(VENV)/.stamp-kernel: $(wildcard streams/kernel/*.py) $(VENV)/.stamp-self
	@$(PY) -m app.columnar || echo "the kernel could not be compiled; rules run on the Python engine" >&2
	@touch $@

.PHONY: inference
# No wheel is published: it is compiled, with the setuptools of the dev lock.
inference: setup-dev  ## build durable-rules, the second opinion on inferences (needs gcc and Python's headers)
	@$(PIP_INSTALL) --quiet --require-hashes --no-deps --no-build-isolation --no-binary durable-rules -r requirements-inference.lock

.PHONY: engine
engine: setup-dev  ## compile the engine: twice as fast (needs gcc and Python's headers; a minute)
	@$(PY) -m deploy.engine

.PHONY: demo
demo: setup  ## one month of a made-up city, the whole loop (ARGS="--headless --summary out.json")
	$(VENV)/bin/fengsui demo $(ARGS)

.PHONY: test
# Files in the order of tests/conftest.py. Much of it is waiting: a process more than there are processors is the quickest.
test: setup-dev  ## all tests (ARGS="tests/rules -k window"; JOBS=n processes)
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: setup-dev  ## lint, format, types, import contracts, docstrings of tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/interrogate --quiet --fail-under 100 --whitelist-regex '^test_' tests

.PHONY: format
format: setup-dev  ## format and mend what can be mended by itself
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: bench
bench: setup-dev  ## measure speed on this machine (ONLY=name)
	@$(PY) -m deploy.engine --where-possible
	@$(PY) deploy/run_scripts.py benchmarks --only "$(ONLY)" -- $(ARGS)

.PHONY: nightly
nightly: setup-dev  ## the long campaigns (ONLY=kill9; ARGS="--plant NAME" must make one fail)
	@$(PY) -m deploy.engine --where-possible
	@$(PY) deploy/run_scripts.py tests/campaigns --only "$(ONLY)" -- $(ARGS)

.PHONY: cluster-local
cluster-local: setup-dev  ## Kafka, PostgreSQL and all roles of a cluster without Docker, until Ctrl-C (ARGS="--workers 3")
	@$(PY) -m deploy.engine --where-possible
	@$(PY) -m deploy.cluster_local $(ARGS)

.PHONY: services
services:  ## apt-get install what some tests need: curl, postgresql, prometheus, chromium, fonts, a compiler, Java, docker-compose, debootstrap, mosquitto (root)
	@bash deploy/services.sh $(SERVICE_PACKAGES)

.PHONY: lock
lock: $(VENV)/.stamp-venv  ## write the lock files anew from pyproject.toml (ARGS=--upgrade moves the versions)
	@$(PIP_INSTALL) --quiet "uv==$(UV_VERSION)"
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --group build $(ARGS) pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --group build --extra kafka --constraint requirements.lock pyproject.toml --output-file requirements-cluster.lock
	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --group build --group dev --extra kafka --constraint requirements-cluster.lock pyproject.toml --output-file requirements-dev.lock

	$(VENV)/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --group engine --constraint requirements-dev.lock --output-file requirements-engine.lock

.PHONY: clean
clean:  ## remove caches and build output; .venv stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist streams/compiled
