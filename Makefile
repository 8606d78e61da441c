# Everything needs only Python 3.11 (to 3.13) and a package index; the first call makes the environment.
#
#   make report                     the default studies' reports, in reports/
#   make report STUDY=name          one study of params/ (DATA=path for real data, WEIGHTS=path for a network's)
#   make test                       the tests
#   make lab                        JupyterLab on the notebooks

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

STUDY ?= holdout ensemble
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
BIN := .venv/bin
READY := .venv/.ready

# Paths of this machine; a study file holds none.
ifdef DATA
export POSTARREST_DATA := $(abspath $(DATA))
ifeq ($(origin STUDY),file)
$(error DATA= needs STUDY=: which study are these the data of?)
endif
endif
ifdef WEIGHTS
ifeq ($(origin STUDY),file)
$(error WEIGHTS= needs STUDY=: the default studies use two different networks)
endif
export POSTARREST_WEIGHTS := $(abspath $(WEIGHTS))
endif

.PHONY: help report test check lab env lock clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

env: $(READY)  ## the environment in .venv, exactly as locked

LOCKED := .venv/.locked
$(LOCKED): requirements.lock
	@echo "Making the environment in .venv with $$($(PYTHON) --version) (about 3 GB, several minutes, once)."
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=path ...")'
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@echo "Installing $$(grep -c '^[a-z].*==' requirements.lock) locked packages ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	@# pip takes no editable install together with hashes: this project itself comes second.
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "The environment is ready."

# SNAKEMAKE= passes options on. With a plugin for the cluster (pip install snakemake-executor-plugin-slurm),
# SNAKEMAKE="--executor slurm --jobs 20 --slurm-status-command squeue" makes each step a job of it.
report: $(READY)  ## the report of the default studies, or of STUDY=
	@$(BIN)/python -m postarrest.pipeline report $(STUDY) --cores $(CORES) $(SNAKEMAKE)

test: $(READY)  ## the tests, and the style that 'make check' asks for
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n $(CORES) --dist loadfile

.PHONY: test-crash test-environment check-data evaluate reproduce-from-scores verify benchmark golden coverage
test-crash: $(READY)  ## longer: kill -9 in the middle of a run, then compare with an undisturbed one
	@$(BIN)/python -m pytest -m crash tests/pipeline

test-environment: $(READY)  ## longer: the conda file's pip section installed into an empty environment
	@rm -rf build/environment-test && $(PYTHON) -m venv build/environment-test
	@build/environment-test/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	@build/environment-test/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@build/environment-test/bin/python -c "import postarrest.study, keras, lightgbm; print(postarrest.study.names())"
	@rm -rf build/environment-test

check-data: $(READY)  ## read and check the data of STUDY=, train nothing
	@$(BIN)/python -m postarrest.pipeline.check_data $(STUDY)

evaluate: $(READY)  ## the evaluation report of somebody's scores: SCORES=file.csv
	@test -n "$(SCORES)" || { echo "Which scores? make evaluate SCORES=file.csv"; exit 2; }
	@POSTARREST_SCORES="$(abspath $(SCORES))" $(BIN)/python -m postarrest.pipeline report --cores $(CORES) evaluate

reproduce-from-scores: $(READY)  ## the evaluation of STUDY= again, from its kept scores alone
	@for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline.verify --study $$s --from-scores; done

verify: $(READY)  ## this machine's numbers of STUDY= against reports/expected/
	@for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline.verify --study $$s; done

check: $(READY)  ## ruff, both as linter and as formatter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: simulation-check test-browser ablation
simulation-check: $(READY)  ## the hold-out study's readings with 20 seeds, into docs/simulation-seeds.csv
	@$(BIN)/python benchmarks/simulation_seeds.py --out docs/simulation-seeds.csv

test-browser: $(READY)  ## longer: the reports' pages and JupyterLab in Chromium (needs node and Chromium)
	@cd browser && npm ci --silent && npm run pages && npm run lab

ablation: $(READY)  ## longer: what stopping early on the hold-out itself would have added
	@$(BIN)/python benchmarks/ablation_early_stopping.py --out docs/early-stopping.md

.PHONY: fuzz canary benchmark-finetuning
fuzz: $(READY)  ## longer: the readers of tables and images against broken files, led by coverage
	@$(BIN)/python tests/helpers/fuzz.py --seconds 600

canary: $(READY)  ## longer: planted names and birthdays looked for in a whole report and its logs
	@$(BIN)/python tests/helpers/canary.py

benchmark: $(READY)  ## speed, as ratios in one run: the bootstrap and the CNN arm beside the naive ways, and each step
	@$(BIN)/python benchmarks/benchmark_bootstrap.py
	@$(BIN)/python benchmarks/benchmark_cnn.py
	@$(BIN)/python benchmarks/stages.py

benchmark-finetuning: $(READY)  ## longer: what training deeper than the head costs and gains in STUDY=, once it has run
	@$(BIN)/python benchmarks/benchmark_finetuning.py --study $(STUDY) $(BENCHMARK)

golden: $(READY)  ## the evaluation beside R, scikit-learn, SciPy and statsmodels, into docs/golden.md
	@$(BIN)/python tests/helpers/golden.py --out docs/golden.md

coverage: $(READY)  ## hours: how often each kind of interval covers the truth, into docs/coverage.csv
	@$(BIN)/python benchmarks/coverage.py --out docs/coverage.csv

# JUPYTER_PREFER_ENV_PATH: kernels of this environment come before any that the user has of the same name.
lab: $(READY) pair  ## JupyterLab on the notebooks, from a page that lists them
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}}' \
	  > .venv/share/jupyter/lab/settings/overrides.json
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --notebook-dir=. \
	  --LabApp.default_url=/lab/tree/notebooks/README.md $(LAB)

.PHONY: pair
pair: $(READY)  ## a local .ipynb beside each notebook, for JupyterLab and papermill by hand
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

lock:  ## new versions: writes requirements.lock and environment.yml from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --upgrade --quiet pyproject.toml -o requirements.lock

clean:  ## all that was made, but the environment
	rm -rf build $(filter-out reports/expected/,$(wildcard reports/*/)) reports/*.html .snakemake
