"""Freeze a study's models: those fitted on all its patients, with thresholds, as a folder that can travel.

The models are what notebooks 03 and 04 fitted on the splits without test patients; nothing is fitted here.
Thresholds are chosen on the scores of the same fits for patients left out of them.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from postarrest import places, scores, simulate
from postarrest.describe import known_variables
from postarrest.evaluation import thresholds
from postarrest.evaluation.delong import delong
from postarrest.models import bundle, parts, stacking, tabular
from postarrest.models.ct_reader import network
from postarrest.models.kept import digest
from postarrest.models.parts import Part
from postarrest.places import Here
from postarrest.report import environment
from postarrest.report.used import used_network
from postarrest.study import load
from postarrest.study.load import Study
from postarrest.study.runs import runs

INTENDED_USE = (
    "Research on the prediction of neurological recovery in adults resuscitated from a cardiac arrest "
    "outside hospital, from what is known in the first three hours. Not for clinical use: performance in "
    "other hospitals is unknown until it is measured there."
)


def freeze(study: str) -> None:
    """Write ``build/<study>/model/``: the models fitted on all its patients, or a frozen one updated."""
    loaded, here = load.load(study), places.open(study, save_to="report")
    if loaded.model:
        _freeze_update(loaded, here)
        return
    cohort = pd.read_parquet(here.build("cohort.parquet"))
    label = loaded.outcome_labels[0]
    rows = _scores(here, loaded, label)
    sources = {folder: parts.kept(folder) for folder in _folders(here, loaded)}
    names = list(dict.fromkeys(rows["model"]))
    formulas = [_marker(name) for name in names if name.startswith("gwr_")]
    every = [*(part for of_folder in sources.values() for part in of_folder), *formulas]
    used = bundle.columns_of(every)
    given = load.complete_parameters(loaded, "01_cohort")
    known = tabular.known_beforehand(cohort)
    variables = dict.fromkeys([*known_variables(known), *used])
    evaluated = load.complete_parameters(loaded, "05_evaluation")
    computed = environment.describe()
    bundle.write(
        here.build("model"),
        sources,
        formulas=formulas,
        study=study,
        title=loaded.title,
        simulated=loaded.simulated,
        simulation=asdict(simulate.Settings(**loaded.sections["simulate"])) if loaded.simulated else {},
        intended_use=INTENDED_USE,
        outcome={"label": label, "meaning": given["outcome"].get("meaning", "CPC 1 or 2")},
        network=used_network(here).weights,
        python=computed["python"],
        commit=computed["commit"],
        run=digest(cohort, rows, [loaded.parameters(name) for name in loaded.notebooks]),
        models=names,
        main=evaluated["focus"] or ("ensemble" if "ensemble" in names else names[0]),
        columns=bundle.contract_of(used, cohort),
        ct=bundle.ct_of(every),
        export=bundle.export_of(given, used),
        thresholds=chosen(rows, fixed=evaluated["fixed_thresholds"]),
        out_of_fold=described(rows),
        population=bundle.population(
            cohort, cohort[f"y_good_{label}"], variables=variables, mask_below=given["mask_below"]
        ),
    )


def _marker(name: str) -> Part:
    """Return a ratio that is computed from readings, by hand or automatic."""
    if name in ("gwr_bg", "gwr_ce", "gwr_av"):
        return Part(name, (), (), kind="gwr")
    return Part(name, (), (), kind="gwr_automatic", settings={"reader": network.fingerprint()})


def _freeze_update(study: Study, here: Here) -> None:
    update(
        Path(study.parameters("08_external")["model_path"]),
        here.build("model"),
        fitted=json.loads(here.build("update.json").read_text(encoding="utf-8")) | {"study": study.name},
        scored=scores.read(here.build("scores_external.csv")),
        cross_fitted=scores.read(here.build("scores_updated.csv"), tested=False),
        fixed=load.complete_parameters(study, "05_evaluation")["fixed_thresholds"],
    )


def update(
    folder: Path,
    to: Path,
    *,
    fitted: Mapping[str, Any],
    scored: pd.DataFrame,
    cross_fitted: pd.DataFrame,
    fixed: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    """Freeze a frozen model again, with an update; it says what it was made from.

    Parameters
    ----------
    folder, to : pathlib.Path
        The frozen model, and the folder of the updated one.
    fitted : Mapping
        The update, from :func:`postarrest.evaluation.updating.kept`, and ``study``, where it was fitted.
    scored : pandas.DataFrame
        Scores of those patients by the frozen model.
    cross_fitted : pandas.DataFrame
        Their scores by the update, fitted without them: thresholds are chosen on these.
    fixed : Mapping
        Thresholds set beforehand, as for :func:`chosen`.

    Returns
    -------
    dict
        The manifest of the updated model. With the update ``none``, that of the frozen one, and what it was
        made from.
    """
    frozen = bundle.load(folder)
    told = {k: v for k, v in frozen.manifest.items() if k not in bundle.OF_THE_FILES}
    origin = {k: frozen.manifest[k] for k in ("study", "sha256")}
    about = {"study": fitted["study"], "made_from": origin, "update": dict(fitted)}
    main, name = frozen.manifest["main"], frozen.manifest["main"] + bundle.ENDING
    sources: dict[Path, Sequence[Part]] = {folder: frozen.parts}
    if fitted["kind"] == "none":
        return bundle.write(to, sources, **told | about)
    about |= {"main": name, "models": [*told["models"], name]}
    about |= {"thresholds": told["thresholds"] | chosen(cross_fitted, fixed=fixed)}
    about |= {"out_of_fold": told["out_of_fold"] | described(cross_fitted)}
    if fitted["kind"] != "revision":
        return bundle.write(to, sources, formulas=[bundle.part_of(fitted, main)], **told | about)
    final = scored[scored["stage"] == "final"].pivot(index="patient_id", columns="model", values="score")
    final, bases = final.dropna(subset=[main]), bundle.bases(frozen, main)
    y_good = scored.groupby("patient_id")["y_good"].first()
    refit = Part(name, (), tuple(bases), stacking.linear().fit(final[bases], y_good[final.index]))
    with tempfile.TemporaryDirectory() as work:
        parts.keep([refit], Path(work))
        return bundle.write(to, {**sources, Path(work): [refit]}, **told | about)


def _final(study: Study) -> list[Any]:
    return [run for run in runs(study) if run.on_all]


def _folders(here: Here, study: Study) -> list[Path]:
    """Return the folders of the models that were fitted on all patients."""
    return [here.build(f"models/{run.name}") for run in _final(study)]


def _scores(here: Here, study: Study, label: str) -> pd.DataFrame:
    """Return out-of-fold scores of the frozen models, and markers of all patients."""
    kind = {"03_cnn": "cnn", "04_stacking": "stacking"}
    files = [here.build(f"scores_{kind[run.notebook]}_{run.part}.csv") for run in _final(study)]
    tables = [scores.read(file, tested=False) for file in files]
    rows = pd.concat(tables, ignore_index=True)
    # Automatic readings may all have failed.
    files = [file for file in map(here.build, study.marker_files) if len(pd.read_csv(file))]
    if files:
        # The readings of a marker need no fitting: every patient of one split.
        markers = scores.combine(files)
        rows = pd.concat([rows, markers[markers["fold"] == markers["fold"].min()]], ignore_index=True)
    return rows[(rows["outcome_label"] == label) & (rows["stage"] == "final")]


def chosen(rows: pd.DataFrame, *, fixed: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Choose each model's thresholds by every rule.

    Parameters
    ----------
    rows : pandas.DataFrame
        Scores of patients on whom the model was not fitted: ``model, kind, y_good, score``.
    fixed : Mapping
        Thresholds set beforehand, as notebook 05 has them: name -> models and value.

    Returns
    -------
    dict
        Model -> rule -> ``poor_below`` and ``good_from`` (a score, or None if the rule has none),
        ``chosen_on`` (``out of fold`` or ``fixed``) and ``note``.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for model, mine in rows.groupby("model", sort=False):
        y, score = mine["y_good"].to_numpy(), mine["score"].to_numpy()
        rules = {}
        for rule in thresholds.RULES:
            choice = thresholds.choose(y, score, rule)
            good_from = choice.threshold
            if rule in thresholds.LIMITS:
                # A limit of false pessimism decides only who is predicted poor; the same rule for the other
                # outcome, which limits false optimism, decides who is predicted good. Between the two nothing
                # is decided. The other outcome is the lower score, and its threshold is still predicted poor.
                other = thresholds.choose(1 - y, -score, rule).threshold
                good_from = np.nextafter(-other, np.inf)
            about = {"chosen_on": "out of fold", "note": choice.note}
            rules[rule] = bundle.cut_offs(choice.threshold, good_from) | about
        for name, value in thresholds.fixed_for(str(model), str(mine["kind"].iloc[0]), fixed).items():
            rules[name] = bundle.cut_offs(value, value) | {"chosen_on": "fixed", "note": ""}
        found[str(model)] = rules
    return found


def described(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the distribution and the AUC of each model's scores in patients on whom it was not fitted."""
    found = {}
    for model, mine in rows.groupby("model", sort=False):
        auc = delong(mine["y_good"], mine["score"], models=[str(model)]).interval(
            str(model), transform="logit"
        )
        q1, median, q3 = mine["score"].quantile([0.25, 0.5, 0.75])
        found[str(model)] = {
            "kind": mine["kind"].iloc[0],
            "n": len(mine),
            "n_good": int(mine["y_good"].sum()),
            "median": median,
            "q1": q1,
            "q3": q3,
            "auc": auc.value,
            # Without limits where all scores are perfect or constant.
            **{f"auc_{end}": None if np.isnan(v := getattr(auc, end)) else v for end in ("lower", "upper")},
        }
    return found
