# Everything needs only Python 3.11 (to 3.13) and a package index; the first call creates the environment in .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

STUDY ?= holdout ensemble
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
BIN := .venv/bin
READY := .venv/.ready
LOCKED := .venv/.locked

# Compiled once, and not in each of the many processes.
unexport PYTHONDONTWRITEBYTECODE

# Paths of this machine; a study file contains none. They stay as they are typed: make's own functions would cut a
# path at a blank, and do not know ~.
ifdef DATA
export POSTARREST_DATA := $(DATA)
ifeq ($(origin STUDY)$(filter apply,$(MAKECMDGOALS)),file)
$(error DATA= needs STUDY=: to which study do these data belong?)
endif
endif
ifdef MODEL
export POSTARREST_MODEL := $(abspath $(MODEL))
endif
ifdef WEIGHTS
ifneq ($(filter auto imagenet embedded none,$(WEIGHTS)),)
export POSTARREST_WEIGHTS := $(WEIGHTS)
else
ifeq ($(origin STUDY),file)
$(error a file of WEIGHTS= needs STUDY=: the default studies use two different networks)
endif
export POSTARREST_WEIGHTS := $(WEIGHTS)
endif
endif

.PHONY: help
help:  # targets in groups, from the comments below
	@awk '/^##/ {print substr($$0, 4)} /^[a-z-]+:.*## / {split($$0, p, ":.*## "); printf "  %-24s%s\n", p[1], p[2]}' Makefile

## Use
.PHONY: report check-data read-ct evaluate apply site-summary pool lab pair
# SNAKEMAKE= passes options on, such as those of a cluster's executor (docs/running.md).
# SECOND: the frozen model of the study ensemble, in a second simulated hospital.
report: SECOND = $(if $(filter file,$(origin STUDY)),hospital2)
report: $(READY)  ## the report of the default studies, or of STUDY= (DATA=path, WEIGHTS=imagenet, embedded, none or a path, MODEL=folder)
	@$(BIN)/python -m postarrest.pipeline report $(strip $(STUDY) $(SECOND)) --cores $(CORES) $(SNAKEMAKE)

read-ct: $(READY)  ## measure the GWR of STUDY= automatically, and open build/<study>/read_ct/index.html to check it
	@for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline report $$s --cores $(CORES) --target build/$$s/read_ct/index.html; done

check-data: $(READY)  ## read and check the data of STUDY=; trains nothing
	@$(BIN)/python -m postarrest.pipeline.check_data $(if $(filter command environment,$(firstword $(origin STUDY))),$(STUDY))

evaluate: $(READY)  ## the evaluation of scores from elsewhere: SCORES=file.csv
	@test -n "$(SCORES)" || { echo "Which scores? make evaluate SCORES=file.csv"; exit 2; }
	@POSTARREST_SCORES="$(SCORES)" $(BIN)/python -m postarrest.pipeline report --cores $(CORES) evaluate

apply: $(READY)  ## scores of new patients by a frozen model: MODEL=build/ensemble/model DATA=export OUT=file.csv
	@test -n "$(MODEL)" -a -n "$(DATA)" -a -n "$(OUT)" || { echo "make apply MODEL=folder DATA=export OUT=file.csv"; exit 2; }
	@$(BIN)/python -m postarrest.pipeline.apply --model "$(MODEL)" --data "$(DATA)" --out "$(OUT)" \
	  $(if $(filter command line,$(origin STUDY)),--study $(STUDY))

site-summary: $(READY)  ## what STUDY= may share with other hospitals, aggregates only (MASK=5, MODEL_NAME=)
	@for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline site-summary $$s $(if $(MASK),--mask-below $(MASK)) \
	  $(if $(MODEL_NAME),--model "$(MODEL_NAME)"); done

pool: $(READY)  ## one page of several hospitals: SUMMARIES="a.json b.json"
	@test -n "$(SUMMARIES)" || { echo 'Which summaries? make pool SUMMARIES="a.json b.json"'; exit 2; }
	@$(BIN)/python -m postarrest.pipeline pool $(SUMMARIES)

# FIRST: where nothing has been made yet, the small study is, and JupyterLab opens with its report.
# JUPYTER_PREFER_ENV_PATH: kernels of this environment come before any of the user's with the same name.
lab: FIRST := $(if $(wildcard reports/*/index.html),,smoke)
lab: $(READY) pair  ## JupyterLab on the notebooks; with the report of the small study if there is none yet
	@mkdir -p .venv/share/jupyter/lab/settings
	@echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}}' \
	  > .venv/share/jupyter/lab/settings/overrides.json
	@$(if $(FIRST),echo "No report has been made yet: that of the small study comes first and takes a few minutes." && \
	  $(BIN)/python -m postarrest.pipeline report $(FIRST) --cores $(CORES))
	@JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --notebook-dir=. \
	  --LabApp.default_url=/lab/tree/$(if $(FIRST),reports/$(FIRST)/index.html,notebooks/README.md) $(LAB)

pair: $(READY)  ## a local .ipynb next to each notebook, for JupyterLab and papermill
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

## Check
.PHONY: doctor test test-durations check verify reproduce-from-scores test-crash test-environment test-browser fuzz fuzz-studies test-combinations canary
# With any Python: the environment may be what is missing.
doctor:  ## what this machine has and lacks, and what to do (SLURM=yes looks for Slurm too)
	@PYTHONPATH=lib $$(test -x $(BIN)/python && echo $(BIN)/python || echo $(PYTHON)) -m postarrest.pipeline.doctor \
	  $(if $(SLURM),--slurm)

# One thread in each process: more would wait for one another.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
  $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the tests and 'make check'
	@$(MAKE) --no-print-directory check
	@$(PYTEST)

test-durations: $(READY)  ## the tests, and the 20 slowest of them with their seconds
	@$(PYTEST) --durations 20

check: $(READY)  ## style: ruff as linter and formatter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

verify: $(READY)  ## compare the numbers of STUDY= with reports/expected/, or a Word file with its report (DOCX=file)
	@$(if $(DOCX),$(BIN)/python -m postarrest.pipeline.verify --docx "$(DOCX)", \
	  for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline.verify --study $$s; done)

reproduce-from-scores: $(READY)  ## repeat the evaluation of STUDY= from its saved scores alone
	@for s in $(STUDY); do $(BIN)/python -m postarrest.pipeline.verify --study $$s --from-scores; done

test-crash: $(READY)  ## long: kill runs, resume them, compare with an uninterrupted run
	@$(BIN)/python -m pytest -m crash tests/pipeline

test-environment: $(READY)  ## long: install the lock into an empty environment
	@rm -rf build/environment-test && $(PYTHON) -m venv build/environment-test
	@build/environment-test/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	@build/environment-test/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@build/environment-test/bin/python -c "import postarrest.study.load, keras, lightgbm; print(postarrest.study.load.names())"
	@rm -rf build/environment-test

test-browser: $(READY)  ## long: pages and JupyterLab in Chromium (needs node and Chromium)
	@cd browser && npm ci --silent && npm run pages && npm run script && npm run lab && npm run readings

fuzz: $(READY)  ## long: the readers of tables and images on broken files
	@$(BIN)/python tests/helpers/fuzz.py --seconds 600

fuzz-studies: $(READY)  ## long: 10,000 study files that nobody would write; none may end in a traceback
	@$(BIN)/python tests/helpers/fuzz_studies.py --cases 10000

test-combinations: $(READY)  ## hours: every combination of protocol, modality and models runs, or is refused beforehand
	@PYTHONPATH=lib:tests/helpers $(BIN)/python tests/helpers/combinations.py --every

canary: $(READY)  ## long: search a whole report and its logs for planted names and birthdays
	@$(BIN)/python tests/helpers/canary.py

## Measure
.PHONY: pretrain ct-reader benchmark benchmark-finetuning benchmark-peers ablation ablation-ensemble where-lost golden coverage simulation-check
pretrain: $(READY)  ## make the network that reads CT again, from nothing (30 min on two cores; resumes)
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m postarrest.pipeline.pretrain

# OMP_NUM_THREADS: two processes share the patients.
ct-reader: $(READY)  ## long: how right the automatic readings are, and what they bear: docs/ct-reader.csv (TEMPLATE=file)
	@OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python benchmarks/ct_reader.py --out docs/ct-reader.csv \
	  $(if $(TEMPLATE),--template $(TEMPLATE))

benchmark: $(READY)  ## speed as ratios in one run, and the time of each step
	@$(BIN)/python benchmarks/benchmark_bootstrap.py
	@$(BIN)/python benchmarks/benchmark_forests.py
	@$(BIN)/python benchmarks/benchmark_cnn.py
	@$(BIN)/python benchmarks/stages.py

benchmark-finetuning: $(READY)  ## long: cost and gain of fine-tuning in STUDY=, after its report
	@$(BIN)/python benchmarks/benchmark_finetuning.py --study $(STUDY) $(BENCHMARK)

ablation: $(READY)  ## long: the optimism of early stopping on the hold-out set
	@$(BIN)/python benchmarks/ablation_early_stopping.py --out docs/early-stopping.md

ablation-ensemble: $(READY)  ## what each step of the stack gains or loses in STUDY=, nested, after its report: docs/ensemble-ablation.csv
	@$(BIN)/python benchmarks/ablation_ensemble.py --studies $(STUDY) --out docs/ensemble-ablation.csv

# In an environment of its own: no library that is compared is one that this project needs.
benchmark-peers: $(READY)  ## long: ensembles of other libraries on the outer folds of STUDY=, after its report: docs/peers-<study>.csv
	@test -x build/peers-environment/bin/python || $(PYTHON) -m venv build/peers-environment
	@build/peers-environment/bin/pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@for s in $(STUDY); do $(BIN)/python benchmarks/benchmark_peers.py --study $$s \
	  --python build/peers-environment/bin/python --out docs/peers-$$s.csv || exit 1; done

where-lost: $(READY)  ## where the ensemble of STUDY=, simulated, loses what was planted, after its report: docs/where-lost.csv
	@$(BIN)/python benchmarks/where_lost.py --study $(STUDY) --out docs/where-lost.csv

golden: $(READY)  ## the evaluation next to R, scikit-learn, SciPy and statsmodels: docs/golden.md
	@$(BIN)/python tests/helpers/golden.py --out docs/golden.md

coverage: $(READY)  ## hours: coverage of each kind of interval, also of trained models: docs/coverage*.csv
	@$(BIN)/python benchmarks/coverage.py --out docs/coverage.csv
	@$(BIN)/python benchmarks/coverage_training.py --out docs/coverage-training.csv
	@$(BIN)/python benchmarks/coverage_holdout.py --out docs/coverage-holdout.csv

simulation-check: $(READY)  ## the hold-out study's readings with 20 seeds: docs/simulation-seeds.csv
	@$(BIN)/python benchmarks/simulation_seeds.py --seeds 20 --out docs/simulation-seeds.csv

## Maintain
.PHONY: env lock docs clean
env: $(READY)  ## the environment in .venv, exactly as locked

# One make at a time: the system gives the lock back however the process ends. Variables of the command are not passed
# on, since they belong to its target.
define ALONE
import fcntl, os, sys
os.makedirs("build", exist_ok=True)
place = os.open("build/.environment", os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another make is creating the environment; waiting for it.", flush=True)
    fcntl.flock(place, fcntl.LOCK_EX)
os.set_inheritable(place, True)
os.execvp(sys.argv[1], sys.argv[1:])
endef
export ALONE

ifndef ENVIRONMENT_ALONE
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c "$$ALONE" $(MAKE) --no-print-directory --silent $@ ENVIRONMENT_ALONE=yes DATA= MODEL= WEIGHTS=
else
$(LOCKED): requirements.lock
	@echo "Creating the environment in .venv with $$($(PYTHON) --version) (about 3 GB, several minutes, once)."
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=path ...")'
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@echo "Installing $$(grep -c '^[a-z].*==' requirements.lock) locked packages ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	@# pip refuses an editable install together with hashes: this project itself comes second.
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "The environment is ready."
endif

lock:  ## new versions: requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --upgrade --quiet pyproject.toml -o requirements.lock

docs: $(READY)  ## the lists in docs/ that are made from the code: checks, data dictionary, error messages
	@$(BIN)/python -m postarrest.study.checks
	@$(BIN)/python -m postarrest.data.dictionary
	@$(BIN)/python tests/helpers/broken.py > build/broken-data.md && mv build/broken-data.md docs/broken-data.md

clean:  ## delete everything that was made, except the environment and readings by hand
	mkdir -p build
	find build -mindepth 2 -maxdepth 2 ! -name readings -exec rm -rf {} +
	find build -mindepth 1 -maxdepth 1 \( ! -type d -o -empty \) -delete
	rm -rf $(filter-out reports/expected/,$(wildcard reports/*/)) reports/*.html .snakemake
