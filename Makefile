# `make test` sets everything up on a fresh machine.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# The others need a folder of labelled logs, a GPU, or another environment; each says so with --help.
BENCH  := racing report rules stitch wandb_read trainer_state pull hub evaluate

.PHONY: demo test check docs site bench clean

demo: $(VENV)/.eval  ## the whole of it on the bundled example: reports/demo/report.html
	$(BIN)/runscope demo

test: $(VENV)/.dev check  ## linters, types, layers, then all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

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

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.eval: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[eval]'
	touch $@

$(VENV)/.dev: $(VENV)/.eval
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[eval,dev]'
	touch $@

clean:
	rm -rf $(VENV)
