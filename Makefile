# `make test` sets everything up on a fresh machine.
SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c

# The tests start hundreds of commands: what was compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Names what is being fetched, on one line that grows, while pip is at work; its warnings are about itself.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --no-color --progress-bar off
NAMED := 2> >(grep -v '^WARNING' >&2) | awk '/^Collecting/ {sub(/[^A-Za-z0-9._-].*/, "", $$2); printf " %s", $$2; fflush()} \
  /^Installing collected/ {printf "\n  … and now unpacking them\n"; fflush()}'

# The others need a folder of labelled logs, a GPU, or another environment; each says so with --help.
BENCH  := racing report rules stitch wandb_read trainer_state pull hub evaluate error_rates scan loads baseline callback

.PHONY: demo test suite test-vllm torture check docs site bench pins dist clean

demo: $(VENV)/.eval  ## the whole of it on the bundled example: reports/demo/report.html
	$(BIN)/runscope demo

test: $(VENV)/.dev  ## linters, types and layers beside all tests
	$(MAKE) --no-print-directory -j 2 check suite

suite: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder  # on two cores: many tests wait for a server

test-vllm:  ## the vLLM backend on a CPU, in an environment of its own: two minutes to install, five to run
	$(PYTHON) tools/make_vllm_env.py .venv-vllm
	VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 .venv-vllm/bin/python -m pytest -p no:cacheprovider tests/evaluation/test_vllm.py

torture: $(VENV)/.dev  ## ten times as many damaged files, bad answers and kills as the suite takes; about an hour
	RUNSCOPE_TORTURE=300 $(BIN)/python -m pytest -n 2 --dist worksteal tests/robustness tests/survey/test_odd_trees.py tests/survey/test_damaged.py

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check -r docs/cli.md
	$(BIN)/python tools/make_rule_docs.py --check

docs: $(VENV)/.dev  ## the generated pages: command reference and rules
	$(BIN)/cog -r docs/cli.md
	$(BIN)/python tools/make_rule_docs.py

site: $(VENV)/.dev  ## the documents as web pages, in site/
	$(BIN)/python -m sphinx -q -W docs site

bench: $(VENV)/.dev  ## the figures that the documents name; takes most of an hour
	for name in $(BENCH); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

pins: $(VENV)/bin/python  ## constraints.txt anew: the newest versions that fit together on every Python and system
	$(PIP) -qq uv
	$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --upgrade --no-annotate \
	  --extra eval --extra dev --custom-compile-command 'make pins' --output-file constraints.txt pyproject.toml

dist: $(VENV)/.dev  ## wheel and source archive, in dist/
	$(BIN)/python -m build --no-isolation

$(VENV)/bin/python:
	@echo "Making an environment in $(VENV)/"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -qq --upgrade pip

$(VENV)/.eval: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing runscope with what it evaluates with; the first time this takes two or three minutes. Fetching"
	@$(PIP) -c constraints.txt -e '.[eval]' $(NAMED)
	@touch $@

$(VENV)/.dev: $(VENV)/.eval
	@echo "Installing what checks and tests need. Fetching"
	@$(PIP) -c constraints.txt -e '.[eval,dev]' $(NAMED)
	@touch $@

clean:
	rm -rf $(VENV) .venv-vllm dist
