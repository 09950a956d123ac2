# Two commands for a new user: `make run` and `make test`. Everything they need they set up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEDS ?= 200
NAME ?=

.DEFAULT_GOAL := help
.PHONY: help run test install check format sim bench unit durability hostile schemas lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml scripts/install
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/install

install: $(STAMP) ## the environment in .venv, with the raypod command

run: $(STAMP) ## the main job: a container on an embedded single-node Ray cluster
	@scripts/preflight run
	@$(BIN)/python -P examples/main_job.py

test: $(STAMP) ## all tests but the slow ones
	@scripts/preflight test
	@scripts/install-test-peers
	@$(BIN)/python -m pytest

unit: $(STAMP) ## the tests that need neither root nor Ray
	@$(BIN)/python -m pytest tests/unit tests/property tests/golden tests/sim

check: $(STAMP) ## linters, types, layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(STAMP)
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

sim: $(STAMP) ## SEEDS=N seeds of the simulated cluster
	@$(BIN)/python -m actors.sim --seeds $(SEEDS)

bench: $(STAMP) ## NAME=launch|start|store|gateway|scheduler|footprint: figures beside the peer's (--json: JSON=1)
	@scripts/install-test-peers
	@$(BIN)/python -m benchmarks $(NAME) $(if $(JSON),--json)

durability: $(STAMP) ## 500 kill -9 of the store while clients write
	@$(BIN)/python -m pytest tests/e2e/test_store_durability.py --kills 500 --timeout 3600

hostile: $(STAMP) ## schemathesis: 10,000 requests that our own OpenAPI leads to
	@$(BIN)/python -m pytest -s tests/conformance/api/test_schema_walk.py --walk 10000 --timeout 7200

schemas: $(STAMP) ## derive our tables of schemas and descriptions from Kubernetes' published ones
	@$(BIN)/python scripts/derive_schemas.py

lock: ## derive requirements.lock from pyproject.toml (needs uv)
	@uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --group dev -q pyproject.toml -o requirements.lock

clean:
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .import_linter_cache
