"""Notebook 09 on the scores of a few hospitals, by papermill as in the pipeline."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pipeline_project import copy_project
from postarrest import scores
from postarrest.models import splits

NAMES = ("Northgate", "Southgate", "Westgate", "Little")


def study(project, name, *, left_out):
    """Scores of a cross-validation of 330 patients of four hospitals, one of them small."""
    rng = np.random.default_rng(3)
    site = np.repeat(NAMES, (140, 110, 60, 20))
    x = rng.normal(-0.5, 1.3, len(site))
    y = (rng.random(len(site)) < expit(x)).astype(int)
    y[-20:] = [1] * 4 + [0] * 16
    cohort = pd.DataFrame(
        {"y_good": y, "site": site}, index=pd.Index([f"H{i:04d}" for i in range(len(site))])
    )
    cohort.index.name = "patient_id"
    settings = splits.Settings(by="site" if left_out else "", outer_folds=3)
    table = splits.table(cohort["y_good"], protocols=("nested",), settings=settings, site=cohort["site"])
    parts = []
    for fold, one in enumerate(splits.names(("nested",), settings), start=1):
        split = splits.get(table, one)
        for role, ids in (("train_oof", split.development), ("test", split.test)):
            at = cohort.index.get_indexer(ids)
            about = {"patient_id": ids, "y_good": y[at], "role": role, "fold": fold, "kind": "probability"}
            parts.append(pd.DataFrame(about | {"model": "ensemble", "score": expit(x[at])}))
    build = project / "build" / name
    build.mkdir(parents=True)
    cohort.to_parquet(build / "cohort.parquet")
    table.to_parquet(build / "splits.parquet", index=False)
    scores.write(pd.concat(parts), build / "scores.csv")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("sites") / "project")


def executed(project, name, **parameters):
    given = {"study_name": name, "save_to": "report"} | parameters
    done = subprocess.run(
        [
            *(sys.executable, "-m", "postarrest.pipeline", "notebook", "--study", name),
            *("--notebook", "09_sites", "--parameters", json.dumps(given)),
        ],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = project / "reports" / name
    notebook = nbformat.read(report / "09_sites.ipynb", as_version=4)
    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    text = "\n".join(str(v) for o in shown for k, v in o.get("data", {}).items() if k != "image/png")
    tables = {path.stem: pd.read_csv(path) for path in (report / "tables").glob("*.csv")}
    shutil.rmtree(report)
    return text, tables


@pytest.mark.parametrize("left_out", [True, False])
def test_hospitals_are_compared(project, left_out):
    name = "left" if left_out else "pooled"
    study(project, name, left_out=left_out)
    text, tables = executed(project, name)
    assert ("Internal-external cross-validation" in text) == left_out
    assert ("were fitted on other patients of the same hospitals" in text) != left_out
    # Numbers instead of names, also in the files.
    everything = text + "".join(table.to_csv() for table in tables.values())
    assert not any(hospital in everything for hospital in NAMES)
    patients = tables["sites_patients"].set_index("site")
    assert patients["n"].to_dict() == {"site 1": 140, "site 2": 110, "site 3": 60, "site 4": 20}
    assert patients.loc["site 4", "judged"] == "too few: fewer than 10 of an outcome"
    aucs = tables["sites"].query("metric == 'roc_auc'").set_index("site")
    assert np.isnan(aucs.loc["site 4", "estimate"]) and aucs["estimate"].notna().sum() == 3
    summary = tables["sites_summary"].set_index("metric").loc["roc_auc"]
    assert summary["n_sites"] == 3
    assert summary["next_lower"] < summary["lower"] < summary["estimate"] < summary["upper"]
    decisions = tables["sites_thresholds"].query("rule == 'Spec-Max'").set_index("site")
    assert decisions.loc["all sites", ["tp", "fp", "fn", "tn"]].sum() == 330


def test_names_and_masks_are_those_of_the_study_file(project):
    study(project, "named", left_out=False)
    text, tables = executed(project, "named", name_sites=True, mask_below=5)
    assert all(hospital in text for hospital in NAMES)
    assert tables["sites_patients"].set_index("site").loc["Little", ["good", "poor"]].tolist() == [
        "<5",
        "hidden",
    ]
