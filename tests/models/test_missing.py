"""Values missing at random, or not: what each way of handling them does to the predictions."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from postarrest import evaluation
from postarrest.models import crossfit, missing, splits, tabular
from postarrest.models.tuning import Searched

SPACES = tabular.SPACES | {
    "logistic": {"C": Searched(choices=[1.0]), "l1_ratio": Searched(choices=[0.0])},
    "lightgbm": {
        "learning_rate": Searched(choices=[0.1]),
        "num_leaves": Searched(choices=[4]),
        "n_estimators": Searched(choices=[40]),
    },
}


def planted(mechanism: str, *, n: int = 900, seed: int = 3) -> pd.DataFrame:
    """Two correlated predictors, of which one is missing in about 40 %: MCAR, MAR or MNAR."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=n)
    hidden = 0.8 * known + 0.6 * rng.normal(size=n)
    y = (rng.random(n) < expit(-0.5 + 0.5 * known + 1.2 * hidden)).astype(int)
    odds = {"MCAR": np.full(n, -0.4), "MAR": -0.5 + 2.0 * known, "MNAR": -0.5 + 2.5 * hidden}[mechanism]
    lost = rng.random(n) < expit(odds)
    table = {"known": known, "hidden": np.where(lost, np.nan, hidden), "y_good": y, "truth": hidden}
    ids = pd.Index([f"P{i:04d}" for i in range(n)], name="patient_id")
    return pd.DataFrame(table, index=ids)


def compared(cohort: pd.DataFrame, tmp_path, algorithm: str = "logistic"):
    table = splits.table(
        cohort["y_good"],
        protocols=("nested",),
        settings=splits.Settings(seed=2, outer_folds=3, inner_folds=3),
    )
    known = tabular.known_beforehand(cohort)
    folds = crossfit.outer_folds(table, cohort["y_good"], known, keep=tmp_path, trials=1, seed=1)
    models = tabular.declared({"m": {"algorithm": algorithm, "predictors": ["known", "hidden"]}})
    return missing.compare(models, cohort, folds, spaces=SPACES, imputations=3), folds


def measures(scored: pd.DataFrame) -> pd.DataFrame:
    table = evaluation.missing.table(scored, n_resamples=20)
    return table.set_index(["patients", "handling", "metric"]).sort_index()


@pytest.mark.parametrize("mechanism", ["MCAR", "MAR", "MNAR"])
def test_what_multiple_imputation_recovers(mechanism):
    cohort = planted(mechanism, n=4000)
    x = cohort[["known", "hidden"]]
    model = missing.handled_by("multiple_imputation", "logistic", {"C": 1.0}, seed=1, imputations=4)
    model.fit(x, cohort["y_good"].to_numpy())
    lost = x["hidden"].isna()
    drawn = []
    for one in model.models_:
        imputer = one.named_steps["impute"]
        drawn.append(imputer.transform(one.named_steps["columns"].transform(x))[lost.to_numpy(), 1])
    assert np.ptp([values.mean() for values in drawn]) > 0
    off = np.mean(drawn) - cohort.loc[lost, "truth"].mean()
    of_median = x["hidden"].median() - cohort.loc[lost, "truth"].mean()
    if mechanism == "MNAR":
        # Nothing that is known says that the missing values are the high ones.
        assert off < -0.25
    else:
        assert abs(off) < 0.08
    assert abs(off) < abs(of_median) + 0.08
    # The imputed values vary as much as the true ones, which a median does not.
    assert np.std(drawn) == pytest.approx(cohort.loc[lost, "truth"].std(), rel=0.25)


def test_missing_completely_at_random_no_handling_is_better(tmp_path):
    found = measures(compared(planted("MCAR"), tmp_path)[0])
    for handling in ("multiple_imputation",):
        assert abs(found.loc[("all", handling, "roc_auc_difference"), "estimate"]) < 0.02
    complete = found.loc["complete"].xs("oe", level="metric")
    assert complete["lower"].lt(1).all() and complete["upper"].gt(1).all()


def test_missing_not_at_random_the_indicator_knows_what_imputation_cannot(tmp_path):
    found = measures(compared(planted("MNAR", n=1500), tmp_path)[0])
    difference = found.loc[("all", "multiple_imputation", "roc_auc_difference")]
    assert difference["upper"] < 0 and difference["p"] < 0.05


def test_complete_cases_predict_only_the_complete(tmp_path):
    cohort = planted("MAR")
    scored, folds = compared(cohort, tmp_path)
    of = scored.groupby("handling")["patient_id"].agg(set)
    complete = set(cohort.index[cohort["hidden"].notna()])
    assert of["complete_cases"] == complete
    assert of["median_indicator"] == of["multiple_imputation"] == set(cohort.index)
    found = measures(scored)
    assert "complete_cases" not in found.loc["all"].index.get_level_values("handling")
    assert set(found.loc["complete"].index.get_level_values("handling")) == set(of.index)
    assert set(found.loc["complete", "n"]) == {len(complete)}
    assert scored.groupby("handling")["own"].first().to_dict() == {
        "median_indicator": True,
        "multiple_imputation": False,
        "complete_cases": False,
    }
    for fold in folds:
        fold.ledger.check()
        assert {"m: multiple imputation", "m: complete cases"} <= set(fold.ledger.table()["stage"])


def test_lightgbm_is_compared_with_its_own_handling(tmp_path):
    scored, _ = compared(planted("MCAR", n=300), tmp_path, "lightgbm")
    assert list(scored["handling"].unique()) == [
        *("native", "median_indicator", "multiple_imputation", "complete_cases")
    ]
    assert set(scored.loc[scored["own"], "handling"]) == {"native"}


def test_every_handling_takes_text(patients):
    x = patients.drop(columns="y_good")
    for algorithm in ("logistic", "forest", "lightgbm"):
        for handling in ("median_indicator", "multiple_imputation"):
            values = {"C": 1.0} if algorithm == "logistic" else {}
            model = missing.handled_by(handling, algorithm, values, seed=1, imputations=2)
            p = model.fit(x, patients["y_good"].to_numpy()).predict_proba(x)[:, 1]
            assert ((p >= 0) & (p <= 1)).all() and len(np.unique(p)) > 5
    with pytest.raises(ValueError, match="'mean', expected one of native"):
        missing.handled_by("mean", "logistic", {}, seed=1)


def test_patterns_of_missing_base_models():
    assert len(missing.patterns(list("abc"))) == 7
    assert missing.patterns(list("abcde")) == [(), *((name,) for name in "abcde")]
