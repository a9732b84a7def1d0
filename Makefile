.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
MUTANTS := .venv-mutants
BIN := $(VENV)/bin
RUN := $(BIN)/python manage.py
HOST ?= 127.0.0.1:8000
# Not --quiet, with which --strict counts no warning.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
TWO_AT_A_TIME := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup system run demo test lint docs format bench bench-million containers faults mutants screenshots clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs]'
	@touch $@

setup: $(VENV)/.ready ## Make the virtual environment with the tested versions

run: setup ## Web server and workers on http://127.0.0.1:8000 (HOST=… for another)
	$(RUN) up $(HOST)

demo: setup ## Process a sample catalogue for real, from local pictures
	$(RUN) demo

system: ## Install what the tests need from the operating system, where it is missing
	@tests/support/servers/install-system-packages

# Two runs, and either may fail the make: what depends on the database's kind on SQLite first, then
# all of it on PostgreSQL, two files at a time.
test: setup system ## The whole test suite, with real servers
	TEST_DATABASE=sqlite $(BIN)/python -m pytest -m 'both_databases and not faults'
	TEST_DATABASE=postgres $(BIN)/python -m pytest -m 'not faults' $(TWO_AT_A_TIME)

containers: setup ## Needs Docker: build the image, run the compose file, upgrade (OLD=… from there), restore
	$(BIN)/python -m tests.containers

faults: setup system ## The long form of the fault suite (docs/reliability.md); half an hour
	TEST_DATABASE=postgres $(BIN)/python -m pytest -m faults tests/faults tests/operate tests/e2e tests/images

# An environment of its own: mutmut brings setproctitle, with which django-q2 renames the workers.
mutants: setup ## Break lines one at a time, see if a test notices (ROOM='imageproc.sheet.cell*')
	@test -x $(MUTANTS)/bin/python || $(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/pip install --quiet --constraint constraints.txt --editable '.[test,mutants]'
	nice $(MUTANTS)/bin/mutmut run --max-children 2 $(if $(ROOM),'$(ROOM)')
	$(MUTANTS)/bin/mutmut results

lint: setup ## Style, types, import laws, Django's own checks, the documents' links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(RUN) makemigrations --check --dry-run
	ENV_FILE=/dev/null SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	ALLOWED_HOSTS=images.example.com PUBLIC_URL=https://images.example.com NUM_PROXIES=1 \
	REDIS_URL=redis://redis:6379/0 S3_BUCKET=images \
	$(RUN) check --deploy --fail-level WARNING
	site=$$(mktemp -d) && trap 'rm -r "$$site"' EXIT && $(SITE) --site-dir "$$site"

docs: setup ## The documentation's site, in site/
	$(SITE)

bench: setup ## Speed beside the ceiling and peers (25 minutes); writes docs/performance.md
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	@! command -v npm >/dev/null || npm ci --silent --no-audit --no-fund --prefix bench/peers
	@test -x bench/peers/.venv/bin/python || $(PYTHON) -m venv bench/peers/.venv
	bench/peers/.venv/bin/pip install --quiet --requirement bench/peers/img2dataset.txt
	$(BIN)/python -m bench

bench-million: setup ## A CSV of a million image URLs; writes docs/performance.md
	$(BIN)/python -m bench.million

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: setup ## Take the pages' pictures for the README anew (PHOTOS=… a folder of JPEGs)
	$(BIN)/python -m tests.web.browser.screenshots docs/images $(PHOTOS)

clean: ## Remove the environment and all local data
	rm -rf $(VENV) $(MUTANTS) mutants site var
