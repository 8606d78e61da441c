"""Studies of every combination of protocol, modality and models, run with few patients.

``python tests/helpers/combinations.py --every`` runs all of them in a copy of the project (hours): each has
to run to its end, or to be refused before anything runs. Notebooks are executed cell by cell in one process,
without a kernel for each.
"""

import argparse
import contextlib
import io
import itertools
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import yaml

SMALL = {"n_screened": 50, "n_included": 46, "n_good": 18, "n_relabelled": 2, "n_truth": 1000, "seed": 3}
OHCA = {"algorithm": "forest", "predictors": ["initial_rhythm", "low_flow_min"]}
PUPIL = {"algorithm": "logistic", "predictors": ["pupil_left_mm", "pupil_right_mm"]}
CT = {"algorithm": "cnn"}
# Base models by name: none (paper B's), the network alone, one on a table, one of each, one column.
BASES: dict[str, dict[str, Any]] = {
    "published": {},
    "network": {"ct": CT},
    "network renamed": {"net": CT, "pupil": PUPIL},
    "table": {"ohca": OHCA},
    "both": {"ohca": OHCA, "ct": CT},
    "choice": {"best": {"algorithm": "select", "predictors": ["age_years"]}},
}
LABELS = (["standard"], ["revised", "standard"])
# Columns of the export, besides the id and the outcome: all, or none that Table 1 could show.
COLUMNS = ("all", "few")


def studies() -> dict[str, dict[str, Any]]:
    """Every combination by name, as the content of a study file."""
    protocols = (["holdout"], ["nested"], ["holdout", "nested"])
    modalities = ([], ["gwr"], ["ct"], ["gwr", "ct"])
    found = {}
    for which, what, (base, models), labels, columns in itertools.product(
        protocols, modalities, BASES.items(), LABELS, COLUMNS
    ):
        if "nested" not in which and base != "published":
            continue
        parts = ["-".join(which), "-".join(what) or "tables", base.replace(" ", "_"), labels[0], columns]
        found["_".join(parts)] = content(which, what, models, labels, columns)
    return found


def content(
    protocols: list[str], modalities: list[str], models: dict[str, Any], labels: list[str], columns: str
) -> dict[str, Any]:
    about = {"title": "t", "question": "q", "protocols": protocols, "modalities": modalities}
    few = columns == "few"
    return {
        "study": about | {"outcome_labels": labels, "data": "ask"},
        "simulate": SMALL | {"ct": "png" if "ct" in modalities else "none", "gwr": "gwr" in modalities},
        "splits": {"outer_folds": 2, "inner_folds": 3, "seed": 1},
        "01_cohort": {"criteria": {"exclusions": "all"}},
        "03_cnn": {
            **{"architecture": "embedded", "weights": "none", "copies": 0, "trials": 1, "patience": 1},
            **{"augmentation": {}, "space": {"width": {"choices": [0]}}, "shown_patients": 1},
            "fixed": {
                "dropout": 0.2,
                "learning_rate": 0.01,
                "weight_decay": 0.001,
                "batch_size": 32,
                "epochs": 2,
            },
        },
        "04_stacking": {
            "base_models": models,
            "trials": 1,
            "comparators": [] if few else ["ohca_score"],
        },
        "05_evaluation": {"n_resamples": 20},
    }


def write_data(study: dict[str, Any], folder: Path, columns: str) -> None:
    """Write the export of simulated patients, with all columns or only those that the study must have."""
    import pandas as pd

    from postarrest import simulate
    from postarrest.models.tabular import declared

    simulate.write_study(simulate.Settings(**study["simulate"]), folder)
    if columns == "few":
        needed = {"patient_id", "cpc", "exclusion"}
        if "revised" in study["study"]["outcome_labels"]:
            needed |= {"awake_after_ct", "death_cause_intracranial"}
        if "nested" in study["study"]["protocols"]:
            models = declared(study["04_stacking"]["base_models"]).values()
            needed |= {column for model in models for column in model.predictors}
        table = pd.read_csv(folder / "patients.csv", dtype=str, keep_default_na=False)
        table[[name for name in table if name in needed]].to_csv(folder / "patients.csv", index=False)


def execute(notebook: str, parameters: dict[str, Any]) -> None:
    """Run a notebook's cells in this process, as papermill would with these parameters."""
    import jupytext
    import matplotlib.pyplot as plt

    from postarrest.places import ROOT

    names: dict[str, Any] = {"__name__": notebook}
    for cell in jupytext.read(ROOT / "notebooks" / f"{notebook}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{notebook}, {cell.source[:60]!r}", "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= parameters
    plt.close("all")


def run(name: str, study: dict[str, Any]) -> str:
    """Run one study in the project of this process; return ``ran``, or ``refused: `` and why."""
    from postarrest.pipeline import check_data, steps
    from postarrest.places import ROOT
    from postarrest.study import load, schema
    from postarrest.study.runs import runs

    data = ROOT / "build" / "data" / name
    (ROOT / "params" / f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    data.parent.mkdir(parents=True, exist_ok=True)
    write_data(study, data, name.rsplit("_", 1)[1])
    os.environ["POSTARREST_DATA"] = str(data)
    try:
        loaded = load.load(name)
    except schema.StudyError as error:
        return f"refused: {error}"
    given = {
        k: v for k, v in loaded.parameters("01_cohort").items() if k in check_data.ExportSettings.model_fields
    }
    checked = check_data.check(data, of=loaded, **given)
    if checked.errors:
        return f"refused: {checked.errors[0]}"
    saved: list[str] = []
    for one in runs(loaded):
        notebook, part = one.notebook, one.part
        if notebook == "02_gwr_automatic":
            steps.read_ct(name, 2)
        if notebook == "03_cnn" and not (ROOT / "build" / name / "features.json").exists():
            steps.make_features(name, 2)
        if notebook == "05_evaluation":
            steps.combine_scores(name, saved)
        parameters = loaded.parameters(notebook)
        if part:
            split, label = (part.rsplit("-", 1)[0], part.rsplit("-", 1)[1])
            parameters |= (
                {"split": part} if notebook == "04_stacking" else {"split": split, "outcome_label": label}
            )
        execute(notebook, parameters)
        if notebook == "01_cohort":
            steps.make_splits(name)
        written = f"scores_{notebook[3:]}{'_' + part if part else ''}.csv"
        saved += [str(ROOT / "build" / name / written)] if notebook[:2] in ("02", "03", "04") else []
    return "ran"


def in_copy(names: list[str]) -> list[tuple[str, str]]:
    """Run studies in a copy of the project; return each study with what came of it."""
    from pipeline_project import copy_project

    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        done = subprocess.run(
            [sys.executable, __file__, "--here", *names],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project / "lib"), "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line.partition("\t")[::2] for line in done.stdout.splitlines() if "\t" in line]
    if len(lines) != len(names):
        raise RuntimeError(done.stdout + done.stderr)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--here", action="store_true", help="run in this project, not in a copy")
    given = parser.parse_args()
    every = studies()
    names = list(every) if given.every else given.names
    if not given.here:
        found = in_copy(names)
        print("\n".join(f"{name}: {what}" for name, what in found))
        return any(what.startswith("broke") for _, what in found)
    warnings.simplefilter("ignore")
    for name in names:
        started = time.monotonic()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                what = run(name, every[name])
        except Exception as error:
            traceback.print_exc()
            where = traceback.extract_tb(error.__traceback__)
            cell = next((frame.filename for frame in where if frame.filename[:2].isdigit()), "")
            what = f"broke in {cell}: {type(error).__name__}: {error}"
        print(f"{name}\t{' '.join(what.split())} ({time.monotonic() - started:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
