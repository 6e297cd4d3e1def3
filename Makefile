# Channels Hub. `make help` says what there is; Python 3.11 to 3.13 and make are all that has to be there.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
# The page's list of files is there before the client library is built: a build that failed must not look like one.
.DELETE_ON_ERROR:

# Settings: `make install PYTHON=/opt/python3.12/bin/python VENV=.venv-3.12`
PYTHON ?=
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PAGE := hub/web/dist/manifest.json
PAGE_SOURCES := docs/incidents.md $(shell find frontend -name node_modules -prune -o -type f -print 2>/dev/null)
NODE_MODULES := frontend/node_modules/.package-lock.json
# At least four: many tests wait for a clock, and two would leave half of two processors unused.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((n > 4 ? n : 4)))
FAST := not slow and not server and not browser and not prometheus

# uv trusts the machine's certificates, as pip can be told to.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Tests never see what the developer's shell holds for a hub of their own.
LEAKS := HUB_% SENTRY_% OTEL_% WEBSOCKET_% DJANGO_% PROMETHEUS_% ENABLE_PROMETHEUS REDIS_URL DATABASE_URL \
	SECRET_KEY DEBUG ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS SECURE_COOKIES LOG_LEVEL
LEAKS := $(filter-out HUB_REQUIRE_ALL,$(filter $(LEAKS),$(.VARIABLES)))
CLEAN_ENV := env $(foreach name,$(LEAKS),-u $(name))

# The first Python that will do: supported, and able to make a virtual environment.
define FIND_PYTHON
python=; found=; \
for candidate in $(PYTHON) $(if $(PYTHON),,python3.11 python3.12 python3.13 python3 python); do \
	found="$$found\n  $$candidate: $$("$$candidate" --version 2>&1 | head -n 1)"; \
	"$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || continue; \
	"$$candidate" -c 'import ensurepip, venv' 2>/dev/null && python=$$candidate && break; \
	found="$$found, but it lacks the module venv (Debian and Ubuntu: apt-get install python3-venv)"; \
done; \
if [ -z "$$python" ]; then \
	printf "Channels Hub needs Python 3.11, 3.12 or 3.13 with the module venv. Found:$$found\n"; \
	echo "Install one of them, or name it: make install PYTHON=/path/to/python3.11"; \
	exit 1; \
fi
endef

# Runs npm with the system's Node where that is 20.19 or later, else with the one in the virtual environment.
define NPM
npm() { \
	if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a * 100 + +b < 2019)' 2>/dev/null && command -v npm >/dev/null; \
	then command npm "$$@"; else PATH="$(abspath $(BIN)):$$PATH" command npm "$$@"; fi; \
}; cd frontend && npm
endef

.PHONY: help
help:  ## Say what can be made (the default)
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: install
install: $(VENV)/.installed $(PAGE)  ## Build .venv and the operator page; quick when nothing changed
	@:

$(VENV)/.created:
	@$(FIND_PYTHON); echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV)
	@touch $@

# uv installs in a second what takes pip fifteen; where uv can't be had or can't reach the packages, pip does it.
$(VENV)/.requirements: $(VENV)/.created requirements.txt
	@echo "Installing requirements.txt"
	@$(BIN)/python -m pip install --quiet uv && $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt \
		|| $(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml hatch_build.py
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE_MODULES): frontend/package.json frontend/package-lock.json | $(VENV)/.installed
	@echo "Installing what the page is built with"
	@$(NPM) ci --loglevel=error --prefer-offline --fetch-retries=5
	@touch $@

$(PAGE): $(NODE_MODULES) $(PAGE_SOURCES)
	@echo "Building the page and the client library"
	@$(NPM) run --silent build
	@touch $@

.PHONY: run
run: install  ## The hub with demo tenants and traffic; prints the address and a one-time login
	@exec $(BIN)/python manage.py demo $(ARGS)

.PHONY: test
test: test-frontend test-python  ## All tests, the page's first

.PHONY: test-frontend
test-frontend: install  ## The page's own tests
	@$(NPM) test

# No more than three: what starts servers, browsers and databases takes more than one processor at times.
.PHONY: test-python
test-python: install  ## All tests but the page's own (ARGS='-k inbox' picks some, ARGS=-n0: one by one)
	@$(CLEAN_ENV) $(BIN)/python -m scripts.run_tests -n 3 --dist worksteal $(ARGS)

.PHONY: test-fast
test-fast: install  ## What takes less than two minutes: no browser, server or Prometheus, nothing marked slow (ARGS=-n0: one by one)
	@$(CLEAN_ENV) $(BIN)/python -m scripts.run_tests -n $(WORKERS) --dist worksteal -m "$(FAST)" $(ARGS)

.PHONY: test-matrix
test-matrix:  ## The fast tests on Python 3.12 and 3.13 with Django 6, where these are found
	@for version in 3.12 3.13; do \
		python=; \
		for candidate in python$$version $$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python 2>/dev/null); do \
			"$$candidate" -c 'import ensurepip, venv' 2>/dev/null && python=$$candidate && break; \
		done; \
		if [ -z "$$python" ]; then echo "=== NOT TESTED on Python $$version: no python$$version here ==="; continue; fi; \
		echo "=== Python $$version ==="; \
		$(MAKE) test-fast VENV=.venv-$$version PYTHON=$$python || exit 1; \
	done

.PHONY: check
check: install  ## Everything that finds faults without running: linters, types, walls, migrations, wire contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(CLEAN_ENV) $(BIN)/python manage.py makemigrations --check --dry-run
	$(CLEAN_ENV) $(BIN)/python manage.py hub_wire --check
	$(CLEAN_ENV) $(BIN)/python -m scripts.validate_deploy $(if $(filter 1,$(HUB_REQUIRE_ALL)),--strict)
	@$(NPM) run check

.PHONY: deploy-files
deploy-files: install  ## Write anew what is made in deploy/: rules for Prometheus, inhibitions, dashboards
	@$(CLEAN_ENV) $(BIN)/python manage.py hub_prometheus_rules --alertmanager deploy/alertmanager/alertmanager.yml
	@$(BIN)/python -m scripts.dashboards

.PHONY: format
format: install  ## Put the code in order: ruff's formatter and its safe fixes, the page's formatter
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	@$(NPM) run format

.PHONY: bench
bench: install  ## Measure against the design's targets (ARGS='--help' says what can be picked)
	@$(CLEAN_ENV) $(BIN)/python -m benchmarks $(ARGS)

.PHONY: screenshots
screenshots: install  ## Take the README's screenshots with a real Chromium
	@$(CLEAN_ENV) $(BIN)/python scripts/screenshots.py $(ARGS)

.PHONY: wheel
wheel: install  ## Build the wheel into dist/
	@$(BIN)/hatchling build -t wheel

.PHONY: lock
lock: $(VENV)/.installed  ## Lock the ranges of pyproject.toml into requirements.txt (ARGS=--upgrade takes newer ones)
	@$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --output-file requirements.txt $(ARGS)

.PHONY: clean
clean:  ## Remove what was built and cached, the virtual environments and var/ (the site's data) not
	@rm -rf build dist hub/web/dist frontend/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
