# What follows from what. `make report` calls this through `python -m postarrest.pipeline report`, and
# Snakemake by hand works as well:
#
#     snakemake --cores 2 --config studies="holdout ensemble"
#     make report STUDY=ensemble SNAKEMAKE="--executor slurm --jobs 20 --slurm-status-command squeue"
#
# A step is run again when its parameters, its inputs or the modules that it needs have changed. On a cluster each
# is a job of its own, so that the outer folds run at once; `mem_mb` and `runtime` (minutes) leave room above what a
# study of the published size takes (`make benchmark` prints it) and count only where a scheduler asks for them. The
# short ones run where Snakemake does.

import json
import sys
from pathlib import Path

from postarrest.data import export
from postarrest.models import splits
from postarrest.pipeline import stale
from postarrest.places import ROOT
from postarrest.study import load as studies

NAMES = str(config.get("studies", "holdout ensemble")).split()
STUDIES = {name: studies.load(name) for name in NAMES}
PYTHON = sys.executable
LIB = Path("lib/postarrest")


wildcard_constraints:
    study="|".join(NAMES),
    split=r"(holdout|outer)-\d+",
    label="revised|standard",


def split_settings(name):
    return splits.Settings(**STUDIES[name].sections["splits"])


def split_names(name, protocol):
    held = STUDIES[name]
    return splits.names((protocol,), split_settings(name)) if protocol in held.protocols else []


def cnn_runs(name):
    """One run of notebook 03 a split: under each outcome label for hold-out splits, the first for outer folds."""
    held = STUDIES[name]
    if "03_cnn" not in held.notebooks:
        return []
    holdout = [f"{s}-{label}" for s in split_names(name, "holdout") for label in held.outcome_labels]
    return holdout + [f"{s}-{held.outcome_labels[0]}" for s in split_names(name, "nested")]


def score_files(name):
    held = STUDIES[name]
    if held.scores:
        return [held.scores]
    files = [f"build/{name}/scores_gwr.csv"] if "02_gwr" in held.notebooks else []
    files += [f"build/{name}/scores_cnn_{run}.csv" for run in cnn_runs(name)]
    if "04_stacking" in held.notebooks:
        files += [f"build/{name}/scores_stacking_{s}.csv" for s in split_names(name, "nested")]
    return files


def pages(name):
    held = STUDIES[name]
    found = [f"reports/{name}/{n}.ipynb" for n in held.notebooks if n not in ("03_cnn", "04_stacking")]
    found += [f"reports/{name}/03_cnn_{run}.ipynb" for run in cnn_runs(name)]
    if "04_stacking" in held.notebooks:
        found += [f"reports/{name}/04_stacking_{s}.ipynb" for s in split_names(name, "nested")]
    return found


def code(notebook):
    return [str(p.relative_to(ROOT)) for p in stale.modules_of(ROOT / "notebooks" / f"{notebook}.py")]


def module_code(module):
    return [str(p.relative_to(ROOT)) for p in stale.modules_of(ROOT / LIB / module)]


def data_files(wildcards):
    """The simulation's last file. Real files are not listed: their names may name patients, and are logged."""
    return [f"build/{wildcards.study}/simulated.json"] if STUDIES[wildcards.study].simulated else []


def data_fingerprint(wildcards):
    """Changes with any file of a real export, and names none."""
    held = STUDIES[wildcards.study]
    return "" if held.simulated else export.fingerprint(Path(held.data))


def parameters(notebook, **further):
    def of(wildcards):
        held = STUDIES[wildcards.study].parameters(notebook)
        filled = {k: v.format(**wildcards) for k, v in further.items()}
        # Unsorted: criteria, search spaces and models count in the order in which they are written.
        return json.dumps(held | filled)

    return of


# Quoting is Snakemake's (:q); what a notebook prints is in its own log.
NOTEBOOK = (
    "{PYTHON:q} -m postarrest.pipeline notebook --study {wildcards.study} --threads {threads} "
    "--parameters {params.given:q} --notebook "
)


localrules:
    all,
    split,
    scores,
    report,
    home,


rule all:
    input:
        expand("reports/{study}/index.html", study=NAMES),
        "reports/index.html",


rule simulate:
    message:
        "{wildcards.study}: simulate the patients"
    input:
        module_code("simulate/__main__.py"),
    output:
        # A copy of data/truth.json: Snakemake clears a step's outputs away before it runs, and without its
        # truth the folder would no longer be known as a simulation that may be replaced.
        "build/{study}/simulated.json",
    params:
        settings=lambda w: json.dumps(STUDIES[w.study].sections["simulate"], sort_keys=True),
        folder="build/{study}/data",
    log:
        "build/{study}/logs/simulate.log",
    benchmark:
        "build/{study}/time/simulate.tsv"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=30,
    shell:
        "{PYTHON:q} -m postarrest.simulate --settings {params.settings:q} --out {params.folder:q} > {log} 2>&1 "
        "&& cp {params.folder:q}/truth.json {output:q}"


rule cohort:
    message:
        "{wildcards.study}: read and check the patients (01_cohort)"
    input:
        data_files,
        code("01_cohort"),
    output:
        "build/{study}/cohort.parquet",
        "reports/{study}/01_cohort.ipynb",
    params:
        given=parameters("01_cohort"),
        data=data_fingerprint,
    log:
        "build/{study}/logs/01_cohort.log",
    benchmark:
        "build/{study}/time/01_cohort.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        NOTEBOOK + "01_cohort"


rule simulation:
    message:
        "{wildcards.study}: how the patients were simulated (A1_simulation)"
    input:
        "build/{study}/cohort.parquet",
        "docs/simulation-seeds.csv",
        data_files,
        code("A1_simulation"),
    output:
        "reports/{study}/A1_simulation.ipynb",
    params:
        given=parameters("A1_simulation"),
    log:
        "build/{study}/logs/A1_simulation.log",
    benchmark:
        "build/{study}/time/A1_simulation.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        NOTEBOOK + "A1_simulation"


rule split:
    message:
        "{wildcards.study}: divide the patients into splits"
    input:
        "build/{study}/cohort.parquet",
        module_code("models/splits.py"),
    output:
        "build/{study}/splits.parquet",
    params:
        given=lambda w: json.dumps(STUDIES[w.study].sections["splits"], sort_keys=True),
        protocols=lambda w: " ".join(STUDIES[w.study].protocols),
    benchmark:
        "build/{study}/time/splits.tsv"
    shell:
        "{PYTHON:q} -m postarrest.pipeline splits --study {wildcards.study}"


rule gwr:
    message:
        "{wildcards.study}: gray-to-white-matter ratio and its reliability (02_gwr)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        code("02_gwr"),
    output:
        "build/{study}/scores_gwr.csv",
        "reports/{study}/02_gwr.ipynb",
    params:
        given=parameters("02_gwr"),
    log:
        "build/{study}/logs/02_gwr.log",
    benchmark:
        "build/{study}/time/02_gwr.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        NOTEBOOK + "02_gwr"


rule features:
    message:
        "{wildcards.study}: what the frozen network makes of each CT slice, computed once"
    input:
        "build/{study}/cohort.parquet",
        module_code("models/cnn/finetune.py"),
    output:
        "build/{study}/features.json",
    params:
        given=lambda w: json.dumps(STUDIES[w.study].parameters("03_cnn"), sort_keys=True),
    log:
        "build/{study}/logs/features.log",
    benchmark:
        "build/{study}/time/features.tsv"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "{PYTHON:q} -m postarrest.pipeline features --study {wildcards.study} --threads {threads} > {log} 2>&1"


rule cnn:
    message:
        "{wildcards.study}: CNN on CT, {wildcards.split}, {wildcards.label} outcome (03_cnn)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        "build/{study}/features.json",
        code("03_cnn"),
    output:
        "build/{study}/scores_cnn_{split}-{label}.csv",
        "build/{study}/seen_cnn_{split}-{label}.json",
        "reports/{study}/03_cnn_{split}-{label}.ipynb",
    params:
        given=parameters("03_cnn", split="{split}", outcome_label="{label}"),
    log:
        "build/{study}/logs/03_cnn_{split}-{label}.log",
    benchmark:
        "build/{study}/time/03_cnn_{split}-{label}.tsv"
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        NOTEBOOK + "03_cnn --run {wildcards.split}-{wildcards.label}"


rule stacking:
    message:
        "{wildcards.study}: base models and stack, {wildcards.split} (04_stacking)"
    input:
        "build/{study}/cohort.parquet",
        "build/{study}/splits.parquet",
        lambda w: [
            f"build/{w.study}/{file}"
            for run in cnn_runs(w.study)
            if run.startswith(f"{w.split}-")
            for file in (f"scores_cnn_{run}.csv", f"seen_cnn_{run}.json")
        ],
        code("04_stacking"),
    output:
        "build/{study}/scores_stacking_{split}.csv",
        "reports/{study}/04_stacking_{split}.ipynb",
    params:
        given=parameters("04_stacking", split="{split}"),
    log:
        "build/{study}/logs/04_stacking_{split}.log",
    benchmark:
        "build/{study}/time/04_stacking_{split}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        NOTEBOOK + "04_stacking --run {wildcards.split}"


rule scores:
    message:
        "{wildcards.study}: gather every model's scores"
    input:
        files=lambda w: score_files(w.study),
        code=module_code("scores.py"),
    output:
        "build/{study}/scores.csv",
    shell:
        "{PYTHON:q} -m postarrest.pipeline scores --study {wildcards.study} {input.files:q}"


rule evaluation:
    message:
        "{wildcards.study}: performance, thresholds and calibration (05_evaluation)"
    input:
        "build/{study}/scores.csv",
        code("05_evaluation"),
        "params/published.yaml",
        "docs/coverage.csv",
    output:
        "reports/{study}/05_evaluation.ipynb",
    params:
        given=parameters("05_evaluation"),
    log:
        "build/{study}/logs/05_evaluation.log",
    benchmark:
        "build/{study}/time/05_evaluation.tsv"
    resources:
        mem_mb=3000,
        runtime=60,
    shell:
        NOTEBOOK + "05_evaluation"


rule report:
    message:
        "{wildcards.study}: the report's pages"
    input:
        lambda w: pages(w.study),
        "params/published.yaml",
        "docs/tripod-ai.yaml",
        sorted(str(p) for p in (LIB / "report" / "templates").rglob("*") if p.is_file()),
        module_code("report/site.py"),
    output:
        "reports/{study}/index.html",
    params:
        # The pages' heads show the study's parameters.
        given=lambda w: json.dumps(
            {n: STUDIES[w.study].parameters(n) for n in STUDIES[w.study].notebooks}, sort_keys=True
        ),
    log:
        "build/{study}/logs/pages.log",
    shell:
        "{PYTHON:q} -m postarrest.report.site --study {wildcards.study} > {log} 2>&1"


rule home:
    message:
        "the reports' common index"
    input:
        expand("reports/{study}/index.html", study=NAMES),
    output:
        "reports/index.html",
    shell:
        "{PYTHON:q} -m postarrest.report.site --home"
