"""The main result of a study in sentences, with every number from its tables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from postarrest.estimate import Estimate
from postarrest.evaluation import decision, discrimination, thresholds
from postarrest.models import stacking, super_learner
from postarrest.report.page import number_entry
from postarrest.report.used import NO_NETWORK, UsedNetwork
from postarrest.study.load import Study
from postarrest.words import listed, model_in_words, p_equals, uncapitalised, words

# A variant of the main model, or a model of the same predictors, is not a comparator.
_BENCHMARKS = (super_learner.MODEL, *stacking.REFERENCES)
_VARIANTS = ("ensemble_logistic", *_BENCHMARKS)
# With fewer patients of the rarer outcome, a model of models is hardly better supported than its parts.
_FEW = 25
# Sets of patients not used for fitting.
_SETS = ("pooled", "holdout")
_STEPS = {"n_screened": "screened", "n_included": "included", "n_included_good": "good outcome"}
_MODALITIES = {"gwr": "readings of gray and white matter", "ct": "one head CT slice each"}


@dataclass
class Summary:
    """What the first page of a report says.

    Parameters
    ----------
    main : str
        Name of the main model.
    where : Mapping
        Outcome label (``outcome_label``) and patients (``set``) of the main result.
    network : str
        Readers' name of the network on head CT.
    data : str
        The patients, in a sentence or two.
    sentences : list of str
        The main result: discrimination and comparison.
    headline : str
        The main result in one line.
    further : dict of str
        What else an abstract says, by heading: calibration, thresholds (the guideline's limit), limits.
    numbers : dict
        The numbers of those sentences, by name, as ``numbers.json`` has them.
    """

    main: str
    where: Mapping[str, str]
    network: str = ""
    data: str = ""
    sentences: list[str] = field(default_factory=list)
    headline: str = ""
    further: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """All sentences."""
        return " ".join([*self.sentences, *self.further.values()])

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table that belong to the main result."""
        return _rows(table, {"model": self.main} | self.where)

    def state(self, sentence: str, table: str, *, unit: str = "", **values: Estimate | float | str) -> str:
        """Return a sentence of ``words.yaml`` filled in, and save the numbers in it."""
        return self.filled(words()["sentences"][sentence], table, unit=unit, **values)

    def filled(self, template: str, table: str, *, unit: str = "", **values: Estimate | float | str) -> str:
        """Return a sentence filled in, and save the numbers in it."""
        for name, value in values.items():
            if not isinstance(value, str):
                self.numbers[f"index.{name}"] = number_entry(value, unit=unit, table=table)
        return template.format(**values)


def of(study: Study, tables: Path, *, network: UsedNetwork = NO_NETWORK) -> Summary:
    """Return a study's main result in words.

    Parameters
    ----------
    study : Study
        The study.
    tables : pathlib.Path
        Folder of its tables; ``performance`` must be there, ``flow``, ``comparisons``, ``thresholds`` and
        ``calibration`` are used if present.
    network : UsedNetwork
        The network on head CT.

    Raises
    ------
    FileNotFoundError
        If the study has not been evaluated.
    ValueError
        If no model has an AUC in test patients.
    """
    used = ("comparisons", "thresholds", "calibration", "flow")
    read = {name: pd.read_csv(p) for name in used if (p := tables / f"{name}.csv").is_file()}
    performance = pd.read_csv(tables / "performance.csv")
    aucs = performance[performance["recommended"] & (performance["metric"] == "roc_auc")]
    tested = aucs[aucs["set"].isin(_SETS)]
    if tested.empty:
        raise ValueError("tables/performance.csv has no AUC of test patients.")
    main = discrimination.main_model(list(tested["model"]))
    own = tested[tested["model"] == main]
    where = {
        "outcome_label": _first((*study.outcome_labels, *own["outcome_label"]), own["outcome_label"]),
        "set": _first(_SETS, own["set"]),
    }
    result = Summary(main, where, network.name)
    # Of cross-validated models, the AUC is the mean over the folds, which has an interval for the procedure.
    # Where a fold has patients of one outcome only there is none, and the pooled patients have one AUC.
    mean = where | {"set": "fold mean"}
    folds = where["set"] == "pooled" and main in set(_rows(aucs, mean)["model"])
    mean = mean if folds else where
    aucs = _rows(aucs, mean).set_index("model")
    n, n_good = (int(aucs.loc[main, column]) for column in ("n", "n_good"))
    prespecified, n_rarer = main, min(n_good, n - n_good)
    if n_rarer < _FEW and main == "ensemble":
        # What the data support best: chosen by its result, which the sentence says.
        main = result.main = str(aucs.loc[aucs["n"] == n, "lower"].idxmax())
        of_rarer = model_in_words(prespecified, network.name)
        result.sentences.append(result.state("few", "performance", n_rarer=n_rarer, model=of_rarer))
    numbers = {"auc": _estimate(aucs.loc[main]), "n_tested": n, "n_tested_good": n_good}
    model = model_in_words(main, network.name)
    sentence = "discrimination_in_folds" if folds else "discrimination"
    pooled = {"auc_pooled": _estimate(_rows(tested, where).set_index("model").loc[main])} if folds else {}
    result.sentences.append(result.state(sentence, "performance", model=model, **numbers, **pooled))
    result.headline = result.state("headline", "performance", model=model, **numbers)
    others = aucs.drop(index=[main, *_VARIANTS], errors="ignore")
    if main != prespecified:
        others = aucs.loc[[prespecified]]
    # Scores defined in only some of the patients are compared only if no other score exists.
    in_same = others[others["n"] == n]
    others = others if in_same.empty else in_same
    if not others.empty:
        pairs = pd.DataFrame(columns=["primary", "model_a", "model_b"])
        if "comparisons" in read:
            method = discrimination.PROCEDURE if folds else "DeLong"
            pairs = _rows(read["comparisons"], mean | {"metric": "roc_auc", "method": method})
            pairs = pairs[(pairs[["model_a", "model_b"]] == main).any(axis=1)]
        primary = pairs[pairs["primary"].astype(bool)]
        named = set(primary[["model_a", "model_b"]].to_numpy().ravel()) & set(others.index)
        other = named.pop() if named else str(others["estimate"].idxmax())
        sentence = _comparison(result, others.loc[other], in_some=in_same.empty)
        pair = pairs[pairs[["model_a", "model_b"]].isin([main, other]).all(axis=1)]
        sentence += "".join(_difference(result, row) for _, row in pair.head(1).iterrows())
        result.sentences.append(f"{sentence}.")
    if benchmarks := [name for name in _BENCHMARKS if name in aucs.index and main == "ensemble"]:
        result.sentences.append(_benchmarks(result, aucs.loc[benchmarks]))
    if "calibration" in read:
        for _, row in _rows(read["calibration"], where | {"model": main}).head(1).iterrows():
            result.further |= _calibration(result, row)
    if "thresholds" in read:
        chosen_on = "frozen" if study.model else "train_oof"
        chosen = {"model": main, "rule": "Spec-Max-CI", "chosen_on": chosen_on}
        for _, row in _rows(read["thresholds"], where | chosen).head(1).iterrows():
            result.further["Thresholds"] = " ".join(_guideline(result, row))
    limits = ["conditional_frozen" if study.model else "conditional"] * (not folds)
    limits += ["elsewhere_frozen" if study.model else "elsewhere"]
    limits += ["simulated"] * study.simulated + ["circular"] * bool(network.circular)
    stated = [result.state(name, "performance", circular=network.circular) for name in limits]
    result.further["Limits"] = " ".join(stated)
    result.data = _data(result, study, read.get("flow"))
    return result


def _first(ranked: tuple[str, ...], present: pd.Series) -> str:
    return next(value for value in ranked if value in set(present))


def _rows(table: pd.DataFrame, which: Mapping[str, str]) -> pd.DataFrame:
    for column, value in which.items():
        table = table[table[column] == value]
    return table[table["stage"] == "final"] if "stage" in table.columns else table


def _estimate(row: pd.Series) -> Estimate:
    return Estimate(row["estimate"], row["lower"], row["upper"])


def _comparison(result: Summary, row: pd.Series, *, in_some: bool) -> str:
    return result.state(
        "comparison_in_some" if in_some else "comparison",
        "performance",
        model=uncapitalised(model_in_words(str(row.name), result.network)),
        auc_compared=_estimate(row),
        n_compared=int(row["n"]),
    )


def _benchmarks(result: Summary, rows: pd.DataFrame) -> str:
    names = (uncapitalised(model_in_words(str(name), result.network)) for name in rows.index)
    aucs = {f"auc_{name}": _estimate(row) for name, row in rows.iterrows()}
    models = listed([f"{name} {{{auc}}}" for name, auc in zip(names, aucs, strict=True)])
    sentence = words()["sentences"]["benchmarks"].replace("{models}", models)
    return result.filled(sentence, "performance", **aucs)


def _difference(result: Summary, pair: pd.Series) -> str:
    sign = 1 if pair["model_a"] == result.main else -1
    lower, upper = sorted((sign * pair["lower"], sign * pair["upper"]))
    text = result.state(
        "difference",
        "comparisons",
        auc_difference=Estimate(sign * pair["difference"], lower, upper),
        auc_difference_p=float(pair["p_holm"]),
        p=p_equals(float(pair["p_holm"])),
        which="primary comparison" if pair["primary"] else "corrected for the number of comparisons",
    )
    return text + (words()["sentences"]["undecided"] if lower <= 0 <= upper else "")


def _calibration(result: Summary, row: pd.Series) -> dict[str, str]:
    numbers = {name: float(row[name]) for name in ("ici", "slope", "intercept")}
    # Of fits that separate the outcomes, which have no slope, the page says so.
    if any(map(math.isnan, numbers.values())):
        return {}
    values = {f"calibration_{name}": Estimate(value) for name, value in numbers.items()}
    return {"Calibration": result.state("calibration", "calibration", **values)}


def _guideline(result: Summary, row: pd.Series) -> list[str]:
    if math.isnan(row["tp"]):
        why = thresholds.why_none(row["note"])
        return [result.state("no_threshold", "thresholds", reason=why and f": {why}")]
    (found,) = decision.consequences(row.to_frame().T)
    counts = {name: found[name] for name in ("wrongly_poor", "n_good", "recognised_poor", "n_poor")}
    rates = {"false_pessimism": found["fnr"], "false_pessimism_upper": found["fnr_upper"]}
    where = words()["sentences"]["chosen_elsewhere" if row["chosen_on"] == "frozen" else "chosen_here"]
    # That no good outcome is predicted poor means nothing where nobody is.
    sentence = "threshold" if row["tn"] + row["fn"] else "nobody_poor"
    return [
        result.state(sentence, "thresholds", where=where, **counts),
        result.state("false_pessimism", "thresholds", unit="%", **rates),
    ]


def _data(result: Summary, study: Study, flow: pd.DataFrame | None) -> str:
    if study.scores:
        return "A scores table made elsewhere; nothing else is known here about the patients."
    text = "Simulated patients" if study.simulated else "Patients"
    if study.modalities:
        text += f", with {listed([_MODALITIES[m] for m in study.modalities])}"
    counts, sentence = {}, "patients"
    if flow is not None:
        n = flow.drop_duplicates("step", keep=False).set_index("step")["n"].astype(str)
        # A count too small to be shown is "<5".
        counts = {name: int(n[step]) for name, step in _STEPS.items() if n.get(step, "").isdigit()}
    if {"n_screened", "n_included"} <= counts.keys():
        sentence = "patients_good" if "n_included_good" in counts else "patients_included"
    return result.state(sentence, "flow", patients=text, **counts)
