# Each target sets itself up: deploy/local/venv makes .venv on the first call and returns at once afterwards.
.DEFAULT_GOAL := help
SHELL := /bin/bash
python := .venv/bin/python
ARGS ?=
sources := $(wildcard shared/src services/*/src deploy/local/src tests)
space := $(subst ,, )

.PHONY: docs words help operations run test test-faults test-containers lint format bench lock clean venv images up down

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## make or repair .venv (PYTHON=python3.12 chooses the interpreter)
	@deploy/local/venv

run: venv ## the dashboard; with no node configured, a demonstration on a private regtest chain
	@exec $(python) -m local_run

test: venv ## every test (ARGS="tests/local -k node" for some)
	$(python) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-faults: venv ## the fault suite in full: kill -9, lost messages, bursts
	$(python) -m pytest tests/faults --full $(ARGS)

test-containers: venv ## containers on a real engine: built, scaled, killed, rolled over while transactions flow (Debian, root)
	$(python) -m pytest tests/containers tests/shared --engine -s $(ARGS)

images: ## one image a service, with its size and bill of materials (BASE_IMAGE, IMAGE_PREFIX, IMAGE_TAG, PLATFORM)
	@deploy/images $(ARGS)

up: venv ## the dashboard in containers, until its page answers (SCALE="explorer=3 web=2" for more of some)
	@deploy/up

down: ## end it; its data stays (ARGS=--volumes drops it)
	@deploy/up down $(ARGS)

operations: venv ## the fault suite in full, and what was answered meanwhile as a table in docs/operations.md
	$(python) -m pytest tests/faults --full --operations docs/operations.md $(ARGS)

lint: venv ## ruff and mypy; hadolint, compose and what Kubernetes would say of deploy/
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	MYPYPATH=$(subst $(space),:,$(sources)) $(python) -m mypy $(sources)
	.venv/bin/hadolint deploy/Dockerfile deploy/demo/Dockerfile deploy/debian/Dockerfile
	.venv/bin/docker-compose --file deploy/compose.yaml --profile demo config --quiet
	@deploy/check

format: venv ## lay out the code and sort its imports
	$(python) -m ruff check --select I --fix .
	$(python) -m ruff format .

bench: venv ## measure; prints a table and writes bench-*.json
	$(python) tests/bench/run.py $(ARGS)

docs: venv ## write docs/events.md from the event types, and draw the packages into docs/architecture.md
	PYTHONPATH=tests $(python) tests/docs/events_page.py > docs/events.md
	PYTHONPATH=tests $(python) tests/docs/packages_page.py

words: venv ## gather what pages say into the catalogues of each language, and name what is not translated
	@PYTHONPATH=tests $(python) tests/docs/catalogues.py

lock: venv ## write requirements/*.txt anew
	requirements/lock

clean: ## remove what is made: the environment, caches; the demonstration's chain in .data stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
