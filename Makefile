# Everything here needs only `make` and `python3` (3.11 or newer).

PYTHON ?= python3
NEWEST_PYTHON ?=
WORKERS ?= 2
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
NEWEST_VENV := .venv-newest
DEMO := results/demo

.PHONY: help setup demo test test-newest bench validate docs lint clean

help:
	@echo "make setup        make .venv with everything"
	@echo "make demo         12 March 2020 and 10 October 2025, who paid, and a report to look at"
	@echo "make test         the test suite (WORKERS=$(WORKERS) processes; ARGS=... goes to pytest)"
	@echo "make test-newest  the same on the newest Python found, in .venv-newest"
	@echo "make bench        the speed table, also written to benchmarks/latest.json"
	@echo "make validate     check every bundled scenario, and run the notebooks in full"
	@echo "make docs         the documentation as a site: build/docs/index.html"
	@echo "make lint         style and simple mistakes"
	@echo "make clean        remove environments, caches and the demo's outputs"

setup: $(VENV)/.ready
	@echo "Ready: $(VENV)"

$(VENV)/.ready: pyproject.toml constraints.txt .ci/make-venv
	@.ci/make-venv "$(PYTHON)" $(VENV)
	@touch $@

demo: $(VENV)/.ready
	@rm -rf $(DEMO)
	@$(VENV)/bin/contagion run black_thursday --seed 7 --out $(DEMO)/black_thursday-7
	@$(VENV)/bin/contagion run october_2025 --seed 7 --out $(DEMO)/october_2025-7
	@printf 'The same as pictures and sentences, to open in a browser: '
	@$(VENV)/bin/contagion report $(DEMO)/october_2025-7

# A compiled kernel is cached by the file it stands in, not by those it calls: after an edit all are compiled anew.
FRESH := [ -z "$$(find contagion -name '*.py' -newer .kernels 2>/dev/null)" ] && [ -e .kernels ] || \
	{ find contagion benchmarks -name '*.nb[ic]' -delete; touch .kernels; }

test: $(VENV)/.ready
	@$(FRESH)
	@$(PY) -m pytest -n $(WORKERS) $(ARGS)

test-newest:
	@python="$(NEWEST_PYTHON)"; [ -n "$$python" ] || python=$$(.ci/newest-python) || exit 2; \
	echo "Testing on $$("$$python" --version)"; \
	.ci/make-venv "$$python" $(NEWEST_VENV)
	@$(FRESH)
	@$(NEWEST_VENV)/bin/python -m pytest -n $(WORKERS) $(ARGS)

bench: $(VENV)/.ready
	@$(FRESH)
	@$(PY) -m benchmarks $(ARGS)

validate: $(VENV)/.ready
	@for name in $$($(VENV)/bin/contagion scenarios --names); do $(VENV)/bin/contagion validate $$name || exit $$?; done
	@$(PY) notebooks/execute.py --check

docs: $(VENV)/.ready
	@$(PY) -m sphinx -W --keep-going -q -E -b html docs build/docs
	@echo "build/docs/index.html"

lint: $(VENV)/.ready
	@$(PY) -m ruff check .

clean:
	rm -rf $(VENV) $(NEWEST_VENV) $(DEMO) .pytest_cache .ruff_cache .hypothesis build dist
	find contagion tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
