# Which step needs which files. `make report` runs it through `python -m postarrest.pipeline report`; by hand:
#
#     snakemake --cores 2 --config studies="holdout ensemble"
#
# A step runs again when its parameters, its inputs or the source files that it uses have changed. On a cluster each
# step is a job, so the outer folds run at once; profiles/default holds the memory and time that each asks for.

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from postarrest import data
from postarrest.pipeline import stale
from postarrest.places import ROOT
from postarrest.refused import Refused
from postarrest.study import load
from postarrest.study.runs import runs

NAMES = str(config.get("studies", "holdout ensemble")).split()
try:
    STUDIES = load.with_sources(NAMES)
except Refused as error:
    # Errors in study files are told in words, before any step.
    sys.exit(str(error))
PYTHON = sys.executable
# Cores of a step that can use several.
CORES = int(config.get("cores_a_step", 2))
# What evaluations wait for comes before them, so that several are left to share the cores at the end.
MODELS_FIRST = 1

wildcard_constraints:
    study="|".join(STUDIES),
    split=r"(holdout|outer)(_all)?-\d+", label="revised|standard",

def code(source):
    """The files of this library that a notebook or module uses."""
    return [str(path.relative_to(ROOT)) for path in stale.modules_of(ROOT / source)]

def module(name):
    return code(f"lib/postarrest/{name}.py")

def parts(study, notebook):
    """The runs of a notebook in a study: its splits or folds."""
    return [run.part for run in runs(STUDIES[study]) if run.notebook == notebook]

def cnn_of_split(w):
    """Scores of the CNN in one split, and the patients that they depend on."""
    mine = [part for part in parts(w.study, "03_cnn") if part.startswith(f"{w.split}-")]
    return [f"build/{w.study}/{f}" for p in mine for f in (f"scores_cnn_{p}.csv", f"seen_cnn_{p}.json")]

def fitted(study, notebook, on_all):
    """The runs that fit all patients, for the frozen model; or those that leave test patients out."""
    return [run.part for run in runs(STUDIES[study]) if run.notebook == notebook and run.on_all == on_all]

def score_files(w):
    """Every model's scores; a study of scores from elsewhere has one file."""
    if STUDIES[w.study].scores:
        return [STUDIES[w.study].scores]
    if STUDIES[w.study].model:
        return [f"build/{w.study}/scores_external.csv"]
    files = list(STUDIES[w.study].marker_files)
    files += [f"scores_cnn_{part}.csv" for part in fitted(w.study, "03_cnn", on_all=False)]
    files += [f"scores_stacking_{part}.csv" for part in fitted(w.study, "04_stacking", on_all=False)]
    return [f"build/{w.study}/{file}" for file in files]

def left_by_notebooks(w):
    """What each notebook leaves for the report: itself, executed, and its numbers, tables and environment."""
    names = [run.name for run in runs(STUDIES[w.study])]
    maps = [f"build/{w.study}/gradcam_cnn_{part}.npz" for part in parts(w.study, "03_cnn")]
    return [f"reports/{w.study}/{n}.ipynb" for n in names] + [f"build/{w.study}/pages/{n}.json" for n in names] + maps

def chosen_first(w):
    """The models as the first outer fold chose them, and the network's features, if it is one of them."""
    networks = [p for p in parts(w.study, "03_cnn") if p.startswith("outer-1-")]
    names = ["chosen_outer-1.json"] + [f"chosen_cnn_{part}.json" for part in networks]
    return [f"build/{w.study}/{name}" for name in names + ["features.json"] * bool(networks)]

def needed_later(study):
    """Every file that some step reads. Snakemake makes a deleted one again only if it is asked for by name."""
    w, notebooks = SimpleNamespace(study=study), STUDIES[study].notebooks
    files = ["cohort.parquet", "gwr.parquet", "images.npz"] if "01_cohort" in notebooks else []
    files += ["splits.parquet"] if STUDIES[study].protocols else []
    files += ["features.json"] if "03_cnn" in notebooks else []
    files += [f"seen_cnn_{part}.json" for part in parts(study, "03_cnn")]
    files += ["model/manifest.json"] if STUDIES[study].protocols or STUDIES[study].model else []
    chosen = chosen_first(w) if "06_stability" in notebooks else []
    return left_by_notebooks(w) + score_files(w) + chosen + [f"build/{study}/{file}" for file in [*files, "scores.csv"]]

def fitted_on_all(w):
    """The models that are frozen, and their out-of-fold scores; or the update of a frozen model."""
    if STUDIES[w.study].model:
        return [f"{STUDIES[w.study].model}/manifest.json"] + [f"build/{w.study}/{f}" for f in UPDATE]
    cnn, stack = (fitted(w.study, notebook, on_all=True) for notebook in ("03_cnn", "04_stacking"))
    files = [f"{kind}_{p}{end}" for p in cnn for kind, end in (("scores_cnn", ".csv"), ("models/03_cnn", "/parts.json"))]
    files += [f"{kind}_{p}{end}" for p in stack for kind, end in (("scores_stacking", ".csv"), ("models/04_stacking", "/parts.json"))]
    files += STUDIES[w.study].marker_files
    return [f"build/{w.study}/{file}" for file in files]

# What notebook 08 leaves of a frozen model's update.
UPDATE = ("scores_external.csv", "scores_updated.csv", "update.json")

def simulated(w):
    """The simulation's last file. A hospital's files are not listed: their names could identify patients."""
    return [f"build/{w.study}/simulated.json"] if STUDIES[w.study].simulated else []

def fingerprint(w):
    """A hash of a hospital's export, which changes with any of its files."""
    return "" if STUDIES[w.study].simulated else data.fingerprint(Path(STUDIES[w.study].data))

def parameters(notebook, **further):
    """The parameters of a notebook. Unsorted: the order of criteria, search spaces and models matters."""
    filled = lambda w: {name: value.format(**w) for name, value in further.items()}
    return lambda w: json.dumps(STUDIES[w.study].parameters(notebook) | filled(w))

def section(name):
    return lambda w: json.dumps(STUDIES[w.study].sections[name], sort_keys=True)

STEP = "{PYTHON:q} -m postarrest.pipeline {rule} --study {wildcards.study}"
# The notebook writes its log; the error that stops it comes after, and is shown from there.
NOTEBOOK = STEP.replace("{rule}", "notebook") + " 2>> {log} --threads {threads} --parameters {params.given:q} --notebook "

localrules: all, splits, scores, freeze, pages, home

rule all:
    input: expand("reports/{study}/index.html", study=NAMES), "reports/index.html", [needed_later(name) for name in NAMES]

rule simulate:
    message: "{wildcards.study}: simulate the patients"
    input:
        module("simulate/write"),
        ancient("params/published.yaml"),
    output: "build/{study}/simulated.json"
    params: settings=section("simulate")
    priority: MODELS_FIRST
    log: "build/{study}/logs/simulate.log"
    benchmark: "build/{study}/time/simulate.tsv"
    threads: CORES
    shell: STEP + " --threads {threads} > {log} 2>&1"

rule cohort:
    message: "{wildcards.study}: read and check the patients (01_cohort)"
    input:
        simulated,
        code("notebooks/01_cohort.py"),
    output:
        "build/{study}/cohort.parquet",
        "build/{study}/gwr.parquet",
        "build/{study}/images.npz",
        "build/{study}/pages/01_cohort.json",
        "reports/{study}/01_cohort.ipynb",
    params: given=parameters("01_cohort"), data=fingerprint
    priority: MODELS_FIRST
    log: "build/{study}/logs/01_cohort.log"
    benchmark: "build/{study}/time/01_cohort.tsv"
    shell: NOTEBOOK + "01_cohort"

rule simulation:
    message: "{wildcards.study}: how the patients were simulated (A1_simulation)"
    input:
        simulated,
        "build/{study}/cohort.parquet",
        "build/{study}/gwr.parquet",
        "docs/simulation-seeds.csv",
        "params/published.yaml",
        code("notebooks/A1_simulation.py"),
    output: "build/{study}/pages/A1_simulation.json", "reports/{study}/A1_simulation.ipynb"
    params: given=parameters("A1_simulation")
    log: "build/{study}/logs/A1_simulation.log"
    benchmark: "build/{study}/time/A1_simulation.tsv"
    shell: NOTEBOOK + "A1_simulation"

rule splits:
    message: "{wildcards.study}: split the patients"
    input:
        "build/{study}/cohort.parquet",
        module("models/splits"),
    output: "build/{study}/splits.parquet"
    params: given=section("splits"), protocols=lambda w: " ".join(STUDIES[w.study].protocols)
    priority: MODELS_FIRST
    benchmark: "build/{study}/time/splits.tsv"
    shell: STEP

rule read_ct:
    message: "{wildcards.study}: read the regions of each head CT automatically"
    input:
        "build/{study}/cohort.parquet",
        module("pipeline/read_ct"),
        "lib/postarrest/models/ct_reader/reader.npz",
    output: [f"build/{{study}}/{f}" for f in ("gwr_auto.csv", "reader_flags.csv", "proposals.csv", "read_ct/index.html")]
    params: given=parameters("01_cohort"), data=fingerprint
    priority: MODELS_FIRST
    log: "build/{study}/logs/read_ct.log"
    benchmark: "build/{study}/time/read_ct.tsv"
    threads: CORES
    shell: STEP + " --threads {threads} > {log} 2>&1"

rule gwr:
    message: "{wildcards.study}: gray-to-white-matter ratio and its reliability (02_gwr)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/gwr.parquet",
        "build/{study}/splits.parquet",
        code("notebooks/02_gwr.py"),
    output:
        "build/{study}/scores_gwr.csv",
        "build/{study}/pages/02_gwr.json",
        "reports/{study}/02_gwr.ipynb",
    params: given=parameters("02_gwr")
    log: "build/{study}/logs/02_gwr.log"
    benchmark: "build/{study}/time/02_gwr.tsv"
    shell: NOTEBOOK + "02_gwr"

rule gwr_automatic:
    message: "{wildcards.study}: automatic gray-to-white-matter ratio (02_gwr_automatic)"
    input:
        [f"build/{{study}}/{f}" for f in ("cohort.parquet", "gwr.parquet", "splits.parquet", "gwr_auto.csv", "reader_flags.csv")],
        code("notebooks/02_gwr_automatic.py"),
    output:
        "build/{study}/scores_gwr_automatic.csv",
        "build/{study}/pages/02_gwr_automatic.json",
        "reports/{study}/02_gwr_automatic.ipynb",
    params: given=parameters("02_gwr_automatic")
    log: "build/{study}/logs/02_gwr_automatic.log"
    benchmark: "build/{study}/time/02_gwr_automatic.tsv"
    shell: NOTEBOOK + "02_gwr_automatic"

rule features:
    message: "{wildcards.study}: decide the network's weights; features of each CT slice from the frozen network"
    input:
        "build/{study}/images.npz",
        module("models/cnn/finetune"),
    # The decision on the weights, which every notebook of the study uses. The features themselves are kept under a
    # name made of all that they depend on, and computed if missing.
    output: "build/{study}/features.json"
    params: given=parameters("03_cnn")
    priority: MODELS_FIRST
    log: "build/{study}/logs/features.log"
    benchmark: "build/{study}/time/features.tsv"
    threads: CORES
    shell: STEP + " --threads {threads} > {log} 2>&1"

rule cnn:
    message: "{wildcards.study}: CNN on CT, {wildcards.split}, {wildcards.label} outcome (03_cnn)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/images.npz",
        "build/{study}/splits.parquet",
        "build/{study}/features.json",
        code("notebooks/03_cnn.py"),
    output:
        "build/{study}/scores_cnn_{split}-{label}.csv",
        "build/{study}/seen_cnn_{split}-{label}.json",
        "build/{study}/models/03_cnn_{split}-{label}/parts.json",
        "build/{study}/chosen_cnn_{split}-{label}.json",
        "build/{study}/gradcam_cnn_{split}-{label}.npz",
        "build/{study}/pages/03_cnn_{split}-{label}.json",
        "reports/{study}/03_cnn_{split}-{label}.ipynb",
    params: given=parameters("03_cnn", split="{split}", outcome_label="{label}")
    priority: MODELS_FIRST
    log: "build/{study}/logs/03_cnn_{split}-{label}.log"
    benchmark: "build/{study}/time/03_cnn_{split}-{label}.tsv"
    shell: NOTEBOOK + "03_cnn --run {wildcards.split}-{wildcards.label}"

rule stacking:
    message: "{wildcards.study}: base models and stack, {wildcards.split} (04_stacking)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        cnn_of_split,
        code("notebooks/04_stacking.py"),
    output:
        "build/{study}/scores_stacking_{split}.csv",
        "build/{study}/models/04_stacking_{split}/parts.json",
        "build/{study}/chosen_{split}.json",
        "build/{study}/pages/04_stacking_{split}.json",
        "reports/{study}/04_stacking_{split}.ipynb",
    params: given=parameters("04_stacking", split="{split}")
    priority: MODELS_FIRST
    log: "build/{study}/logs/04_stacking_{split}.log"
    benchmark: "build/{study}/time/04_stacking_{split}.tsv"
    shell: NOTEBOOK + "04_stacking --run {wildcards.split}"

rule scores:
    message: "{wildcards.study}: combine the scores of all models"
    input: module("scores"), files=score_files
    output: "build/{study}/scores.csv"
    priority: MODELS_FIRST
    shell: STEP + " {input.files:q}"

rule freeze:
    message: "{wildcards.study}: freeze the models fitted on all patients"
    input:
        fitted_on_all,
        "build/{study}/cohort.parquet",
        module("pipeline/freeze"),
    output: "build/{study}/model/manifest.json"
    priority: MODELS_FIRST
    params: given=lambda w: json.dumps([STUDIES[w.study].parameters(n) for n in STUDIES[w.study].notebooks])
    log: "build/{study}/logs/freeze.log"
    shell: STEP + " > {log} 2>&1"

rule external:
    message: "{wildcards.study}: the frozen model in these patients (08_external)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/gwr.parquet",
        "build/{study}/images.npz",
        lambda w: f"{STUDIES[w.study].model}/manifest.json",
        lambda w: [f"build/{w.study}/{f}" for f in ("gwr_auto.csv", "reader_flags.csv") if "ct" in STUDIES[w.study].modalities],
        code("notebooks/08_external.py"),
    output:
        *(f"build/{{study}}/{file}" for file in UPDATE),
        "build/{study}/pages/08_external.json",
        "reports/{study}/08_external.ipynb",
    params: given=parameters("08_external")
    priority: MODELS_FIRST
    log: "build/{study}/logs/08_external.log"
    benchmark: "build/{study}/time/08_external.tsv"
    shell: NOTEBOOK + "08_external"

rule evaluation:
    message: "{wildcards.study}: performance, thresholds and calibration (05_evaluation)"
    input:
        "build/{study}/scores.csv",
        "params/published.yaml",
        "docs/coverage.csv",
        code("notebooks/05_evaluation.py"),
    output: "build/{study}/pages/05_evaluation.json", "reports/{study}/05_evaluation.ipynb"
    params: given=parameters("05_evaluation")
    # All cores where it is the last notebook: there is no other that could use them.
    threads: lambda w: CORES if STUDIES[w.study].notebooks[-1] == "05_evaluation" else 1
    log: "build/{study}/logs/05_evaluation.log"
    benchmark: "build/{study}/time/05_evaluation.tsv"
    shell: NOTEBOOK + "05_evaluation"

rule stability:
    message: "{wildcards.study}: sample size, stability and learning curve (06_stability)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        "build/{study}/scores.csv",
        chosen_first,
        code("notebooks/06_stability.py"),
    output: "build/{study}/pages/06_stability.json", "reports/{study}/06_stability.ipynb"
    params: given=parameters("06_stability")
    # The longest step: nobody should wait for it alone.
    priority: 1 + MODELS_FIRST
    log: "build/{study}/logs/06_stability.log"
    benchmark: "build/{study}/time/06_stability.tsv"
    threads: CORES
    shell: NOTEBOOK + "06_stability"

rule sites:
    message: "{wildcards.study}: performance by hospital (09_sites)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        "build/{study}/scores.csv",
        code("notebooks/09_sites.py"),
    output: "build/{study}/pages/09_sites.json", "reports/{study}/09_sites.ipynb"
    params: given=parameters("09_sites")
    log: "build/{study}/logs/09_sites.log"
    benchmark: "build/{study}/time/09_sites.tsv"
    shell: NOTEBOOK + "09_sites"

rule subgroups:
    message: "{wildcards.study}: performance in subgroups (07_subgroups)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/scores.csv",
        code("notebooks/07_subgroups.py"),
    output: "build/{study}/pages/07_subgroups.json", "reports/{study}/07_subgroups.ipynb"
    params: given=parameters("07_subgroups")
    log: "build/{study}/logs/07_subgroups.log"
    benchmark: "build/{study}/time/07_subgroups.tsv"
    shell: NOTEBOOK + "07_subgroups"

rule explanation:
    message: "{wildcards.study}: what drives the base models (10_explanation)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        # The searches for hyperparameters, which are kept, are those of notebook 04.
        lambda w: [f"build/{w.study}/scores_stacking_{part}.csv" for part in parts(w.study, "04_stacking")],
        code("notebooks/10_explanation.py"),
    output: "build/{study}/pages/10_explanation.json", "reports/{study}/10_explanation.ipynb"
    params: given=parameters("10_explanation")
    log: "build/{study}/logs/10_explanation.log"
    benchmark: "build/{study}/time/10_explanation.tsv"
    shell: NOTEBOOK + "10_explanation"

rule missing:
    message: "{wildcards.study}: ways of handling missing values (11_missing)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        # The searches for hyperparameters, which are kept, are those of notebook 04.
        lambda w: [f"build/{w.study}/scores_stacking_{part}.csv" for part in parts(w.study, "04_stacking")],
        # Not at the same time as notebook 10, which may have to repeat the same searches if code has changed.
        lambda w: [f"build/{w.study}/pages/{n}.json" for n in STUDIES[w.study].notebooks if n == "10_explanation"],
        lambda w: [f for k in parts(w.study, "04_stacking") for f in cnn_of_split(SimpleNamespace(study=w.study, split=k))],
        code("notebooks/11_missing.py"),
    output: "build/{study}/pages/11_missing.json", "reports/{study}/11_missing.ipynb"
    params: given=parameters("11_missing")
    log: "build/{study}/logs/11_missing.log"
    benchmark: "build/{study}/time/11_missing.tsv"
    shell: NOTEBOOK + "11_missing"

rule pages:
    message: "{wildcards.study}: the report's pages"
    input:
        left_by_notebooks,
        "build/{study}/scores.csv",
        "params/published.yaml",
        "docs/tripod-ai.yaml",
        "docs/probast-ai.yaml",
        sorted(str(p) for p in Path("lib/postarrest/report/templates").rglob("*") if p.is_file()),
        module("report/site"),
    output: "reports/{study}/index.html"
    # The heads of the pages show the study's parameters.
    params: given=lambda w: json.dumps([STUDIES[w.study].parameters(n) for n in STUDIES[w.study].notebooks])
    log: "build/{study}/logs/pages.log"
    shell: STEP + " > {log} 2>&1"

rule home:
    message: "the index of all reports"
    # Also those that earlier runs made of other studies: asked for or not, the index has the same reports.
    input: sorted({*expand("reports/{study}/index.html", study=NAMES), *map(str, Path("reports").glob("*/index.html"))})
    output: "reports/index.html"
    shell: "{PYTHON:q} -m postarrest.pipeline home"
