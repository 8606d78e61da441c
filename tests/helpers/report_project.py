"""A small project with executed notebooks, for the tests of the report."""

import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat import v4

from postarrest import evaluation, places, scores
from postarrest.estimate import Estimate
from postarrest.models.cnn import groups
from postarrest.report import page, site
from postarrest.study import load

STUDY = """
study:
  title: A small study
  question: Who recovers?
  protocols: [{protocols}]
  modalities: [{modalities}]
  outcome_labels: [revised, standard]
  scores: "{scores}"
  model: "{model}"
simulate: {{seed: 5}}
splits: {{outer_folds: {folds}, inner_folds: 3, repeats: 1}}
"""
# Paper B's base models without the network.
WITHOUT_CT = """
04_stacking:
  base_models:
    ohca: {algorithm: lightgbm, predictors: [initial_rhythm, low_flow_min]}
    pupil: {algorithm: logistic, predictors: [pupil_left_mm]}
"""

PERFORMANCE = (
    "outcome_label set model metric positive_class estimate lower upper ci_method recommended n n_good"
)
COMPARISONS = (
    "outcome_label set model_a model_b primary metric positive_class difference lower upper p p_holm method"
)
THRESHOLDS = "outcome_label stage set model rule chosen_on threshold tp fp fn tn fnr fnr_upper note"


def make(
    root: Path,
    *,
    protocols: str = "holdout, nested",
    modalities: str = "gwr, ct",
    folds: int = 2,
    scores: str = "",
    model: str = "",
    further: str = "",
) -> Path:
    """Write the project: parameters, with further sections if given, the real notebooks, the lock file."""
    (root / "params").mkdir(parents=True)
    (root / "params" / "tiny.yaml").write_text(
        STUDY.format(protocols=protocols, modalities=modalities, folds=folds, scores=scores, model=model)
        + ("" if "ct" in modalities or scores or model else WITHOUT_CT)
        + further
    )
    shutil.copytree(places.ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("*.ipynb"))
    shutil.copy(places.ROOT / "requirements.lock", root)
    shutil.copy(places.ROOT / "params" / "published.yaml", root / "params")
    (root / "docs").mkdir()
    if model:
        (root / model).mkdir(parents=True)
    for name in ("tripod-ai.yaml", "probast-ai.yaml"):
        shutil.copy(places.ROOT / "docs" / name, root / "docs")
    return root


class Notebook:
    """A notebook to be executed: what its page displays becomes the output of a cell."""

    def __init__(self, root: Path, name: str, *, part: str = "", title: str = "A question?") -> None:
        self.here = places.Here("tiny", save_to="report", root=root)
        self.name, self.part = name, part
        self.cells = [v4.new_markdown_cell(f"# {title}\n\nWhat it reads.")]
        self.page = page.Page(self.here, notebook=name, part=part)
        self.given = {"study_name": "tiny", "save_to": "report"}

    def copied(self, root: Path) -> "Notebook":
        copy = Notebook(root, self.name, part=self.part)
        copy.cells, copy.given = list(self.cells), dict(self.given)
        return copy

    @property
    def path(self) -> Path:
        return self.here.report_dir / f"{self.name}{f'_{self.part}' if self.part else ''}.ipynb"

    def markdown(self, text: str) -> None:
        self.cells.append(v4.new_markdown_cell(text))

    def show(self, monkeypatch, call, *arguments, source: str = "page.show()", **named) -> None:
        shown = []
        monkeypatch.setattr(page, "display", shown.append)
        call(*arguments, **named)
        kinds = {"HTML": "text/html", "Markdown": "text/markdown"}
        outputs = [
            v4.new_output("display_data", data={kinds[type(o).__name__]: o.data, "text/plain": "object"})
            for o in shown
        ]
        self.cells.append(v4.new_code_cell(source, outputs=outputs, execution_count=1))

    def save(self, *, ended: bool = True) -> Path:
        cells = [v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}), *self.cells]
        notebook = v4.new_notebook(cells=cells)
        notebook.metadata.papermill = {
            "parameters": self.given,
            "end_time": "2026-01-31T12:34:56" if ended else None,
            "duration": 12.5,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, self.path)
        return self.path


def figure():
    fig, ax = plt.subplots(figsize=(3.5, 2))
    ax.plot([0, 1], [0, 1])
    return fig


def written(folder: Path) -> Path:
    """Return the small project, in a folder, with its pages written."""
    root = make(folder)
    with pytest.MonkeyPatch.context() as patch:
        run_all(root, patch)
    site.write_study("tiny", root=root)
    site.write_home(root=root)
    return root


def run_all(root: Path, monkeypatch) -> dict[str, Notebook]:
    """Run every notebook of the small study that applies to it."""
    from postarrest.study.runs import runs

    held = load.load("tiny", root=root)
    made = {}
    if "nested" in held.protocols:
        _scores(places.Here("tiny", save_to="report", root=root))
    for run in runs(held):
        notebook = Notebook(root, run.notebook, part=run.part, title=f"Question of {run.notebook}?")
        made[run.name] = notebook
        if run.notebook == "01_cohort":
            steps = ["screened", "excluded", "included", "good outcome", "poor outcome"]
            flow = pd.DataFrame({"step": steps, "reason": "", "n": [110, 20, 90, 36, 54]})
            notebook.markdown("## How many?")
            _table(notebook, monkeypatch, "flow", flow, caption="Flow & all.")
            missing = {"variable": ["Creatinine, µmol/L", "No-flow time, min"], "overall": ["3", "12"]}
            _table(notebook, monkeypatch, "missingness", pd.DataFrame(missing))
        elif run.notebook == "05_evaluation":
            _evaluation(notebook, monkeypatch, frozen=bool(held.model))
        elif run.notebook == "07_subgroups":
            _subgroups(notebook, monkeypatch)
        elif run.notebook == "08_external":
            _external(notebook, monkeypatch)
        elif run.part:
            models = ["ohca", "pupil"] if run.notebook == "04_stacking" else ["cnn, revised label"]
            chosen = {"fold": 1, "model": models, "parameter": "C", "value": 0.25, "search_space": "0.1 to 1"}
            _table(notebook, monkeypatch, "hyperparameters", pd.DataFrame(chosen))
            if run.notebook == "04_stacking":
                tried = {"fold": 1, "model": models, "algorithm": "logistic", "auc": [0.7, 0.6], "used": True}
                _table(notebook, monkeypatch, "base_algorithms", pd.DataFrame(tried))
            else:
                _gradcam(notebook)
            counted = {
                "fold": [1],
                "stage": ["head"],
                "scored": ["test"],
                "n_fitted_on": [60],
                "n_scored": [30],
                "n_in_both": [0],
                "n_indirect": [0],
            }
            _table(notebook, monkeypatch, "leakage", pd.DataFrame(counted))
            notebook.markdown("As in [](#tab-hyperparameters), of [](#tab-flow), not of [](#tab-elsewhere).")
        notebook.save()
    return made


def _table(
    notebook: Notebook, monkeypatch, name: str, data: pd.DataFrame, *, caption: str = "A table."
) -> None:
    notebook.show(monkeypatch, notebook.page.table, data, name=name, caption=caption)


def _gradcam(notebook: Notebook) -> None:
    """Write the sums of maps that the network's notebook leaves, of 2 patients of each class."""
    maps = np.full((4, 8, 8), 2.0)
    added = {"n": np.full(4, 2), "maps": maps, "maps_n": maps, "slices": 50 * maps, "slices_n": maps}
    shares = np.full((2, 5), 4.0)
    added |= {"share": shares / 5, "share_squared": shares / 25, "share_n": shares, "area": np.full(5, 1.6)}
    groups.write(added, notebook.here.build(f"gradcam_cnn_{notebook.part}.npz"))


def _scores(here: places.Here) -> None:
    """Write test scores of the nested models, by outer fold."""
    rng = np.random.default_rng(5)
    rows = [
        {
            "patient_id": f"p{patient}",
            "outcome_label": "revised",
            "y_good": patient % 2,
            "model": model,
            "kind": "probability",
            "stage": "final",
            "role": "test",
            "fold": 1 + patient // 20,
            "split": f"outer-{1 + patient // 20}",
            "score": float(rng.uniform()),
        }
        for model in ("ohca", "pupil", "ensemble")
        for patient in range(40)
    ]
    scores.write(pd.DataFrame(rows)[list(scores.COLUMNS)], here.build("scores.csv"))


def _external(notebook: Notebook, monkeypatch) -> None:
    """Show what the page on other patients shows, with an update of intercept and slope."""
    described = pd.DataFrame({"variable": ["Patients"], "frozen": ["300"], "here": ["90"]})
    _table(notebook, monkeypatch, "external_population", described)
    _table(notebook, monkeypatch, "external_scored", pd.DataFrame({"model": ["ensemble"], "scored": [90]}))
    judged = pd.DataFrame(
        {"update": ["none", "intercept", "intercept and slope"], "estimate": [0.7, 0.7, 0.7]}
    )
    _table(notebook, monkeypatch, "updating", judged)
    auc = Estimate(0.66, 0.61, 0.71)
    notebook.show(monkeypatch, notebook.page.text, "Membership model: AUC {membership}.", membership=auc)
    kind = json.dumps({"kind": "intercept and slope", "n": 90, "n_good": 36})
    notebook.here.out("update.json").write_text(kind)


def _subgroups(notebook: Notebook, monkeypatch) -> None:
    """Show the AUC of the main model in two groups, which differ."""
    where = {"outcome_label": "revised", "set": "holdout", "model": "cnn", "variable": "Sex <b>"}
    tests = {"metric": "roc_auc", "rule": "", "p_interaction": [0.004, 0.004], "p_holm": [0.02, 0.02]}
    _table(notebook, monkeypatch, "subgroups", pd.DataFrame(where | {"level": ["female", "male"]} | tests))


def _evaluation(notebook: Notebook, monkeypatch, *, frozen: bool = False) -> None:
    nested = "nested" in (notebook.here.root / "params" / "tiny.yaml").read_text()
    where = ("revised", "pooled") if nested else ("revised", "holdout")
    main, other = ("ensemble", "ohca") if nested or frozen else ("cnn", "gwr_av")
    rows = [
        [*where, other, "roc_auc", "good", 0.70, 0.61, 0.78, "DeLong logit", True, 90, 36],
        [*where, main, "roc_auc", "good", 0.82, 0.74, 0.88, "DeLong logit", True, 90, 36],
        [*where, main, "roc_auc", "good", 0.82, 0.70, 0.90, "DeLong", False, 90, 36],
        ["standard", where[1], main, "roc_auc", "good", 0.99, 0.98, 1.0, "DeLong logit", True, 90, 33],
    ]
    performance = pd.DataFrame(rows, columns=PERFORMANCE.split())
    tests = [[*where, other, main, True, "roc_auc", "good", -0.12, -0.22, -0.02, 0.0151, 0.0151, "DeLong"]]
    if nested:
        # Of cross-validated models the report quotes the mean over the folds, for the procedure.
        quoted = performance["recommended"] & (performance["metric"] == "roc_auc")
        means = performance[quoted].assign(set="fold mean", ci_method="DeLong, for the procedure")
        performance = pd.concat([performance, means], ignore_index=True)
        tests.append([where[0], "fold mean", *tests[0][2:-1], "DeLong, for the procedure"])
    notebook.show(
        monkeypatch,
        notebook.page.table,
        performance,
        name="performance",
        caption="Performance.",
        note="Good.",
    )
    comparisons = pd.DataFrame(tests, columns=COMPARISONS.split())
    _table(notebook, monkeypatch, "comparisons", comparisons, caption="Pairs of models.")
    limit = [
        where[0],
        "final",
        where[1],
        main,
        "Spec-Max-CI",
        "frozen" if frozen else "train_oof",
        0.1,
        36,
        34,
        0,
        20,
        0.0,
        0.097,
        "",
    ]
    thresholds = pd.DataFrame([limit], columns=THRESHOLDS.split())
    _table(notebook, monkeypatch, "thresholds", thresholds, caption="Thresholds.")
    rng, rows = np.random.default_rng(1), []
    for model in (main, other):
        y_good = np.repeat([0, 1], [54, 36])
        score = rng.beta(1 + y_good, 3 - y_good).round(3)
        own = {"outcome_label": where[0], "stage": "final", "set": where[1], "model": model}
        rows.append(pd.DataFrame(own | {"kind": "probability", "y_good": y_good, "score": score}))
    scored = pd.concat(rows)
    sweep = evaluation.thresholds.sweep(scored, n_resamples=20).drop(columns="stage")
    _table(notebook, monkeypatch, "threshold_sweep", sweep)
    _table(notebook, monkeypatch, "thresholds_fnr5", sweep.head(3))
    _table(notebook, monkeypatch, "decision_curve", evaluation.decision.table(scored, n_resamples=20))
    evaluated = {"outcome_label": where[0], "set": where[1], "model": [main, other], "n": 90, "n_good": 36}
    _table(notebook, monkeypatch, "evaluated", pd.DataFrame(evaluated))
    notebook.show(
        monkeypatch,
        notebook.page.figure,
        figure(),
        name="roc",
        caption="ROC curves.",
        alt="Curves above chance.",
    )
    notebook.show(
        monkeypatch,
        notebook.page.text,
        "The AUC was {auc} in {n} patients ([](#tab-performance)).",
        auc=Estimate(0.82, 0.74, 0.88),
        n=90,
    )
