PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
# one more than there are cores: many tests wait for a process of theirs
WORKERS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
.DEFAULT_GOAL := help
.PHONY: help demo kernels test kafka-test nightly check fmt bench golden train lock clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Crossdock needs Python 3.11 or 3.12; say where: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready ## Route ten months of real orders, and show what came of it
	@$(BIN)/crossdock replay examples/online-retail/log --lake out/online-retail --fresh

kernels: .venv/ready ## Compile the kernels, two minutes once, so that nothing waits for them later
	@$(BIN)/python -m flows.warmup route & routing=$$!; $(BIN)/python -m flows.warmup track && wait $$routing

test: kernels ## Run every test
	$(BIN)/python -m pytest -n $(WORKERS) $(SIDE_BY_SIDE)

kafka-test: .venv/ready ## Run the tests that need Apache Kafka on one of their own (Java 17, Maven)
	@test -z "$$CROSSDOCK_TEST_BOOTSTRAP" || exec $(BIN)/python -m pytest -m broker -n 2 $(SIDE_BY_SIDE); \
	test -n "$$CROSSDOCK_TEST_BOOTSTRAP" || exec $(BIN)/python -m tests.broker.server $(BIN)/python -m pytest -m broker -n 2 $(SIDE_BY_SIDE)

nightly: .venv/ready ## Kill the live job 50 times on Kafka and embedded; CROSSDOCK_TEST_SEED, _KILLS choose others
	@export CROSSDOCK_TEST_KILLS=$${CROSSDOCK_TEST_KILLS:-50} CROSSDOCK_TEST_SEED=$${CROSSDOCK_TEST_SEED:-$$(date +%Y%m%d)}; \
	exec $(BIN)/python -m tests.broker.server $(BIN)/python -m pytest -k "killed_and_resumed or kills_lose" \
	  tests/broker/test_live_job.py tests/crash/test_live_crash.py

check: .venv/ready ## Lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: .venv/ready ## Format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/ready ## Measure, with a ratio against baselines in the same call; with Kafka where Java and Maven are
	@if command -v java >/dev/null && command -v mvn >/dev/null; \
	then exec $(BIN)/python -m tests.broker.server $(BIN)/python -m bench; \
	else exec $(BIN)/python -m bench; fi

train: .venv/ready ## Rebuild the shipped models, bit for bit
	$(BIN)/python -m models.training.train
	$(BIN)/python -m models.training.arrival.train

golden: .venv/ready ## Rewrite generated files (JSON Schemas, texts as they are sent, what samples become); read the diff
	$(BIN)/crossdock schemas --out schemas/json
	$(BIN)/crossdock notify texts --json > tests/golden/notices/texts.jsonl
	$(BIN)/python -m tests.support.channels

lock: .venv/ready ## Resolve the dependencies anew
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --universal --generate-hashes \
	  --no-annotate --no-header --output-file requirements.lock

clean: ## Remove what was built
	rm -rf .venv .cache out bench/out .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
