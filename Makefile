# The two commands of the README, and the rest. Every target makes its own virtual environment first, because an
# "externally managed" Python (Debian, Ubuntu, Fedora) takes no packages.

PYTHON ?= python3
VENV ?= .venv
SCENARIO ?= scenarios/relu_net.toml
ARGS ?=

python := $(VENV)/bin/python
pip := $(python) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: sweep test torture lint format bench catalogue figures schema tables docs clean

sweep: $(VENV)/.run ## run the main job
	$(python) scripts/sweep.py $(SCENARIO) $(ARGS)

test: $(VENV)/.dev ## run the tests, on as many cores as there are (at most 4: each compiles kernels)
	$(python) -m pytest -n auto --maxprocesses 4 $(ARGS)

torture: $(VENV)/.dev ## the tests over generated programs, far more of them than in the suite
	$(python) -m pytest -n auto -m torture --programs 2000 $(ARGS)

lint: $(VENV)/.dev ## style, types, and who may import whom
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: $(VENV)/.bench ## simsa beside its peers, by hand
	$(python) -m benchmarks $(ARGS)

catalogue: $(VENV)/.run ## run every scenario, and write docs/findings/results.md
	$(python) scripts/results.py $(ARGS)

figures: $(VENV)/.run ## draw the figures of the README again
	$(python) scripts/figures.py all $(ARGS)

schema: $(VENV)/.run ## write the schema that editors check scenarios against
	$(python) -m simsa.scenario > schema/scenario.schema.json

tables: $(VENV)/.run ## write the tables in docs/ that follow from rows of the program
	$(python) scripts/tables.py

docs: $(VENV)/.docs ## build the manual to build/docs: every example runs, and warnings are errors
	$(python) -m sphinx -W --keep-going -d build/doctrees docs build/docs $(ARGS)

clean:
	rm -rf $(VENV) build docs/_built .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Debian's python3 without python3-venv has no ensurepip: its own pip can still fill an empty environment.
$(python):
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) > /dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --quiet --python $(python) install pip; } || \
		{ rm -rf $(VENV); echo "simsa needs Python 3.11 or later with venv (Debian: apt install python3-venv)"; exit 1; }

$(VENV)/.run: pyproject.toml constraints.txt | $(python)
	@echo "installing simsa and what it needs (a minute)"
	@$(pip) --editable .
	@touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(python)
	@echo "installing simsa and the peers it is measured against (minutes)"
	@$(pip) --editable '.[bench]'
	@touch $@ $(VENV)/.run

$(VENV)/.docs: pyproject.toml constraints.txt | $(python)
	@echo "installing simsa with the tools of its manual (a minute)"
	@$(pip) --editable '.[docs]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: pyproject.toml constraints.txt | $(python)
	@echo "installing simsa with the tools of its tests (a minute)"
	@$(pip) --editable '.[test,lint]'
	@touch $@ $(VENV)/.run
