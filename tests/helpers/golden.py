"""The evaluation compared with other software, as a table: docs/golden.md.

``make golden`` writes it. The values of R (4.2.2, pROC 1.18.0) are those of golden_values, with the R code
that gave them; scikit-learn, SciPy and statsmodels are called here.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from scipy.special import logit
from sklearn import metrics

from evaluation_data import golden_case
from golden_values import (
    DCURVES,
    METAFOR,
    PROC,
    PROC_YOUDEN,
    R_CALIBRATION,
    R_FISHER,
    R_LOESS,
    R_PROPORTIONS,
    R_UPDATES,
)
from postarrest import describe
from postarrest.evaluation import (
    bootstrap,
    calibration,
    confusion,
    decision,
    delong,
    intervals,
    random_effects,
    thresholds,
    updating,
)
from postarrest.files import write_text

CASE = (533, 15, 6)
# Shrout and Fleiss 1979, table 2: six subjects, four judges; ICC(2,1) is printed as .29.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Bland and Altman 1986, table 1: first readings of the Wright and the mini peak-flow meter, l/min.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def rows() -> list[tuple[str, str, float, float]]:
    """What, whose, ours, theirs."""
    y, a, b = golden_case(*CASE)
    r, ours = PROC[CASE], delong.delong(y, np.column_stack([a, b]), models=["a", "b"])
    difference, p = ours.difference("a", "b")
    interval = ours.interval("a")
    found = [
        ("ROC-AUC", "R pROC", ours.auc[0], r["auc"][0]),
        ("DeLong interval, lower", "R pROC", interval.lower, r["ci_a"][0]),
        ("DeLong interval, upper", "R pROC", interval.upper, r["ci_a"][1]),
        ("DeLong covariance of two AUCs", "R pROC", ours.covariance[0, 1], r["cov"][2]),
        ("DeLong paired test, p", "R pROC", p, r["test"][0]),
        ("DeLong difference, lower", "R pROC", difference.lower, r["test"][1]),
    ]
    youden = thresholds.choose(y, a, "Youden").threshold
    at = confusion.describe(y, a, [youden]).iloc[0]
    found += [
        ("Youden, sensitivity", "R pROC", at["sensitivity"], PROC_YOUDEN[CASE][0]),
        ("Youden, specificity", "R pROC", at["specificity"], PROC_YOUDEN[CASE][1]),
    ]
    exact = intervals.proportion_interval(4, 82)
    wilson = intervals.proportion_interval(4, 82, method="wilson")
    found += [
        ("Clopper-Pearson 4 of 82, upper", "R binom.test", exact[1], R_PROPORTIONS[4, 82][1]),
        ("Wilson 4 of 82, upper", "R prop.test", wilson[1], R_PROPORTIONS[4, 82][3]),
    ]
    again = calibration.recalibrate(y, a)
    found += [
        ("calibration slope", "R glm", again.slope.value, R_CALIBRATION[CASE]["slope"][0]),
        ("calibration intercept", "R glm", again.intercept.value, R_CALIBRATION[CASE]["intercept"][0]),
        ("calibration slope", "statsmodels", again.slope.value, _statsmodels_slope(y, a)),
    ]
    _, distances = calibration.curve(y, a, n_resamples=2)
    found += [(name.upper(), "R loess", distances[name], value) for name, value in R_LOESS[CASE].items()]
    curve = decision.curve(y, a, n_resamples=2)
    for threshold, model, everyone in DCURVES[:2]:
        at = curve[np.isclose(curve["threshold"], threshold)].iloc[0]
        found += [
            (f"net benefit at {threshold}", "dcurves", at["net_benefit"], model),
            (f"its gain on predicting all good at {threshold}", "dcurves", at["gain"], model - everyone),
        ]
    counts, known = R_FISHER[4]
    found.append(("Fisher exact, 6 x 2, p", "R fisher.test", describe.fisher_exact(counts)[0], known))
    found += _bootstrap_rows(y, a) + _agreement_rows() + _update_rows(y, a, b) + _site_rows()
    return found


def _statsmodels_slope(y: np.ndarray, a: np.ndarray) -> float:
    edge = 1 / (2 * len(y))
    design = sm.add_constant(logit(np.clip(a, edge, 1 - edge)))
    return float(sm.GLM(y, design, family=sm.families.Binomial()).fit().params[1])


def _bootstrap_rows(y: np.ndarray, a: np.ndarray) -> list[tuple[str, str, float, float]]:
    ours = bootstrap.bootstrap(y, a, n_resamples=999, seed=3, stratified=False)
    theirs = {
        "roc_auc": metrics.roc_auc_score(y, a),
        "pr_auc_good": metrics.average_precision_score(y, a),
        "pr_auc_poor": metrics.average_precision_score(1 - y, -a),
        "brier": metrics.brier_score_loss(y, a),
        "log_loss": metrics.log_loss(y, a),
    }
    found = [
        (name, "scikit-learn", float(ours.estimate[0][ours.measures.index(name)]), value)
        for name, value in theirs.items()
    ]
    drawn = ours.resampled[0, ours.measures.index("roc_auc")]
    for method, name in (("percentile", "percentile"), ("bca", "BCa")):
        interval = stats.bootstrap(
            (y, a),
            lambda y, a, axis=-1: metrics.roc_auc_score(y, a),
            paired=True,
            vectorized=False,
            n_resamples=0,
            bootstrap_result=stats._resampling.BootstrapResult(None, drawn, None),
            method=name,
        ).confidence_interval
        lower = ours.interval("0", "roc_auc", method=method).lower
        found.append((f"bootstrap {name}, lower, same resamples", "SciPy", lower, interval.low))
    return found


def _agreement_rows() -> list[tuple[str, str, float, float]]:
    agreement, icc = describe.compare_readings(WRIGHT, MINI), describe.icc_a1(SHROUT_FLEISS)
    return [
        ("Bland-Altman bias, peak flow, l/min", "Lancet 1986", agreement.bias.value, -2.12),
        ("Bland-Altman SD, peak flow, l/min", "Lancet 1986", agreement.sd_difference, 38.77),
        ("Spearman, peak flow", "R cor", agreement.spearman.value, 0.899509803922),
        ("ICC(A,1), six subjects, four judges", "R psych", icc.value, 0.28976378),
        ("ICC(A,1), lower", "R psych", icc.lower, 0.01878651),
        (
            "ICC(A,4), of the mean of four",
            "R psych",
            describe.agreement.of_mean(icc, k=4).value,
            0.620050547598989,
        ),
        ("ICC(A,4), upper", "R psych", describe.agreement.of_mean(icc, k=4).upper, 0.927232040167722),
    ]


def _update_rows(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> list[tuple[str, str, float, float]]:
    update, known = updating.fit(y, a, "intercept and slope"), R_UPDATES[CASE]
    steps = updating.closed_test(y, a, revision=pd.DataFrame({"b": b})).steps
    ratio = 2 * (known["log_likelihood"][-1] - known["log_likelihood"][0])
    return [
        ("updated intercept", "R glm", update.intercept, known["coefficients"][0]),
        ("updated slope", "R glm", update.slope, known["coefficients"][1]),
        ("closed test, revision against no update", "R glm", steps.loc[0, "statistic"], ratio),
    ]


def _site_rows() -> list[tuple[str, str, float, float]]:
    case, known = next(iter(METAFOR.items()))
    found = random_effects.combine(*case)
    return [
        ("mean of eight sites", "R metafor", found.mean.value, known["mean"][0]),
        ("its Hartung-Knapp interval, lower", "R metafor", found.mean.lower, known["mean"][1]),
        ("between-site variance", "R metafor", found.between_sd.value**2, known["tau2"]),
        ("between-site SD, upper", "R metafor", found.between_sd.upper, known["tau"][2]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Markdown file for the table")
    table = pd.DataFrame(rows(), columns=["figure", "theirs by", "ours", "theirs"])
    table["difference"] = (table["ours"] - table["theirs"]).map("{:.1e}".format)
    for name in ("ours", "theirs"):
        table[name] = table[name].map("{:.12g}".format)
    text = (
        "# The evaluation compared with other software\n\n"
        f"{CASE[0]} simulated patients unless another data set is named (tests/helpers/evaluation_data.py\n"
        "has their arithmetic in R and Python). A published value has as many digits as\n"
        "its source prints. Made by `make golden`.\n\n"
    )
    write_text(parser.parse_args().out, text + table.to_markdown(index=False, disable_numparse=True) + "\n")


if __name__ == "__main__":
    main()
